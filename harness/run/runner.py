"""The pure heart of a run: which operation and which fault comes next. It knows no threads, no sockets and no clock.

    step = runner.step(now_ns, completions)     →  invocations to try now, fault actions to carry out, when to call again

Two drivers run it: one with threads and sockets (`threads`), one under virtual time (`virtual`). The driver records what the runner
returns, in its order, and reports back what became of it.

A run has four phases: *load* (operations and faults), *heal* (everything undone), *quiet* (nothing), *final* (reads of every key).
A process whose operation ends in `info` is retired; its slot goes on under a new process number with a fresh client.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from ..nemesis.faults import Intent
from ..systems.base import Op, Outcome
from ..workloads.register import SEEN
from .generators import NOTHING, Context, Emit, Generator, Timed, time_limit
from .plan import Pinned, Plan, Slot


class Phase(str, Enum):
    LOAD = "load"
    HEAL = "heal"
    QUIET = "quiet"
    FINAL = "final"
    DONE = "done"


class Verb(str, Enum):
    INJECT = "inject"
    HEAL = "heal"
    HEAL_ALL = "heal-all"


@dataclass(frozen=True, slots=True)
class Invocation:
    """Try `op` on `slot`'s client as `process`; it must be over at `deadline_ns`. `fresh`: open a new client first."""

    slot: Slot
    process: int
    op: Op
    deadline_ns: int
    fresh: bool


@dataclass(frozen=True, slots=True)
class FaultAction:
    """`intent` is None for `HEAL_ALL`."""

    verb: Verb
    intent: Intent | None


@dataclass(frozen=True, slots=True)
class OpDone:
    slot: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class ActionDone:
    """A fault action ended; `failed` when it could not be carried out (then there is nothing to heal)."""

    action: FaultAction
    failed: bool = False


Completion = OpDone | ActionDone


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


@dataclass(slots=True)
class _Fault:
    intent: Intent
    injected: bool = False
    busy: bool = False
    over: bool = False
    heal_at_ns: int | None = None


