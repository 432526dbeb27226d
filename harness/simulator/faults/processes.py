"""Processes and their hosts: killed, stopped, without power, restarted with an empty disk."""

from __future__ import annotations

from abc import ABC, abstractmethod

from ...errors import FaultError
from ...nemesis.faults.damageable import may_be_damaged
from ...nemesis.faults.fault import Observation, Resolved
from ..cluster.node import Process
from ..cluster.probes import Matrix
from ..options import SECOND
from .ground import BOOT_NS, Ground, Then

STILL_DOWN_NS = 2 * SECOND
"""How long after a heal a process may still be down: one that halted for its disk is started when a probe has seen that the disk works."""


class _ProcessFaults(ABC):
    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def inject(self, fault: Resolved, then: Then) -> None:
        self._begin(fault, list(fault.what["nodes"]), then)

    @abstractmethod
    def _begin(self, fault: Resolved, nodes: list[str], then: Then) -> None: ...

    def heal(self, fault: Resolved, then: Then) -> None:
        ground, ident = self._ground, fault.intent.id
        ground.resume(ground.stopped.pop(ident, []))
        down = ground.down.pop(ident, [])
        ground.start(down)
        slow_ns = self._hold_for_a_while(fault, down)
        ground.later(slow_ns + BOOT_NS if down else 1, then, lambda: ground.running(fault.what["nodes"], fault))

    def _hold_for_a_while(self, fault: Resolved, nodes: list[str]) -> int:
        """Begin a slow start: the processes are stopped from their first moment, by no active fault. Returns for how long."""
        slow_ns: int = fault.what.get("slow_start_ns", 0)
        ground, name = self._ground, f"{fault.intent.id}/slow-start"
        if slow_ns and nodes:
            for node in nodes:
                ground.cluster.pause(node)
            ground.stopped[name] = nodes
            ground.cluster.schedule(
                ground.cluster.now_ns + slow_ns, lambda: ground.resume(ground.stopped.pop(name, []))
            )
        return slow_ns

    def forget(self) -> None:
        self._ground.down.clear()
        self._ground.stopped.clear()


class Kills(_ProcessFaults):
    def _begin(self, fault: Resolved, nodes: list[str], then: Then) -> None:
        ground = self._ground
        for node in nodes:
            ground.cluster.kill(node)
        ground.down[fault.intent.id] = nodes
        ground.soon(then, ground.processes(nodes, Process.DOWN, Process.HALTED))


class Pauses(_ProcessFaults):
    def _begin(self, fault: Resolved, nodes: list[str], then: Then) -> None:
        ground, now_ns = self._ground, self._ground.cluster.now_ns
        for node in nodes:
            ground.cluster.pause(node)
        ground.stopped[fault.intent.id] = nodes
        seen = ground.processes(nodes, Process.PAUSED)
        # What another fault holds down is stopped as soon as it is started.
        held = {node for others in ground.down.values() for node in others}
        free = [node for node in nodes if node not in held]
        verified = bool(free) and ground.processes(free, Process.PAUSED).verified
        running = [node for node in free or nodes if ground.cluster.process(node) is not Process.PAUSED]
        hidden = {} if verified else ground.hidden_by(fault, running, now_ns - STILL_DOWN_NS)
        ground.soon(then, Observation(verified, {**seen.observed, **hidden}))


class PowerLosses(_ProcessFaults):
    def _begin(self, fault: Resolved, nodes: list[str], then: Then) -> None:
        """Cut the power. The link goes first: nothing is sent any more, and packets on their way are lost."""
        ground = self._ground
        disks = {node: ground.cluster.nodes[node].disk for node in nodes}
        before = {node: (disk.lost_bytes, disk.torn_writes) for node, disk in disks.items()}
        for node in nodes:
            ground.cluster.power_loss(node)
        ground.down[fault.intent.id] = nodes
        lost = {node: disk.lost_bytes - before[node][0] for node, disk in disks.items()}
        torn = {node: disk.torn_writes - before[node][1] for node, disk in disks.items()}

        def probed(matrix: Matrix) -> None:
            reached = sorted({target for (_, target), arrived in matrix.items() if arrived and target in disks})
            seen = ground.processes(nodes, Process.DOWN, Process.HALTED)
            facts = {**seen.observed, "reached": reached, "lost_bytes": lost, "torn_writes": torn}
            then(Observation(seen.verified and not reached, facts))

        ground.probes.reachability(probed)


class Wipes(_ProcessFaults):
    """Wiped disks; those of a quorum are never wiped."""

    def _begin(self, fault: Resolved, nodes: list[str], then: Then) -> None:
        ground, cluster = self._ground, self._ground.cluster
        voters = dict(ground.situation().voters)
        if may_be_damaged(voters, ground.wiped, nodes) != nodes:
            ground.soon(
                then,
                FaultError(
                    f"wipe {fault.intent.id}: with {sorted({*ground.wiped, *nodes})} wiped, no quorum of {voters} would remember",
                    "wipe fewer nodes in one run",
                ),
            )
            return
        for node in nodes:
            cluster.power_loss(node)
            cluster.wipe(node)
        ground.down[fault.intent.id] = nodes
        ground.wiped.update(nodes)
        seen = ground.processes(nodes, Process.DOWN, Process.HALTED)
        left = {node: sorted(cluster.nodes[node].disk.files()) for node in nodes}
        verified = seen.verified and not any(left.values())
        ground.soon(then, Observation(verified, {**seen.observed, "files": left}))
