"""The pure core of a run: it decides the next operation and the next fault, without threads, sockets or a clock.

    step = runner.step(now_ns, completions)     →  invocations to try now, fault actions to carry out, when to call again

Two drivers run it: one with threads and sockets (`threads`), one under virtual time (`virtual`). A driver records what the runner
returns, in its order, and reports the results back.

A run has four phases: *load* (operations and faults), *heal* (everything is undone), *settle* (nothing), *final* (reads of every key). A liveness
phase adds two after the load, with operations going on: *isolate* (`isolation`) and *liveness* (only a core is healthy).
A process is retired when its operation ends in `info` or its client was dropped; its slot goes on with a new process number and a fresh client.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from ...nemesis.faults.fault import Intent
from ...nemesis.faults.triggers import Happened
from ...systems.base import Op, Outcome
from ...workloads.generators import NOTHING, WAIT, Context, Emit, Generator, Rivals, Timed, drawn, sequence, time_limit
from ...workloads.register import SEEN
from ...workloads.settle import SETTLE, through_a_node
from ..plan.pacing import Unacknowledged
from ..plan.plan import Pinned, Plan, Slot
from .actions import ActionDone, FaultAction, Faults, Verb
from .isolation import Isolation


class Phase(str, Enum):
    LOAD = "load"
    ISOLATE = "isolate"
    LIVENESS = "liveness"
    HEAL = "heal"
    QUIET = "settle"
    FINAL = "final"
    DONE = "done"


# Names of their own: looking a member up in its enumeration takes ten times as long.
LOAD, ISOLATE, LIVENESS, HEAL, QUIET, FINAL, DONE = Phase

HEAL_TRIES = 3
HEAL_AGAIN_NS = 2_000_000_000
"""Time between tries to heal everything, also after one that failed."""

WORKING = (LOAD, ISOLATE, LIVENESS)
"""Phases in which clients do what the workloads ask."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """An operation to try: `op` on `slot`'s client as `process`; it must be over at `deadline_ns`. `fresh`: a new client is opened first."""

    slot: Slot
    process: int
    op: Op
    deadline_ns: int
    fresh: bool


@dataclass(frozen=True, slots=True)
class OpDone:
    """End of an operation. `dropped`: the slot's client is gone although the outcome is certain. Its session is gone too, so its process ends."""

    slot: int
    outcome: Outcome
    dropped: bool = False


Completion = OpDone | ActionDone | Happened | Rivals


@dataclass(frozen=True, slots=True)
class Step:
    invocations: Sequence[Invocation]
    actions: Sequence[FaultAction]
    wake_ns: int | None
    phase: Phase


@dataclass(slots=True)
class _Client:
    """A slot's state: its generator, its process number, what it is doing or waiting to do."""

    slot: Slot
    generator: Generator
    process: int
    count: int = 0
    pending: Emit | None = None
    running: Op | None = None
    fresh: bool = True
    exhausted: bool = False
    waiting: bool = False
    """Its generator has nothing until something happens."""

    @property
    def may_come(self) -> bool:
        return self.running is not None or self.pending is not None or not (self.exhausted or self.waiting)


