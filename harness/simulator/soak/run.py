"""One soak: a plan in, a result out. Safety is watched all the time; after the faults the cluster must recover in bounded time.

The result is a value: `failure` is None, or a kind and a sentence. A run never judges by wall time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tribulation.checkers import Budget, RunRecord, Verdict, checker
from tribulation.histories import Event, History, Type
from tribulation.node.core.core import Core

from ...garbage import rare_collections
from ..cluster.cluster import SimCluster
from ..cluster.node import Process
from ..errors import SafetyViolation, SimulationError
from ..network.clients import Answer
from ..options import MILLISECOND, SECOND
from .actions import Actor
from .aims import aimed_plan
from .clients import SoakClient, SoakHistory
from .plan import SoakPlan
from .watch import Watch

BRIDGED_NS = 6 * SECOND
CHURN_LIMIT = 4
"""Elections in that time, at most: lost messages may cause one now and then; a livelock has one in each election timeout."""


@dataclass
class SoakResult:
    """`failure` is (kind, sentence), `checker` names the checker that objected: `raft-safety` for the watch, availability and convergence
    for what comes after the heal, `invariants` for the core's own assertions. `counts` are the events seen, `digest` names the whole run."""

    plan: SoakPlan
    failure: tuple[str, str] | None
    checker: str | None
    digest: str
    core_events: int
    simulated_ns: int
    ok: int
    fail: int
    info: int
    applied: Mapping[str, int]
    counts: Mapping[str, int]
    recovered_ns: int | None = None
    excused: str | None = None
    """Why the cluster could not recover although nothing is wrong."""
    events: list[Event] = field(default_factory=list)
    cluster: SimCluster | None = None

    @property
    def command(self) -> str:
        keep = ",".join(str(action.number) for action in self.plan.actions)
        flaws = "".join(f" --flaw {name}" for name in self.plan.config["flaws"])
        aim = f" --aim {self.plan.aim}" if self.plan.aim else ""
        lacking = "".join(f" --without {sort}" for sort in self.plan.without)
        return (
            f"python -m tribulation.harness.simulator.soak --seed {self.plan.seed}{flaws}{aim} --keep '{keep}'{lacking}"
        )


def run_seed(seed: int, flaws: tuple[str, ...] = (), aim: str | None = None, **more: Any) -> SoakResult:
    return run_plan(aimed_plan(seed, flaws, aim), **more)


@rare_collections()
def run_plan(plan: SoakPlan, *, check_history: bool = True) -> SoakResult:
    return _Soak(plan).run(check_history)


@rare_collections()
def objections(plan: SoakPlan) -> tuple[tuple[str, str], ...]:
    """All objections as (checker, kind), each once, when the run goes on after the first broken promise."""
    return _Soak(plan, patient=True).everything()


