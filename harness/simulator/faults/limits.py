"""Processes that lack a resource: processor time, memory or descriptors. Each fault is observed by what the process does, or does no longer.

A simulated process has no size. So a memory limit acts at random: the kernel kills the process when the limit comes, and again each time after
it has run for a drawn while; its supervisor starts it again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from tribulation.node.core.interface.effects import Effect

from ...keyed_random import draw, exponential, key_of
from ...nemesis.faults.fault import CLIENTS, Observation, Resolved
from ..cluster.node import CPU_PERIOD_NS, WHOLE, Process
from ..options import MILLISECOND, SECOND
from .ground import BOOT_NS, Ground, Then

LOOK_NS = 4 * CPU_PERIOD_NS
RESTART_NS = 100 * MILLISECOND
GROWS_NS = 1 * SECOND
"""How long a process runs on average before it needs more memory than the limit."""


class _LimitFaults(ABC):
    """Base of the limits. `_active` are the active faults in their order: of two the stricter one holds."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._active: dict[str, Resolved] = {}

    def inject(self, fault: Resolved, then: Then) -> None:
        self._active[fault.intent.id] = fault
        self._apply(fault)
        self._look(fault, then)

    def heal(self, fault: Resolved, then: Then) -> None:
        self._active.pop(fault.intent.id, None)
        self._apply(fault)
        self._ground.later(BOOT_NS, then, lambda: self._ground.running(fault.what["nodes"], fault))

    def forget(self) -> None:
        self._active.clear()

    @abstractmethod
    def _apply(self, fault: Resolved) -> None:
        """Bring the limits of its nodes up to date."""

    @abstractmethod
    def _look(self, fault: Resolved, then: Then) -> None:
        """Observe that it is on."""

    def _active_on(self, node: str) -> list[Mapping[str, Any]]:
        return [fault.what for fault in self._active.values() if node in fault.what["nodes"]]

    def _hidden(self, fault: Resolved, nodes: list[str], since_ns: int) -> dict[str, list[str]]:
        return self._ground.hidden_by(fault, nodes, since_ns)


