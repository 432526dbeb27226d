"""Carries out a plan's actions on a simulated cluster, and undoes each at its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...keyed_random import draw, happens
from ..cluster.cluster import Edge, SimCluster
from ..options import MILLISECOND, SECOND
from .plan import LEADER, Action, SoakPlan
from .watch import Watch


class Actor:
    """`applied` counts what really happened, by kind."""

    def __init__(self, cluster: SimCluster, plan: SoakPlan, watch: Watch) -> None:
        self._cluster, self._plan, self._watch = cluster, plan, watch
        self._asked = 0
        self.applied: dict[str, int] = {}
        self.rotten: set[str] = set()
        self._ambushed = 0
        cluster.halt_watchers.append(self._restart_late)

    def schedule(self) -> None:
        for action in self._plan.actions:
            self._cluster.schedule(action.at_ns, self._act, action)
        if self._plan.ambushes:
            self._cluster.watchers.append(self._lurk)

    def bridge(self) -> None:
        """Cut the leader and one other node off from each other, alone."""
        nodes = self._plan.nodes
        leader = self._resolve(LEADER)
        other = nodes[(nodes.index(leader) + (self._plan.bridged or 1)) % len(nodes)]
        self._cluster.cut([(leader, other), (other, leader)])

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

    def _lurk(self, line: Mapping[str, Any]) -> None:
        leads = self._watch.leader is not None and self._watch.leader[1] == line["node"]
        for ambush in self._plan.ambushes:
            if line["event"] != ambush.event or not leads or self._cluster.now_ns >= self._plan.chaos_ns:
                continue
            self._ambushed += 1
            if happens(draw(self._plan.seed, 0xA3B, self._ambushed), ambush.chance_ppm):
                action = Action(-1, self._cluster.now_ns, ambush.kind, line["node"], ambush.for_ns)
                self._cluster.schedule(action.at_ns, self._act, action)

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
            case "isolate" | "clock-cut" | "transfer-cut":
                return self._isolate(action, target)
            case "reject":
                cluster.reject(target, True)
                return lambda: cluster.reject(target, False)
            case "rot":
                self._rot(target, action.detail)
                return lambda: cluster.start(target)
            case "wipe":
                cluster.kill(target)
                cluster.wipe(target)
                self._watch.wiped(target)
                return lambda: cluster.start(target)
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

    def _isolate(self, action: Action, target: str) -> Callable[[], None]:
        """Cut a node off from the other nodes; the action's kind says what happens before, or with it."""
        cluster = self._cluster
        others = [name for name in self._plan.nodes if name != target]
        out, back = [(target, name) for name in others], [(name, target) for name in others]
        if action.kind == "clock-cut":
            cluster.shift_wall(target, -60 * SECOND)
        elif action.kind == "transfer-cut":
            # The request to start an election goes out; nothing that follows comes back.
            self._ask(target, {"admin": "transfer", "to": action.detail})
            out = []
        cluster.cut(out + back)
        return lambda: cluster.heal(out + back)

    def _rot(self, target: str, bits: int) -> None:
        """Flip one bit of its newest log file, in the last bytes half of the time."""
        self._cluster.power_loss(target)
        newest = self._cluster.nodes[target].disk.inodes()[-1]
        size = len(newest.durable)
        if size:
            self.rotten.add(target)
            # A share of the file, so that one that is a little longer is damaged in about the same place.
            share = (bits >> 8) % 1024
            position = share * size // 1024 if bits & 1 else size - 1 - share % min(size, 100)
            for content in (newest.durable, newest.cached):
                content[position] ^= 1 << (bits >> 4 & 7)

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
