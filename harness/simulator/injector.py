"""`SimInjector`: faults on a simulated cluster, each verified by an observation of its own.

It carries out the kinds of `harness.nemesis.faults`. Under virtual time nobody may block, so every call has a form that answers through a
callback: `begin_inject`, `begin_heal`, `begin_heal_all`. The blocking forms of the `Injector` protocol run the simulation until that
answer has come, and are for callers outside of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import FaultError
from ..nemesis.faults import Observation, Resolved, Situation
from .clocks import EPOCH_NS
from .cluster import Edge, SimCluster
from .node import Process
from .options import MILLISECOND, SECOND
from .probes import Matrix, Probes, unreachable
from .reconfigure import Reconfiguration

Then = Callable[["Observation | FaultError"], None]

CAPABILITIES = frozenset({"cut", "kill", "pause", "clock"})
DEADLINE_NS = 30 * SECOND
CLOCK_TOLERANCE_NS = 50 * MILLISECOND


class SimInjector:
    """One fault is injected and healed by its intent's id; what is in force is known here and nowhere else."""

    def __init__(self, cluster: SimCluster) -> None:
        self._cluster = cluster
        self._probes = Probes(cluster)
        self._cuts: dict[str, list[Edge]] = {}
        self._killed: dict[str, list[str]] = {}
        self._paused: dict[str, list[str]] = {}
        self._shifted: dict[str, dict[str, int]] = {}

    # The protocol

    def situation(self) -> Situation:
        """As the traces tell: the leader is the last one elected in the highest term that has not stepped down since."""
        cluster = self._cluster
        leader, voters = _leader_and_voters(cluster)
        return Situation(tuple(cluster.nodes), voters, leader, tuple(cluster.up))

    def inject(self, fault: Resolved) -> Observation:
        return self._wait(lambda then: self.begin_inject(fault, then), f"inject {fault.intent.kind} {fault.intent.id}")

    def heal(self, fault: Resolved) -> Observation:
        return self._wait(lambda then: self.begin_heal(fault, then), f"heal {fault.intent.kind} {fault.intent.id}")

    def heal_all(self) -> Observation:
        return self._wait(self.begin_heal_all, "heal everything")

    # Under virtual time

    def begin_inject(self, fault: Resolved, then: Then) -> None:
        """Inject now; `then` hears what was observed, or a `FaultError`."""
        begin = {
            "cut": self._cut,
            "kill": self._kill,
            "pause": self._pause,
            "clock": self._shift,
            "voters": self._voters,
        }.get(fault.intent.kind)
        if begin is None:
            self._soon(
                then, FaultError(f"the simulator has no fault of kind {fault.intent.kind!r}", "see docs of faults")
            )
            return
        begin(fault.intent.id, fault.what, then)

    def begin_heal(self, fault: Resolved, then: Then) -> None:
        """Undo one fault; healing what is not in force changes nothing and is observed all the same."""
        ident = fault.intent.id
        edges = self._cuts.pop(ident, [])
        self._cluster.heal(edges)
        for node in self._killed.pop(ident, []):
            self._start_unless_killed(node)
        for node in self._paused.pop(ident, []):
            if not any(node in nodes for nodes in self._paused.values()):
                self._cluster.resume(node)
        for node, offset_ns in self._shifted.pop(ident, {}).items():
            self._cluster.shift_wall(node, -offset_ns)
        self._observe_healed(fault.intent.kind, fault.what, then)

    def begin_heal_all(self, then: Then) -> None:
        """Undo everything, known or not, and see whether every edge, process and clock is as it should be."""
        cluster = self._cluster
        for known in (self._cuts, self._killed, self._paused, self._shifted):
            known.clear()
        cluster.heal_network()
        for name, node in cluster.nodes.items():
            cluster.resume(name)
            cluster.start(name)
            if node.clock.wall_offset_ns:
                cluster.shift_wall(name, -node.clock.wall_offset_ns)

        def observed(matrix: Matrix) -> None:
            closed = unreachable(matrix)
            processes = {name: cluster.process(name).value for name in cluster.nodes}
            whole = not closed and all(state == Process.RUNNING.value for state in processes.values())
            then(Observation(whole, {"unreachable": closed, "processes": processes}))

        self._probes.reachability(observed)

    # Kinds

    def _cut(self, ident: str, what: Mapping[str, Any], then: Then) -> None:
        edges = [(source, target) for source, target in what["edges"]]
        unknown = [edge for edge in edges if edge not in self._cluster.network.links]
        if unknown:
            self._soon(
                then, FaultError(f"cut {ident}: no edge {unknown[0]}", "name nodes of the cluster, or `clients`")
            )
            return
        self._cluster.cut(edges)
        self._cuts[ident] = edges
        self._probes.reachability(lambda matrix: then(_judge_cut(matrix, edges)))

    def _kill(self, ident: str, what: Mapping[str, Any], then: Then) -> None:
        nodes = list(what["nodes"])
        for node in nodes:
            self._cluster.kill(node)
        self._killed[ident] = nodes
        self._soon(then, self._processes(nodes, (Process.DOWN, Process.HALTED)))

    def _pause(self, ident: str, what: Mapping[str, Any], then: Then) -> None:
        nodes = list(what["nodes"])
        for node in nodes:
            self._cluster.pause(node)
        self._paused[ident] = nodes
        self._soon(then, self._processes(nodes, (Process.PAUSED,)))

    def _shift(self, ident: str, what: Mapping[str, Any], then: Then) -> None:
        offsets_ns = dict(what["offsets_ns"])
        before = {node: self._wall_offset_ns(node) for node in offsets_ns}
        for node, offset_ns in offsets_ns.items():
            self._cluster.shift_wall(node, offset_ns)
        self._shifted[ident] = offsets_ns
        seen = {node: self._wall_offset_ns(node) for node in offsets_ns}
        moved = all(
            abs(seen[node] - before[node] - offset_ns) < CLOCK_TOLERANCE_NS for node, offset_ns in offsets_ns.items()
        )
        self._soon(then, Observation(moved, {"offsets_ns": seen}))

    def _voters(self, ident: str, what: Mapping[str, Any], then: Then) -> None:
        def ended(error: FaultError | None) -> None:
            then(error if error is not None else Observation(True, {"voters": dict(self.situation().voters)}))

        deadline_ns = self._cluster.now_ns + DEADLINE_NS
        Reconfiguration(self._cluster, ident, what["voters"], deadline_ns, lambda: self.situation().leader, ended).ask()

    # Observation

    def _observe_healed(self, kind: str, what: Mapping[str, Any], then: Then) -> None:
        if kind == "cut":
            edges = [(source, target) for source, target in what["edges"]]
            still = [edge for other in self._cuts.values() for edge in other]

            def observed(matrix: Matrix) -> None:
                closed = [edge for edge in edges if not matrix[edge] and edge not in still]
                then(Observation(not closed, {"edges": sorted(map(list, closed))}))

            self._probes.reachability(observed)
        elif kind in ("kill", "pause"):
            held = [node for group in (*self._killed.values(), *self._paused.values()) for node in group]
            nodes = [node for node in what["nodes"] if node not in held]
            self._soon(then, self._processes(nodes, (Process.RUNNING,)))
        elif kind == "clock":
            seen = {node: self._wall_offset_ns(node) for node in what["offsets_ns"]}
            left = {node: sum(o.get(node, 0) for o in self._shifted.values()) for node in seen}
            back = all(abs(seen[node] - left[node]) < CLOCK_TOLERANCE_NS for node in seen)
            self._soon(then, Observation(back, {"offsets_ns": seen}))
        else:
            self._soon(then, Observation(True, {}))

    def _processes(self, nodes: list[str], wanted: tuple[Process, ...]) -> Observation:
        states = {node: self._cluster.process(node) for node in nodes}
        verified = all(state in wanted for state in states.values())
        return Observation(verified, {"processes": {node: state.value for node, state in states.items()}})

    def _wall_offset_ns(self, node: str) -> int:
        """This host's wall clock against the harness's, both read now."""
        return self._cluster.nodes[node].wall_ns() - EPOCH_NS - self._cluster.now_ns

    def _start_unless_killed(self, node: str) -> None:
        if not any(node in nodes for nodes in self._killed.values()):
            self._cluster.start(node)

    def _soon(self, then: Then, result: Observation | FaultError) -> None:
        """Never within the call: a caller that schedules its next step must have returned first."""
        self._cluster.schedule(self._cluster.now_ns + MILLISECOND, then, result)

    def _wait(self, begin: Callable[[Then], None], what: str) -> Observation:
        results: list[Observation | FaultError] = []
        begin(results.append)
        if not self._cluster.run_while(lambda: not results, self._cluster.now_ns + 2 * DEADLINE_NS):
            raise FaultError(f"{what}: nothing was observed in {2 * DEADLINE_NS // SECOND} s", "look at the traces")
        result = results[0]
        if isinstance(result, FaultError):
            raise result
        return result


def _judge_cut(matrix: Matrix, edges: list[Edge]) -> Observation:
    leaking = [edge for edge in edges if matrix[edge]]
    return Observation(not leaking, {"edges": unreachable(matrix), "leaking": sorted(map(list, leaking))})


def _leader_and_voters(cluster: SimCluster) -> tuple[str | None, dict[str, int]]:
    """From the trace lines, latest last: who was elected in the highest term and still leads, and the weights committed last."""
    leader: tuple[int, str] | None = None
    config: tuple[int, dict[str, int]] = (-1, {})
    for name, node in cluster.nodes.items():
        lines = cluster.traces[name]
        current = [line for line in lines if line["incarnation"] == node.incarnation]
        role = next((line for line in reversed(current) if line["event"] in ("leader", "follower")), None)
        if (
            node.alive
            and role is not None
            and role["event"] == "leader"
            and (leader is None or role["term"] > leader[0])
        ):
            leader = (role["term"], name)
        commit = next((line for line in reversed(lines) if line["event"] == "commit"), None)
        if commit is not None and commit["index"] > config[0]:
            config = (commit["index"], dict(commit["voters"]))
    voters = config[1] or dict(next(iter(cluster.nodes.values())).config.voters)
    return (leader[1] if leader is not None else None), voters