class CpuLimits(_LimitFaults):
    def _apply(self, fault: Resolved) -> None:
        for node in fault.what["nodes"]:
            share_ppm = min((what["share_ppm"] for what in self._active_on(node)), default=WHOLE)
            self._ground.cluster.starve(node, share_ppm)

    def _look(self, fault: Resolved, then: Then) -> None:
        """Observe in which part of its periods each process has its turns. One that sleeps through all of them shows nothing."""
        cluster, since_ns = self._ground.cluster, self._ground.cluster.now_ns
        turns: dict[str, list[int]] = {node: [] for node in fault.what["nodes"]}
        # The turn that was due when it began is not delayed any more.
        due = {node for node in turns if cluster.nodes[node].turn_is_due}

        def watch(node: str, effects: list[Effect]) -> None:
            if node in turns:
                turns[node].append(cluster.now_ns)

        cluster.effect_watchers.append(watch)

        def judge() -> Observation:
            cluster.effect_watchers.remove(watch)
            counted = {node: times[node in due :] for node, times in turns.items()}
            shares = {node: _share_of_periods(times) for node, times in counted.items() if times}
            starved = [node for node, share in shares.items() if share <= fault.what["share_ppm"] + WHOLE // 100]
            rest = [node for node in turns if node not in starved]
            hidden = self._hidden(fault, rest, since_ns) if rest else {}
            facts = {"nodes": starved, "share_ppm": shares}
            return Observation(bool(starved) and not rest, {**facts, **hidden})

        self._ground.later(LOOK_NS, then, judge)


class MemoryLimits(_LimitFaults):
    """Limits of memory. `_kills` counts for each fault and node how often its process was killed."""

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self._kills: dict[tuple[str, str], int] = {}

    def heal(self, fault: Resolved, then: Then) -> None:
        self._active.pop(fault.intent.id, None)
        # The last one that was killed for it may be waiting to be started.
        self._ground.start([node for node in fault.what["nodes"] if self._kills.pop((fault.intent.id, node), 0)])
        self._ground.later(BOOT_NS, then, lambda: self._ground.running(fault.what["nodes"], fault))

    def forget(self) -> None:
        super().forget()
        self._kills.clear()

    def _apply(self, fault: Resolved) -> None:
        for node in fault.what["nodes"]:
            self._kills[fault.intent.id, node] = 0
            self._out_of_memory(fault, node)

    def _look(self, fault: Resolved, then: Then) -> None:
        since_ns = self._ground.cluster.now_ns

        def judge() -> Observation:
            kills = {node: self._kills.get((fault.intent.id, node), 0) for node in fault.what["nodes"]}
            spared = [node for node, count in kills.items() if not count]
            hidden = self._hidden(fault, spared, since_ns) if spared else {}
            return Observation(bool(kills) and not spared, {"oom_kills": kills, **hidden})

        self._ground.later(MILLISECOND, then, judge)

    def _out_of_memory(self, fault: Resolved, node: str) -> None:
        """Kill the process, start it again, and come back when it has grown."""
        if fault.intent.id not in self._active:
            return
        cluster, name = self._ground.cluster, fault.intent.id
        if cluster.process(node) is Process.RUNNING:
            self._kills[name, node] += 1
            cluster.kill(node)
            cluster.schedule(cluster.now_ns + RESTART_NS, self._start_again, fault, node)
        bits = draw(cluster.seed, key_of(name), key_of(node), cluster.nodes[node].incarnation, cluster.now_ns)
        cluster.schedule(
            cluster.now_ns + 2 * RESTART_NS + exponential(bits, GROWS_NS), self._out_of_memory, fault, node
        )

    def _start_again(self, fault: Resolved, node: str) -> None:
        if fault.intent.id in self._active:
            self._ground.start([node])


class DescriptorLimits(_LimitFaults):
    def heal(self, fault: Resolved, then: Then) -> None:
        self._active.pop(fault.intent.id, None)
        self._apply(fault)
        self._look_at_connections(fault, False, then)

    def _apply(self, fault: Resolved) -> None:
        for node in fault.what["nodes"]:
            self._ground.cluster.exhaust(node, bool(self._active_on(node)))

    def _look(self, fault: Resolved, then: Then) -> None:
        self._look_at_connections(fault, True, then)

    def _look_at_connections(self, fault: Resolved, on: bool, then: Then) -> None:
        """Observe whether a connection from the clients' vertex is accepted. A refusal means nothing where none could be accepted anyway."""
        cluster, since_ns = self._ground.cluster, self._ground.cluster.now_ns
        accepted: set[str] = set()
        nodes: list[str] = fault.what["nodes"]
        for node in nodes:
            cluster.probe_port(node, _adding(accepted, node))

        def judge() -> Observation:
            wanted = [node for node in self._free(fault) if (node in cluster.exhausted) != (node in accepted)]
            rest = [node for node in nodes if node not in wanted]
            facts = {"nodes": wanted, "accepted": sorted(accepted)}
            if on:
                hidden = self._hidden(fault, rest, since_ns) if rest else {}
                return Observation(bool(wanted) and not rest, {**facts, **hidden})
            unheard = [node for node in rest if not self._ground.is_held(node) and self._is_reachable(node)]
            return Observation(not unheard, facts)

        self._ground.later(50 * MILLISECOND, then, judge)

    def _free(self, fault: Resolved) -> list[str]:
        """Return the nodes whose process runs, so that the lack shows."""
        return [node for node in fault.what["nodes"] if self._ground.cluster.process(node) is Process.RUNNING]

    def _is_reachable(self, node: str) -> bool:
        links = self._ground.cluster.network.links
        return not any(link.cuts or link.clogs for link in (links[CLIENTS, node], links[node, CLIENTS]))


def _adding(accepted: set[str], node: str) -> Callable[[], None]:
    return lambda: accepted.add(node)


def _share_of_periods(times: list[int]) -> int:
    """Return the part of a period that contains all these times, in parts per million."""
    into = sorted(time % CPU_PERIOD_NS for time in times)
    gaps = [after - before for before, after in zip(into, [*into[1:], into[0] + CPU_PERIOD_NS], strict=True)]
    return (CPU_PERIOD_NS - max(gaps)) * WHOLE // CPU_PERIOD_NS