class _Soak:
    def __init__(self, plan: SoakPlan, patient: bool = False) -> None:
        self.plan = plan
        self.cluster = SimCluster(plan.configs(), plan.seed, plan.options)
        self.watch = Watch()
        self.cluster.watchers.append(self._see if patient else self.watch.see)
        self._said: dict[tuple[str, str], None] = {}
        self.actor = Actor(self.cluster, plan, self.watch)
        self.history = SoakHistory(self.cluster)
        self.clients = [self._client(number) for number in range(plan.clients)]
        self._missing: dict[tuple[str, str], int] = {}
        self._statuses: dict[str, Mapping[str, Any]] = {}
        self._ids = 1_000_000
        self._standing = plan.nodes
        """Nodes that must answer in the end: a node whose log is damaged may refuse to start."""
        self.recovered_ns: int | None = None
        self.excused: str | None = None
        self._checker = "availability"

    def _client(self, number: int) -> SoakClient:
        plan, reads = self.plan, number < self.plan.readers
        gap_ns = plan.reader_gap_ns if reads else plan.gap_ns
        return SoakClient(self.cluster, self.history, number, plan.clients, plan.keys, gap_ns, self._working, reads)

    def run(self, check_history: bool) -> SoakResult:
        failure = self._carry_out()
        if failure is None and check_history:
            failure = next(self._judge(), None)
        return self._result(failure)

    def everything(self) -> tuple[tuple[str, str], ...]:
        failure = self._carry_out()
        if failure is not None:
            self._said[self._checker, failure[0]] = None
        for kind, _ in self._judge():
            self._said[self._checker, kind] = None
        return tuple(self._said)

    def _see(self, line: dict[str, Any]) -> None:
        try:
            self.watch.see(line)
        except SafetyViolation as error:
            self._said["raft-safety", error.message.split(":")[0]] = None

    def _carry_out(self) -> tuple[str, str] | None:
        try:
            return self._phases()
        except (SimulationError, AssertionError) as error:
            message = getattr(error, "message", str(error))
            broken = isinstance(error, SafetyViolation)
            self._checker = "raft-safety" if broken else "invariants"
            kind = message.split(":")[0] if broken else type(error).__name__
            return (kind, f"at {self.cluster.now_ns / SECOND:.6f} s: {message}")

    def _phases(self) -> tuple[str, str] | None:
        plan, cluster = self.plan, self.cluster
        cluster.start_all()
        self.actor.schedule()
        for client in self.clients:
            client.start()
        cluster.run_until(plan.chaos_ns)
        if (failure := self._halts() or self._churn()) is not None:
            return failure
        self.actor.heal_all()
        # Long enough for a boot, so that a node that refuses to start has reported it.
        cluster.run_until(cluster.now_ns + 10 * MILLISECOND)
        cluster.run_while(lambda: not all(client.idle for client in self.clients), plan.chaos_ns + 10 * SECOND)
        self._standing = tuple(name for name in plan.nodes if not self._is_lost(name))
        limit_ns = cluster.now_ns + plan.settle_ns
        self._final_reads()
        if not cluster.run_while(lambda: bool(self._missing), limit_ns):
            if self._too_many_torn():
                self.excused = "a quorum lost the tail of its log in a power loss: by design no node may vote"
                return None
            return (
                "not-available",
                f"{plan.settle_ns / SECOND:.0f} s after the heal no answer to {sorted(self._missing)}",
            )
        self.recovered_ns = cluster.now_ns - plan.chaos_ns
        self._ask_statuses()
        if not cluster.run_while(lambda: not self._converged(), limit_ns + 5 * SECOND):
            self._checker = "convergence"
            return ("not-converged", f"states after the quiet period: {self._digests()}")
        return self._halts()

    def _churn(self) -> tuple[str, str] | None:
        """Over a bridge that stays, leaders must not keep deposing each other."""
        if self.plan.bridged is None:
            return None
        cluster, watch = self.cluster, self.watch
        self.actor.heal_all()
        cluster.run_until(cluster.now_ns + 3 * SECOND)
        self.actor.bridge()
        cluster.run_until(cluster.now_ns + 2 * SECOND)
        before = watch.counts.get("leader", 0)
        cluster.run_until(cluster.now_ns + BRIDGED_NS)
        elected = watch.counts.get("leader", 0) - before
        if elected > CHURN_LIMIT:
            return (
                "leaders-depose-each-other",
                f"{elected} elections in {BRIDGED_NS / SECOND:.0f} s over a bridge that stays",
            )
        return None

    def _working(self) -> bool:
        return self.cluster.now_ns < self.plan.chaos_ns

    def _halts(self) -> tuple[str, str] | None:
        """A node stops itself only when its disk failed it."""
        if any(action.kind == "fsync" for action in self.plan.actions):
            return None
        for name, node in self.cluster.nodes.items():
            if node.process is Process.HALTED and not self._is_lost(name):
                return ("halted", f"{name} stopped itself: {node.halt_reason}")
        return None

    def _is_lost(self, name: str) -> bool:
        """Whether it rightly refuses to start on a damaged log."""
        return name in self.actor.rotten and self.cluster.process(name) is Process.HALTED

    def _too_many_torn(self) -> bool:
        """Whether the nodes that know that their log is whole hold half of the weight or less."""
        statuses = [node.core.status() for node in self.cluster.nodes.values() if isinstance(node.core, Core)]
        voters = max(statuses, key=lambda status: status["last_index"])["voters"]
        whole = sum(voters.get(status["node"], 0) for status in statuses if not status["torn"])
        return bool(2 * whole <= sum(voters.values()))

    def _final_reads(self) -> None:
        """Every key is read at every node until it answers."""
        for node in self._standing:
            for key in range(self.plan.keys):
                self._missing[node, f"k{key}"] = 0
                self._read(node, f"k{key}")

    def _read(self, node: str, key: str) -> None:
        self._ids += 1
        process = self._ids
        op = ("read", key, None)
        self.history.record(process, Type.INVOKE, op, node)

        def answered(answer: Answer) -> None:
            body = answer.body or {}
            if body.get("status") == "ok":
                self.history.record(process, Type.OK, ("read", key, body["results"][0]), node)
                del self._missing[node, key]
            else:
                error = str(body.get("error") or answer.reason)
                self.history.record(process, Type.FAIL, op, node, error=error)
                self.cluster.schedule(self.cluster.now_ns + 50 * MILLISECOND, self._read, node, key)

        body = {"id": process, "ops": [["r", key]], "deadline_ms": 1000}
        self.cluster.request(f"final-{key}", node, body, answered)

    def _ask_statuses(self) -> None:
        """Ask for each node's state digest, again and again until all agree."""
        for node in self._standing:
            self._ids += 1
            self.cluster.request("digests", node, {"id": self._ids, "admin": "digest"}, self._take_status)

    def _take_status(self, answer: Answer) -> None:
        if answer.body is not None and answer.body["status"] == "ok":
            self._statuses[answer.body["node"]] = answer.body
        if len(self._statuses) == len(self._standing) and not self._converged():
            self._statuses.clear()
            self.cluster.schedule(self.cluster.now_ns + 100 * MILLISECOND, self._ask_statuses)

    def _digests(self) -> dict[str, tuple[Any, Any]]:
        return {name: (body.get("index"), body.get("digest")) for name, body in sorted(self._statuses.items())}

    def _converged(self) -> bool:
        digests = self._digests()
        return len(digests) == len(self._standing) and len(set(digests.values())) == 1

    def _judge(self) -> Iterator[tuple[str, str]]:
        """Kind and sentence of each checker's first objection."""
        record = RunRecord(
            history=History(self.history.events),
            traces=self.cluster.traces,
            nodes=self.plan.nodes,
            voters=self.plan.voters,
        )
        wiped = any(action.kind == "wipe" for action in self.plan.actions)
        for name in ("linearizable",) if wiped else ("linearizable", "raft-safety"):
            result = checker(name).check(record, Budget(time_s=20))
            if result.verdict is Verdict.INVALID:
                self._checker = name
                anomaly = result.anomalies[0]
                yield (anomaly.kind, f"{anomaly.explanation} (operations {list(anomaly.ops)})")

    def _result(self, failure: tuple[str, str] | None) -> SoakResult:
        count = self.history.count
        return SoakResult(
            self.plan,
            failure,
            self._checker if failure is not None else None,
            self.cluster.digest.hexdigest(),
            self.cluster.core_events,
            self.cluster.now_ns,
            count(Type.OK),
            count(Type.FAIL),
            count(Type.INFO),
            self.actor.applied,
            self.watch.counts,
            self.recovered_ns,
            self.excused,
            self.history.events,
            self.cluster,
        )