@dataclass(slots=True)
class Runner:
    """`marks` are the run times at which phases ended: `load_end`, `healed`, `quiet_end`, `end`.

    `issued` is every operation of the load as it was tried, before what it stands for was resolved: a plan with these pinned tries the same.
    """

    plan: Plan
    phase: Phase = Phase.LOAD
    marks: dict[str, int] = field(default_factory=dict)
    issued: list[Pinned] = field(default_factory=list)
    _clients: dict[int, _Client] = field(default_factory=dict)
    _faults: list[_Fault] = field(default_factory=list)
    _seen: dict[str, Any] = field(default_factory=dict)
    _keys: dict[str, dict[str, None]] = field(default_factory=dict)
    _retired: int = 1
    """What is added to the process number of a client whose process was retired."""
    _healing: bool = False
    _stopped: bool = False

    def __post_init__(self) -> None:
        self._clients = {slot.slot: _Client(slot, self._load(slot), slot.slot) for slot in self.plan.slots}
        self._retired = max(self._clients, default=0) + 1
        self._faults = [_Fault(intent) for intent in sorted(self.plan.intents, key=lambda i: (i.at_ns, i.id))]

    def _load(self, slot: Slot) -> Generator:
        plan = self.plan
        if plan.pinned is None:
            return time_limit(plan.timing.load_ns, plan.workloads[slot.workload].load())
        return Timed(tuple((pinned.at_ns, pinned.op) for pinned in plan.pinned if pinned.slot == slot.slot))

    def stop(self) -> None:
        """End the load now (the user asked): the next step heals, and no final reads are made."""
        self._stopped = True

    def step(self, now_ns: int, completions: Sequence[Completion] = ()) -> Step:
        """Take in what ended, and say what to do at `now_ns`."""
        for completion in completions:
            if isinstance(completion, OpDone):
                self._complete(self._clients[completion.slot], completion.outcome)
            else:
                self._action_done(now_ns, completion)
        actions = self._advance(now_ns)
        invocations = self._invoke(now_ns) if self._may_invoke(now_ns) else []
        return Step(invocations, actions, self._wake(now_ns), self.phase)

    # Operations.

    def _complete(self, client: _Client, outcome: Outcome) -> None:
        op = client.running
        assert op is not None, f"slot {client.slot.slot} completed an operation that it had not begun"
        client.running = None
        client.generator = client.generator.update(op, outcome)
        if outcome.type == "info":
            client.process += self._retired
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
        return self.phase is Phase.LOAD or (self.phase is Phase.FINAL and now_ns < self._final_end_ns())

    def _final_end_ns(self) -> int:
        return self.marks["quiet_end"] + self.plan.timing.final_ns

    def _invoke(self, now_ns: int) -> list[Invocation]:
        invocations = []
        for client in self._clients.values():
            if client.running is not None or client.exhausted:
                continue
            if client.pending is None:
                self._draw(client, now_ns)
            if client.pending is None or client.pending.at_ns > now_ns:
                continue
            if self.phase is Phase.LOAD:
                self.issued.append(Pinned(client.slot.slot, now_ns, client.pending.op))
            op = self._resolve(client.pending.op)
            client.pending = None
            client.running = op
            self._keys.setdefault(client.slot.workload, {})[op.key] = None
            deadline = now_ns + self.plan.timing.operation_ns
            invocations.append(Invocation(client.slot, client.process, op, deadline, client.fresh))
            client.fresh = False
        return invocations

    def _draw(self, client: _Client, now_ns: int) -> None:
        slot = client.slot
        context = Context(self.plan.seed, slot.workload, slot.client, slot.clients, client.count, now_ns)
        emit, client.generator = client.generator.next(context)
        client.count += 1
        client.exhausted = emit is None
        client.pending = emit

    def _resolve(self, op: Op) -> Op:
        """A cas expects what was last seen on its key; the resolved operation is what history records."""
        if op.f == "cas" and op.value[0] == SEEN:
            return replace(op, value=[self._seen.get(op.key), op.value[1]])
        return op

    # Faults.

    def _action_done(self, now_ns: int, done: ActionDone) -> None:
        if done.action.verb is Verb.HEAL_ALL:
            self._enter(Phase.QUIET, "healed", now_ns)
            return
        fault = next(f for f in self._faults if f.intent is done.action.intent)
        fault.busy = False
        if done.action.verb is Verb.HEAL or done.failed or fault.intent.kind == "voters":
            fault.over = True
        else:
            fault.injected = True
            if fault.intent.for_ns is not None:
                # From now, when it is verified, not from when it was due: on a slow host it would otherwise be over before it began.
                fault.heal_at_ns = now_ns + fault.intent.for_ns

    def _due_actions(self, now_ns: int) -> list[FaultAction]:
        actions = []
        for fault in self._faults:
            if fault.busy or fault.over:
                continue
            if fault.injected:
                if fault.heal_at_ns is not None and fault.heal_at_ns <= now_ns:
                    fault.busy = True
                    actions.append(FaultAction(Verb.HEAL, fault.intent))
            elif fault.intent.at_ns <= now_ns:
                fault.busy = True
                actions.append(FaultAction(Verb.INJECT, fault.intent))
        return actions

    # Phases.

    def _advance(self, now_ns: int) -> list[FaultAction]:
        timing = self.plan.timing
        actions: list[FaultAction] = []
        if self.phase is Phase.LOAD:
            if now_ns < timing.load_ns and not self._stopped:
                return self._due_actions(now_ns)
            self._enter(Phase.HEAL, "load_end", now_ns)
        # A change of voters may itself be waiting for the heal; every other action must have ended before everything is undone.
        changing = any(fault.busy and fault.intent.kind != "voters" for fault in self._faults)
        if self.phase is Phase.HEAL and not self._healing and not changing:
            self._healing = True
            actions.append(FaultAction(Verb.HEAL_ALL, None))
        if self.phase is Phase.QUIET and (self._stopped or now_ns >= self.marks["healed"] + timing.quiet_ns):
            self._enter(Phase.FINAL, "quiet_end", now_ns)
            self._begin_final()
        if self.phase is Phase.FINAL and self._finished(now_ns):
            self._enter(Phase.DONE, "end", now_ns)
        return actions

    def _begin_final(self) -> None:
        for client in self._clients.values():
            slot = client.slot
            keys = sorted(self._keys.get(slot.workload, {}))
            mine = keys if len(keys) <= 64 else keys[slot.client :: slot.clients]
            client.generator = NOTHING if self._stopped else self.plan.workloads[slot.workload].final(tuple(mine))
            client.pending = None
            client.exhausted = False
            client.fresh = True

    def _finished(self, now_ns: int) -> bool:
        if now_ns >= self._final_end_ns():
            return all(client.running is None for client in self._clients.values())
        for client in self._clients.values():
            if client.running is None and client.pending is None and not client.exhausted:
                self._draw(client, now_ns)
        return all(client.running is None and client.exhausted for client in self._clients.values())

    def _enter(self, phase: Phase, mark: str, now_ns: int) -> None:
        self.phase = phase
        self.marks[mark] = now_ns

    def _wake(self, now_ns: int) -> int | None:
        """The earliest time at which something is due by itself; None when only completions can change anything."""
        timing = self.plan.timing
        if self.phase is Phase.DONE or self.phase is Phase.HEAL:
            return None
        if self.phase is Phase.QUIET:
            return self.marks["healed"] + timing.quiet_ns
        times = [client.pending.at_ns for client in self._clients.values() if client.pending is not None]
        if self.phase is Phase.FINAL:
            return min([*times, self._final_end_ns()]) if self._may_invoke(now_ns) else None
        for fault in self._faults:
            if fault.busy or fault.over:
                continue
            due = fault.heal_at_ns if fault.injected else fault.intent.at_ns
            if due is not None:
                times.append(due)
        return min([*times, timing.load_ns])