@dataclass(slots=True)
class Runner:
    """State of a run. `marks` are the run times at which phases ended: `load_end`, `healed`, `quiet_end`, `end`. With a liveness phase, `core_healed`
    and `liveness_end` come between the first two. What did not happen has no mark. There is no `healed` when the heal failed. There is no `quiet_end`
    then, or when the user ended the run. There is no `core_healed` when the load's faults could not be healed; `unhealed` says why.

    `issued` is every operation before the heal as it was tried, before its placeholders were resolved: a plan with these pinned tries the same.
    """

    plan: Plan
    phase: Phase = LOAD
    marks: dict[str, int] = field(default_factory=dict)
    issued: list[Pinned] = field(default_factory=list)
    keeps_issued: bool = True
    """Whether they are kept. On hosts nothing needs them, and a run may last for hours."""
    _clients: dict[int, _Client] = field(default_factory=dict)
    _faults: Faults = field(default_factory=lambda: Faults(()))
    _unacknowledged: Unacknowledged = field(init=False)
    _isolation: Isolation | None = None
    _seen: dict[str, Any] = field(default_factory=dict)
    _keys: dict[str, dict[str, None]] = field(default_factory=dict)
    _rivals: Rivals | None = None
    _retired: int = 1
    """Added to the process number of a client whose process was retired."""
    unhealed: str = ""
    """Why faults may still be active after the last try to heal them all, or why there was no liveness phase."""
    _healing: bool = False
    _heal_tries: int = 0
    _heal_at_ns: int = 0
    """The earliest time to heal everything; later after a failed try."""
    _quiet_end_ns: int = 0
    _final_end_ns: int = 0
    _stopped: bool = False

    def __post_init__(self) -> None:
        self._clients = {slot.slot: _Client(slot, self._load(slot), slot.slot) for slot in self.plan.slots}
        self._retired = max(self._clients, default=0) + 1
        settling = {slot.slot: _Client(slot, NOTHING, slot.slot, exhausted=True) for slot in self.plan.settling}
        self._clients |= settling
        rest = self.plan.liveness.intents if self.plan.liveness is not None else ()
        self._faults = Faults(self.plan.intents, rest, self.plan.timing.load_ns, self.plan.pace)
        self._unacknowledged = Unacknowledged(self.plan)

    def _load(self, slot: Slot) -> Generator:
        plan = self.plan
        if plan.pinned is None:
            load = NOTHING if slot.only_final else plan.workloads[slot.workload].load()
            return time_limit(self._load_limit_ns, load) if plan.liveness is None else load
        return Timed(tuple((pinned.at_ns, pinned.op) for pinned in plan.pinned if pinned.slot == slot.slot))

    @property
    def _load_limit_ns(self) -> int:
        """The latest time at which the load ends."""
        return self.plan.timing.load_ns + (0 if self.plan.pace is None else self.plan.pace.load_more_ns)

    @property
    def never_begun(self) -> list[Intent]:
        """Faults of the load whose turn did not come, because others were active when it should have."""
        return self._faults.never_begun

    @property
    def stopped(self) -> bool:
        """Whether the run was ended before its time."""
        return self._stopped

    def listening(self, now_ns: int) -> frozenset[str]:
        """The events (`nemesis.triggers`) that would start a fault if the driver reported them now."""
        return self._faults.listening(now_ns) if self.phase is LOAD else frozenset()

    def stop(self) -> None:
        """End the load now (the user asked): the next step heals, and no final reads are made."""
        self._stopped = True

    def step(self, now_ns: int, completions: Sequence[Completion] = ()) -> Step:
        """Take in what ended, and return what to do at `now_ns`."""
        for completion in completions:
            if isinstance(completion, OpDone):
                self._complete(self._clients[completion.slot], completion.outcome, completion.dropped)
            elif isinstance(completion, Rivals):
                self._rivals = completion
            elif isinstance(completion, Happened):
                if self.phase is LOAD:
                    self._faults.happened(now_ns, completion)
            else:
                self._action_done(now_ns, completion)
        actions = self._advance(now_ns)
        invocations = self._invoke(now_ns) if self._may_invoke(now_ns) else []
        if self.phase is LOAD and any(client.running is not None for client in self._clients.values()):
            self._faults.meet(now_ns)
        return Step(invocations, actions, self._wake(now_ns), self.phase)

    # Operations.

    def _complete(self, client: _Client, outcome: Outcome, dropped: bool) -> None:
        op = client.running
        assert op is not None, f"slot {client.slot.slot} completed an operation that it had not begun"
        client.running = None
        client.generator = client.generator.update(op, outcome)
        self._unacknowledged.completed(op, outcome)
        if outcome.type == "info" or dropped:
            client.process += self._retired if client.slot.workload != SETTLE else len(self.plan.settling)
            client.fresh = True
        elif outcome.type == "ok":
            self._observe(op, outcome)

    def _observe(self, op: Op, outcome: Outcome) -> None:
        if op.f == "read":
            self._seen[op.key] = outcome.value
        elif op.f == "write":
            self._seen[op.key] = op.value
        elif op.f == "cas":
            self._seen[op.key] = op.value[1]

    def _may_invoke(self, now_ns: int) -> bool:
        return self.phase in WORKING or (self.phase is FINAL and now_ns < self._final_end_ns)

    def _invoke(self, now_ns: int) -> list[Invocation]:
        invocations = []
        for client in self._clients.values():
            if client.running is not None or client.exhausted:
                continue
            if client.pending is None:
                self._draw(client, now_ns)
            if client.pending is None or client.pending.at_ns > now_ns:
                continue
            if self.keeps_issued and self.phase in WORKING:
                self.issued.append(Pinned(client.slot.slot, now_ns, client.pending.op))
            op = self._resolve(client.pending.op)
            client.pending = None
            client.running = op
            self._keys.setdefault(client.slot.workload, {}).update(dict.fromkeys(self.plan.keys_of(op)))
            deadline = now_ns + self.plan.timing.operation_ns
            invocations.append(Invocation(client.slot, client.process, op, deadline, client.fresh))
            client.fresh = False
        return invocations

    def _draw(self, client: _Client, now_ns: int) -> None:
        slot = client.slot
        context = Context(
            self.plan.seed, slot.workload, slot.client, slot.clients, client.count, now_ns, slot.node, self._rivals
        )
        emit, client.generator = drawn(client.generator, context)
        client.waiting = emit is WAIT
        if client.waiting:
            return
        client.count += 1
        client.exhausted = emit is None
        client.pending = emit

    def _resolve(self, op: Op) -> Op:
        """Fill in the expected value of a cas: the last value seen on its key. The history records the resolved operation."""
        if op.f == "cas" and op.value[0] == SEEN:
            return replace(op, value=[self._seen.get(op.key), op.value[1]])
        return op

    # Faults.

    def _action_done(self, now_ns: int, done: ActionDone) -> None:
        if done.action.verb is not Verb.HEAL_ALL:
            self._faults.ended(now_ns, done)
            return
        if not done.failed:
            self._faults.healed_all()
        if self.phase is ISOLATE and self._isolation is not None:
            self._isolation.healed_all()
            if done.failed:
                self._give_up_liveness(now_ns, f"before the liveness phase not everything was healed: {done.why}")
            return
        self._healing = False
        self._heal_tries += 1
        if done.failed and self._heal_tries < HEAL_TRIES:
            self._heal_at_ns = now_ns + HEAL_AGAIN_NS
            return
        if done.failed:
            self.unhealed = f"not everything was healed in {HEAL_TRIES} tries: {done.why}"
        self._quiet_end_ns = now_ns + self.plan.timing.quiet_ns
        self._enter(QUIET, None if done.failed else "healed", now_ns)

    # Phases.

    def _advance(self, now_ns: int) -> list[FaultAction]:
        if self.phase is LOAD:
            if not self._stopped and (now_ns < self.plan.timing.load_ns or self._lasts_longer(now_ns)):
                return self._faults.due(now_ns, may_meet=self._may_come())
            self._end_load(now_ns)
        actions = self._isolate(now_ns)
        # Every other action must have ended before everything is healed.
        if self.phase is HEAL and not self._healing and not self._faults.changing and now_ns >= self._heal_at_ns:
            self._healing = True
            actions.append(FaultAction(Verb.HEAL_ALL, None))
        if self.phase is QUIET and (self._stopped or now_ns >= self._quiet_end_ns):
            self._final_end_ns = now_ns + self.plan.timing.final_ns
            self._enter(FINAL, "quiet_end" if "healed" in self.marks and not self._stopped else None, now_ns)
            self._begin_final()
        if self.phase is FINAL and self._finished(now_ns):
            self._enter(DONE, "end", now_ns)
        return actions

    def _lasts_longer(self, now_ns: int) -> bool:
        """Return whether the load goes on past its time: its faults must meet operations, its workloads show something, and a core stay a quorum."""
        if now_ns >= self._load_limit_ns:
            return False
        if self.plan.liveness is not None and self._faults.moves_voters:
            return True
        missing = self._unacknowledged.workloads
        return (self._faults.unmet and self._may_come()) or any(self._may_come(workload) for workload in missing)

    def _may_come(self, workload: str | None = None) -> bool:
        """Return whether operations are under way, or may still begin."""
        return any(
            client.may_come for client in self._clients.values() if workload is None or client.slot.workload == workload
        )

    def _end_load(self, now_ns: int) -> None:
        if self.plan.liveness is None or self._stopped:
            self._enter(HEAL, "load_end", now_ns)
        else:
            self._isolation = Isolation(self._faults, self.plan.liveness)
            self._enter(ISOLATE, "load_end", now_ns)

    def _isolate(self, now_ns: int) -> list[FaultAction]:
        """Isolate a core, and later reconnect it."""
        actions: list[FaultAction] = []
        if self.phase is ISOLATE and self._isolation is not None:
            if self._stopped:
                if not self._isolation.healing:
                    self._enter(HEAL, "liveness_end", now_ns)
                return actions
            actions, alone = self._isolation.step(now_ns)
            if alone and self._faults.unhealed:
                text = "; ".join(f"{fault}: {why}" for fault, why in self._faults.unhealed.items())
                self._give_up_liveness(
                    now_ns, f"there was no liveness phase, because its cluster could not be prepared: {text}"
                )
            elif alone:
                self._enter(LIVENESS, "core_healed", now_ns)
        if self.phase is LIVENESS and (self._stopped or now_ns >= self._liveness_end_ns()):
            self._enter(HEAL, "liveness_end", now_ns)
        return actions

    def _give_up_liveness(self, now_ns: int, why: str) -> None:
        """Skip the liveness phase: a core that is not healthy promises nothing."""
        self.unhealed = why
        self._enter(HEAL, "liveness_end", now_ns)

    def _liveness_end_ns(self) -> int:
        assert self.plan.liveness is not None
        return self.marks["core_healed"] + self.plan.liveness.for_ns

    def _begin_final(self) -> None:
        for client in self._clients.values():
            slot = client.slot
            if slot.workload == SETTLE:
                client.generator = NOTHING if self._stopped else through_a_node()
                client.exhausted = False
                continue
            closing = client.generator.closing()
            final = self.plan.final_of(slot, sorted(self._keys.get(slot.workload, {})))
            client.generator = NOTHING if self._stopped else sequence(closing, final)
            client.pending = None
            # Counted like a slot with pinned operations, which is asked once more than it has operations.
            client.count += client.waiting
            client.exhausted = client.waiting = False
            client.fresh |= closing is NOTHING  # what a client holds may end with its connection

    def _finished(self, now_ns: int) -> bool:
        if now_ns >= self._final_end_ns:
            return all(client.running is None for client in self._clients.values())
        for client in self._clients.values():
            if client.running is None and client.pending is None and not client.exhausted:
                self._draw(client, now_ns)
        return all(client.running is None and client.exhausted for client in self._clients.values())

    def _enter(self, phase: Phase, mark: str | None, now_ns: int) -> None:
        self.phase = phase
        if mark is not None:
            self.marks[mark] = now_ns

    def _wake(self, now_ns: int) -> int | None:
        """Return the earliest time at which something is due by itself; None when only a completion can change anything."""
        if self.phase is DONE:
            return None
        if self.phase is HEAL:
            return self._heal_at_ns if self._heal_tries and not self._healing else None
        if self.phase is QUIET:
            return self._quiet_end_ns
        times = [pending.at_ns for client in self._clients.values() if (pending := client.pending) is not None]
        if self.phase is FINAL:
            return min([*times, self._final_end_ns]) if self._may_invoke(now_ns) else None
        if self.phase is LOAD:
            load_ns = self.plan.timing.load_ns
            times += [*self._faults.next_ns(now_ns), load_ns if now_ns < load_ns else self._load_limit_ns]
        elif self.phase is LIVENESS:
            times.append(self._liveness_end_ns())
        elif self._isolation is not None and self._isolation.wait_until_ns is not None:
            times.append(self._isolation.wait_until_ns)
        return min(times, default=None)
