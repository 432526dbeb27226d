"""The driver under virtual time: the runner, plan, client protocol, journal and ledger are those of a run on hosts.

Everything happens in one thread; time passes from event to event. `simulated` gives it a cluster and keeps the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from tribulation.node.wire import FrameError

from ...errors import FaultError
from ...nemesis.faults.fault import Observation, Resolved
from ...nemesis.faults.ledger import LedgerSink
from ...nemesis.faults.triggers import Happened, latency, set_off, situated
from ...nemesis.topology.resolve import resolve
from ...progress import Notify
from ...simulator.cluster.cluster import SimCluster
from ...simulator.cluster.moments import watch_moments
from ...simulator.coverage.rivals import watch_rivals
from ...simulator.faults.ground import AGAIN_NS
from ...simulator.faults.injector import SimInjector
from ...simulator.network.clients import Answer, End
from ...systems.base import Outcome
from ...systems.reference.client import ReferenceProtocol, Request
from ...workloads.generators import Rivals
from ...workloads.sized import Sizes
from ..outcome.run_folder import states_agree
from ..plan.plan import Plan
from .actions import ActionDone, FaultAction, Verb
from .journal import Journal
from .nemesis import require_whole
from .runner import Completion, Invocation, OpDone, Phase, Runner

ELECTION_NS = 5_000_000_000
"""Virtual time before the load in which the cluster may elect its first leader."""

SAMPLE_EVERY_NS = 1_000_000_000
PROGRESS_EVERY_NS = 500_000_000
SETTLE_NS = 5_000_000_000
SETTLE_STEP_NS = 100_000_000


@dataclass(slots=True)
class SimClient:
    """One slot's client: the pure protocol over a simulated connection. `generation` makes late answers of earlier operations harmless."""

    cluster: SimCluster
    slot: int
    sizes: Sizes
    protocol: ReferenceProtocol = field(default_factory=ReferenceProtocol)
    connection: str = ""
    generation: int = 0

    def invoke(
        self, invocation: Invocation, deadline_ns: int, timeout_s: float, done: Callable[[Outcome], None]
    ) -> None:
        if invocation.fresh:
            self.cluster.disconnect(self.connection, invocation.slot.node) if self.connection else None
            self.protocol = ReferenceProtocol()
            self.connection = f"client-{invocation.process}-{self.generation}"
        self.generation += 1
        generation, workload = self.generation, invocation.op.workload

        def end(outcome: Outcome) -> None:
            if generation == self.generation:
                self.generation += 1
                done(self.sizes.shrunk(workload, outcome))

        def send(request: Request) -> None:
            try:
                self.cluster.request(self.connection, invocation.slot.node, request.body, answered)
            except FrameError:  # as the client on hosts ends it: a value of a plugin that no frame holds
                outcome = self.protocol.disconnected("connection-lost")
                self.cluster.schedule(self.cluster.now_ns, lambda: end(outcome))

        def answered(answer: Answer) -> None:
            if generation != self.generation:
                return
            if answer.end is End.REFUSED:
                end(self._refused())
            elif answer.end is End.LOST:
                end(self.protocol.disconnected("connection-lost"))
            else:
                step = self.protocol.receive(answer.body or {})
                if isinstance(step, Request):
                    send(step)
                elif step is not None:
                    end(step)

        def expired() -> None:
            if generation == self.generation:
                end(self.protocol.expire())

        self.cluster.schedule(deadline_ns, expired)
        send(self.protocol.begin(self.sizes.grown(invocation.op), timeout_s))

    def _refused(self) -> Outcome:
        """Return the outcome of a request that never reached a process: the operation did not happen, whatever its kind."""
        outcome = self.protocol.disconnected("no-connection")
        return Outcome("fail", outcome.value, outcome.error, outcome.extra)


