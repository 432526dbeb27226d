"""Carries out a plan's actions on a simulated cluster, and undoes each when its time is over."""

from __future__ import annotations

from collections.abc import Callable

from ..cluster import Edge, SimCluster
from ..options import MILLISECOND
from .plan import LEADER, Action, SoakPlan
from .watch import Watch


class Actor:
    """`applied` counts what really happened, by kind."""

    def __init__(self, cluster: SimCluster, plan: SoakPlan, watch: Watch) -> None:
        self._cluster, self._plan, self._watch = cluster, plan, watch
        self._asked = 0
        self.applied: dict[str, int] = {}
        cluster.halt_watchers.append(self._restart_late)

    def schedule(self) -> None:
        for action in self._plan.actions:
            self._cluster.schedule(action.at_ns, self._act, action)

    def heal_all(self) -> None:
        cluster = self._cluster
        cluster.heal_network()
        for name, node in cluster.nodes.items():
            cluster.resume(name)
            cluster.start(name)
            if node.clock.wall_offset_ns:
                cluster.shift_wall(name, -node.clock.wall_offset_ns)

    def _restart_late(self, node: str, reason: str) -> None:
        """A disk that failed while its node was stopped is noticed after the heal only."""
        if "failed" in reason and self._cluster.now_ns >= self._plan.chaos_ns:
            self._cluster.schedule(self._cluster.now_ns + 100 * MILLISECOND, self._cluster.start, node)

    def _act(self, action: Action) -> None:
        target = self._resolve(action.target)
        self.applied[action.kind] = self.applied.get(action.kind, 0) + 1
        undo = self._inject(action, target)
        if undo is not None:
            self._cluster.schedule(min(self._cluster.now_ns + action.for_ns, self._plan.chaos_ns - 1), undo)

    def _resolve(self, target: str) -> str:
        if target != LEADER:
            return target
        return self._watch.leader[1] if self._watch.leader is not None else self._plan.nodes[0]

    def _inject(self, action: Action, target: str) -> Callable[[], None] | None:
        cluster = self._cluster
        match action.kind:
            case "cut":
                edges = self._edges(action, target)
                cluster.cut(edges)
                return lambda: cluster.heal(edges)
            case "kill":
                cluster.kill(target)
                return lambda: cluster.start(target)
            case "power":
                cluster.power_loss(target)
                return lambda: cluster.start(target)
            case "kill-power":
                cluster.kill(target)
                restart_ns, dark_ns = cluster.now_ns + 5 * MILLISECOND, cluster.now_ns + action.detail
                cluster.schedule(restart_ns, cluster.start, target)
                cluster.schedule(dark_ns, cluster.power_loss, target)
                return lambda: cluster.start(target)
            case "blackout":
                for name in self._plan.nodes:
                    cluster.power_loss(name)
                return cluster.start_all
            case "pause":
                cluster.pause(target)
                return lambda: cluster.resume(target)
            case "clock":
                cluster.shift_wall(target, action.detail)
            case "fsync":
                cluster.fail_next_fsync(target)
                return lambda: cluster.start(target)
            case "stall":
                cluster.stall_disk(target, cluster.now_ns + action.for_ns)
            case "clog":
                if action.detail != target:
                    cluster.clog(target, action.detail, cluster.now_ns + action.for_ns)
            case "transfer":
                self._ask(target, {"admin": "transfer", "to": action.detail})
            case "voters":
                self._ask(target, {"admin": "voters", "voters": action.detail})
        return None

    def _ask(self, node: str, body: dict[str, object]) -> None:
        self._asked += 1
        self._cluster.request("admin", node, {"id": self._asked, "deadline_ms": 2000, **body}, lambda answer: None)

    def _edges(self, action: Action, target: str) -> list[Edge]:
        here = [target if name == LEADER else name for name in action.detail["here"]]
        spared, ways = action.detail.get("spared"), action.detail["ways"]
        there = [name for name in self._plan.nodes if name not in here and name != spared]
        out = [(a, b) for a in here for b in there]
        back = [(b, a) for a, b in out]
        return out + back if ways == "both" else out if ways == "out" else back