class VirtualDriver:
    """Driver of a runner over a simulated cluster. Run time 0 is the cluster's time at construction."""

    def __init__(
        self,
        plan: Plan,
        cluster: SimCluster,
        injector: SimInjector,
        journal: Journal,
        ledger: LedgerSink,
        notify: Notify,
    ) -> None:
        self._plan, self._cluster, self._injector = plan, cluster, injector
        self._journal, self._ledger, self._notify = journal, ledger, notify
        self._start_ns = cluster.now_ns
        self._clients = {slot.slot: SimClient(cluster, slot.slot, plan.sizes) for slot in (*plan.slots, *plan.settling)}
        self._active: dict[str, Resolved] = {}
        self._completions: list[Completion] = []
        self._next_progress_ns = 0
        self.errors: list[str] = []

    def run(self) -> Runner:
        runner, calm = Runner(self._plan), False
        if (early := self._journal.early) is not None:
            self._cluster.watchers.append(lambda line: early.traced(self._now_ns(), line))
        if any(intent.on is not None for intent in self._plan.intents):
            watch_moments(self._cluster, partial(self._happened, runner))
        if self._plan.pinned is None and any(workload.spec.reactive for workload in self._plan.workloads.values()):
            watch_rivals(self._cluster, self._rivals)
        while True:
            completions, self._completions = self._completions, []
            step = runner.step(self._now_ns(), completions)
            if step.phase is Phase.DONE:
                self.errors += [runner.unhealed] if runner.unhealed else []
                return runner
            if not calm and (step.phase is Phase.LIVENESS or (step.phase is Phase.QUIET and self._plan.settling)):
                # A recovering node must be reachable: on an unfair network no system can promise liveness. A rest that is broken stays broken.
                self._cluster.calm()
                calm = True
            for invocation in step.invocations:
                self._begin(invocation)
            for action in step.actions:
                self._act(action)
            wake_ns = step.wake_ns if step.wake_ns is not None else self._now_ns() + SAMPLE_EVERY_NS
            if not self._completions:
                self._cluster.run_until(self._start_ns + wake_ns)
            self._progress(step.phase)

    def final_states(self) -> dict[str, Mapping[str, Any]]:
        """The state that every running node reports at the end. Nodes with host agents are never idle, and the last write may be under way:
        they are asked again for a while, as on real hosts, until they agree."""
        states = self._states()
        busy = bool(self._plan.settling) or (self._plan.options.get("system") or {}).get("agents") is not None
        until_ns = self._cluster.now_ns + (SETTLE_NS if busy else 0)
        while self._cluster.now_ns < until_ns and not states_agree(states):
            self._cluster.run_until(self._cluster.now_ns + SETTLE_STEP_NS)
            states = self._states()
        return states

    def _states(self) -> dict[str, Mapping[str, Any]]:
        states: dict[str, Mapping[str, Any]] = {}

        def keep(node: str) -> Callable[[Answer], None]:
            def answered(answer: Answer) -> None:
                if answer.end is End.REPLY and answer.body is not None and answer.body.get("status") == "ok":
                    states[node] = {**states.get(node, {}), **answer.body}

            return answered

        for node in self._plan.nodes:
            for number, question in enumerate(("status", "digest")):
                self._cluster.request("final-status", node, {"id": number, "admin": question}, keep(node))
        limit_ns = self._cluster.now_ns + ELECTION_NS
        self._cluster.run_while(
            lambda: sum("digest" in state for state in states.values()) < len(self._plan.nodes), limit_ns
        )
        return states

    def monotonic_offsets_ns(self) -> dict[str, tuple[int, int]]:
        """Return by node its monotonic clock minus run time, and the most that drift ever moved it from that. Hosts that were booted again are left out."""
        offsets = {
            name: node.clock.offset_of_run_ns(self._cluster.now_ns) for name, node in self._cluster.nodes.items()
        }
        return {name: (found[0] + self._start_ns, found[1]) for name, found in offsets.items() if found is not None}

    def boot_offsets_ns(self) -> dict[str, dict[int, tuple[int, int]]]:
        """Return the same for hosts that were booted again: for each boot, by its first incarnation."""
        now_ns, found = self._cluster.now_ns, {}
        for name, node in self._cluster.nodes.items():
            if node.clock.boots > 1:
                offsets = [*node.clock.earlier, node.clock.offset_of_boot_ns(now_ns)]
                of_node = [(offset + self._start_ns, error) for offset, error in offsets]
                found[name] = dict(zip(node.first_of_boot, of_node, strict=True))
        return found

    def _now_ns(self) -> int:
        return self._cluster.now_ns - self._start_ns

    def _completed(self, completion: Completion) -> None:
        """Report a completion to the runner before anything else happens."""
        self._completions.append(completion)
        self._cluster.interrupt()

    def _happened(self, runner: Runner, event: str, node: str) -> None:
        now_ns = self._now_ns()
        if event in runner.listening(now_ns):
            self._completed(Happened(event, node, now_ns))

    def _rivals(self, new: str, old: str | None) -> None:
        self._completed(Rivals(new, old, self._now_ns()))

    def _begin(self, invocation: Invocation) -> None:
        self._journal.invoked(self._now_ns(), invocation)
        slot = invocation.slot.slot

        def done(outcome: Outcome) -> None:
            self._journal.completed(self._now_ns(), invocation, outcome)
            self._completed(OpDone(slot, outcome))

        timeout_s = self._plan.timing.operation_ns / 1e9
        self._clients[slot].invoke(invocation, self._start_ns + invocation.deadline_ns, timeout_s, done)

    # Faults: the same lines in history and ledger as `nemesis.Nemesis` and `HostInjector` write, without blocking.

    def _act(self, action: FaultAction) -> None:
        if action.verb is Verb.HEAL_ALL:
            self._record("heal-all", {"active": sorted(self._active)})
            healed = dict(self._active)
            for resolved in healed.values():
                self._ledger.step("healing", resolved, self._now_ns())
            self._injector.begin_heal_all(lambda seen: self._ended(action, list(healed.values()), "healed", seen))
            self._active.clear()
            return
        assert action.intent is not None
        if action.verb is Verb.HEAL:
            resolved = self._active.pop(action.intent.id)
            self._record("heal", {"fault": action.intent.id, "kind": action.intent.kind})
            self._ledger.step("healing", resolved, self._now_ns())
            self._injector.begin_heal(resolved, lambda seen: self._ended(action, [resolved], "healed", seen))
            return
        try:
            situation = situated(self._injector.situation(), action.trigger)
            resolved = set_off(resolve(action.intent, situation, self._plan.seed), action.trigger)
        except FaultError as error:
            # What cannot be done now does not end the run: it is reported, as on hosts. Not within this call, which the runner waits for.
            refused = FaultError(f"{action.intent.id}: {error.message}", error.hint)
            self._cluster.schedule(self._cluster.now_ns + 1, self._ended, action, [], "verified", refused)
            return
        if self._injector.waits(resolved):
            # Nothing is recorded before it happens.
            self._cluster.schedule(self._cluster.now_ns + AGAIN_NS, self._act, action)
            return
        self._record("inject", {"fault": action.intent.id, "kind": action.intent.kind, **resolved.what})
        self._ledger.intended(resolved, self._now_ns())
        self._ledger.step("injected", resolved, self._now_ns())
        if action.intent.kind != "voters":
            self._active[action.intent.id] = resolved
        delays = latency(resolved, self._now_ns())

        def ended(seen: Observation | FaultError) -> None:
            if delays and isinstance(seen, Observation):
                seen = replace(seen, observed={**seen.observed, **delays})
            self._ended(action, [resolved], "verified", seen)

        self._injector.begin_inject(resolved, ended)

    def _ended(self, action: FaultAction, faults: list[Resolved], phase: str, seen: Observation | FaultError) -> None:
        now = self._now_ns()
        if action.verb is Verb.HEAL_ALL and isinstance(seen, Observation):
            try:
                require_whole(seen)
            except FaultError as error:
                seen = error
        if isinstance(seen, FaultError):
            if action.verb is not Verb.HEAL_ALL and not action.may_fail:
                self.errors.append(f"{action.verb.value}: {seen}")
            for resolved in faults:
                self._ledger.failed(resolved, now, seen.message)
                self._active.pop(resolved.intent.id, None)
        else:
            for resolved in faults:
                self._ledger.observed(phase, resolved, now, seen)
            value = {"verified": seen.verified, "observed": dict(seen.observed)}
            name = action.intent.id if action.intent else None
            self._record({"verified": "injected"}.get(phase, phase), {"fault": name, **value})
        failed = isinstance(seen, FaultError)
        self._completed(ActionDone(action, failed, str(seen) if failed else ""))

    def _record(self, what: str, value: Mapping[str, Any]) -> None:
        self._journal.nemesis(self._now_ns(), what, value)

    def _progress(self, phase: Phase) -> None:
        if self._now_ns() >= self._next_progress_ns:
            self._next_progress_ns = self._now_ns() + PROGRESS_EVERY_NS
            text = self._journal.pulse.text(self._now_ns(), self._plan.timing.load_ns, self._active)
            self._notify(phase.value, text)
