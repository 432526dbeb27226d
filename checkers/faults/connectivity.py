"""Connectivity of the cluster over time: its components in every interval of a run, from the faults that were certainly active.

Only verified faults count, from `injected_ns` to `heal_ns`; before and after, anything is possible. Two nodes are connected unless a cut is certainly
active in one direction: a request needs its answer. Killed and paused nodes are connected to no node until healed, or until another fault may have
started them for a moment. Faults that slow a node or a link down without stopping it (a slow link, a starved process) do not separate nodes. A probe
that got through in a direction recorded as cut, long enough after the injection to be significant, discards that cut for its whole length. Nodes that
this module reports as separated were separated.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import pairwise

from ..base.quorum_weights import Weights, weight
from ..base.result import Fault
from ..traces.traces import FOREVER_NS, NEVER_NS
from .kinds import called, may_end, may_end_from_ns, stopped, touched

Edge = tuple[str, str]

PROBE_MEMORY_NS = 2_000_000_000
"""A sample describes the recent past, and may have been written late: only a sample this long after the injection is evidence about the cut itself."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """An interval of the run in which the certain faults stay the same. `cut` are directed edges, `down` nodes that do not run."""

    start_ns: int
    end_ns: int
    down: frozenset[str]
    cut: frozenset[Edge]
    faults: tuple[str, ...]

    def components(self, nodes: Iterable[str]) -> list[frozenset[str]]:
        """Return the components of the running nodes, the largest first."""
        left = sorted(set(nodes) - self.down)
        found: list[frozenset[str]] = []
        while left:
            found.append(frozenset(self._spread(left[0], left, self._connected)))
            left = [node for node in left if node not in found[-1]]
        return sorted(found, key=lambda part: (-len(part), sorted(part)))

    def heaviest(self, weights: Weights) -> tuple[int, frozenset[str]]:
        """Return the component with the most weight, with that weight."""
        parts = self.components(name for name, _ in weights)
        return max(
            ((weight(weights, part), part) for part in parts), default=(0, frozenset()), key=lambda found: found[0]
        )

    def exchange(self, node: str, nodes: Iterable[str]) -> frozenset[str]:
        """Return the nodes that information from `node` can reach in this epoch, by any path, and that can send information back to it.

        This may be more than its component: a request may take one path and its answer another. Every node that must take part in an answer of `node`
        to a request of this epoch is among them.
        """
        everyone = {*nodes, node}
        return frozenset(self.informed_by({node}, everyone) & self.informing({node}, everyone))

    def informed_by(self, informed: Set[str], nodes: Iterable[str]) -> set[str]:
        """Return the nodes that can know at the end what `informed` know at the beginning."""
        return self._informed(informed, nodes, lambda here, peer: (here, peer) not in self.cut)

    def informing(self, listeners: Set[str], nodes: Iterable[str]) -> set[str]:
        """Return the nodes whose knowledge can reach one of `listeners`."""
        return self._informed(listeners, nodes, lambda here, peer: (peer, here) not in self.cut)

    def _informed(self, known: Set[str], nodes: Iterable[str], is_open: Callable[[str, str], bool]) -> set[str]:
        running = sorted(set(nodes) - self.down)
        return set(known).union(*(self._spread(node, running, is_open) for node in set(known) - self.down))

    @staticmethod
    def _spread(node: str, running: Sequence[str], is_open: Callable[[str, str], bool]) -> set[str]:
        found, frontier = {node}, [node]
        while frontier:
            here = frontier.pop()
            near = [peer for peer in running if peer not in found and is_open(here, peer)]
            found.update(near)
            frontier.extend(near)
        return found

    def _connected(self, one: str, other: str) -> bool:
        return (one, other) not in self.cut and (other, one) not in self.cut


@dataclass(frozen=True, slots=True)
class Epochs:
    """All epochs of a run, in order and without holes. `notes`: the faults that were left out, with the reasons."""

    epochs: Sequence[Epoch]
    notes: tuple[str, ...]
    _starts: list[int] = field(default_factory=list)

    def within(self, start_ns: int, end_ns: int) -> Epoch | None:
        """Return the epoch that contains the whole interval, or None when the faults changed meanwhile."""
        epoch = self.epochs[bisect_right(self._starts, start_ns) - 1]
        return epoch if end_ns <= epoch.end_ns else None

    def during(self, start_ns: int, end_ns: int) -> list[Epoch]:
        """Return all epochs that share a moment with the interval."""
        first = bisect_right(self._starts, start_ns) - 1
        return [epoch for epoch in self.epochs[first : bisect_right(self._starts, end_ns)]]

    def exchange(self, node: str, nodes: Iterable[str], start_ns: int, end_ns: int) -> frozenset[str]:
        """Return the nodes of `Epoch.exchange` for an interval in which the faults change: a request may reach a peer early and its answer come back
        late.
        """
        everyone, parts = {*nodes, node}, self.during(start_ns, end_ns)
        since = {node: 0}
        for number, epoch in enumerate(parts):
            since.update(dict.fromkeys(epoch.informed_by(since.keys(), everyone) - since.keys(), number))
        heard: dict[int, set[str]] = {len(parts): {node}}
        for number in reversed(range(len(parts))):
            heard[number] = parts[number].informing(heard[number + 1], everyone)
        return frozenset(name for name, number in since.items() if name in heard[number])


@dataclass(frozen=True, slots=True)
class _Span:
    fault: str
    start_ns: int
    end_ns: int
    down: tuple[str, ...]
    cut: tuple[Edge, ...]


def epochs(faults: Sequence[Fault], reachability: Sequence[tuple[int, Mapping[Edge, bool]]] = ()) -> Epochs:
    """Split the run at each time at which a certain fault begins or ends. O(faults × nodes) and a sort."""
    notes: list[str] = []
    meddlers = _meddlers(faults)
    spans = [span for fault in faults for span in _spans(fault, meddlers, reachability, notes)]
    starting: dict[int, list[_Span]] = {}
    ending: dict[int, list[_Span]] = {}
    for span in spans:
        starting.setdefault(span.start_ns, []).append(span)
        ending.setdefault(span.end_ns, []).append(span)
    marks = [NEVER_NS, *sorted(starting.keys() | ending.keys()), FOREVER_NS]
    down: Counter[str] = Counter()
    cut: Counter[Edge] = Counter()
    on: Counter[str] = Counter()
    found: list[Epoch] = []
    for start_ns, end_ns in pairwise(marks):
        for span in ending.get(start_ns, ()):
            down.subtract(span.down)
            cut.subtract(span.cut)
            on.subtract((span.fault,))
        for span in starting.get(start_ns, ()):
            down.update(span.down)
            cut.update(span.cut)
            on.update((span.fault,))
        found.append(Epoch(start_ns, end_ns, frozenset(+down), frozenset(+cut), tuple(sorted(+on))))
    return Epochs(found, tuple(notes), [epoch.start_ns for epoch in found])


_PARTS = ("cut", "kill", "pause", "power", "wipe")


def _meddlers(faults: Sequence[Fault]) -> dict[str, list[Fault]]:
    """Node → faults that may briefly end the effect of another fault there."""
    found: dict[str, list[Fault]] = {}
    for fault in faults:
        if any(may_end(fault, kind) for kind in _PARTS):
            for node in touched(fault):
                found.setdefault(node, []).append(fault)
    return found


def _spans(
    fault: Fault,
    meddlers: Mapping[str, Sequence[Fault]],
    reachability: Sequence[tuple[int, Mapping[Edge, bool]]],
    notes: list[str],
) -> list[_Span]:
    """Return one span for each time until which a part of the fault was certain: usually only its heal."""
    if fault.kind not in _PARTS:
        return []
    if not fault.verified or fault.injected_ns is None:
        notes.append(f"fault {fault.id} ({called(fault.kind)}) was not verified")
        return []
    if fault.heal_ns is None or fault.heal_ns <= fault.injected_ns:
        notes.append(
            f"fault {fault.id} ({called(fault.kind)}) has no recorded heal after its injection, so it is not known how long it was active"
        )
        return []
    start_ns, heal_ns = fault.injected_ns, fault.heal_ns
    parts: dict[int, tuple[list[str], list[Edge]]] = {}
    if fault.kind != "cut":
        for node in stopped(fault):
            until_ns = _certain_until_ns(fault, node, start_ns, heal_ns, meddlers)
            parts.setdefault(until_ns, ([], []))[0].append(node)
    else:
        edges = _edges(fault)
        leaked = _leaks(edges, start_ns, heal_ns, reachability)
        for one, other in sorted(leaked):
            notes.append(
                f"fault {fault.id} (cut): a probe got from {one} to {other} although this link was reported as cut"
            )
        for edge in sorted(edges - leaked):
            until_ns = min(_certain_until_ns(fault, end, start_ns, heal_ns, meddlers) for end in edge)
            parts.setdefault(until_ns, ([], []))[1].append(edge)
    return [
        _Span(fault.id, start_ns, until_ns, tuple(down), tuple(cut))
        for until_ns, (down, cut) in parts.items()
        if until_ns > start_ns
    ]


def _certain_until_ns(
    fault: Fault, node: str, start_ns: int, heal_ns: int, meddlers: Mapping[str, Sequence[Fault]]
) -> int:
    """A node that is paused and killed comes back running, and is paused a moment later."""
    until_ns = heal_ns
    for other in meddlers.get(node, ()):
        over_ns = FOREVER_NS if other.over_ns is None else other.over_ns
        if other is not fault and over_ns > start_ns and other.start_ns < until_ns and may_end(other, fault.kind):
            until_ns = min(until_ns, max(may_end_from_ns(other), start_ns))
    return until_ns


def _edges(fault: Fault) -> set[Edge]:
    """Return the edges that were to be cut and, if the ledger has the observed edges, were seen to be cut."""
    intended = {(one, other) for one, other in fault.intended.get("edges", ())}
    observed = (fault.observed or {}).get("edges")
    return intended & {(one, other) for one, other in observed} if isinstance(observed, list) else intended


def _leaks(
    edges: set[Edge], start_ns: int, end_ns: int, reachability: Sequence[tuple[int, Mapping[Edge, bool]]]
) -> set[Edge]:
    matrices = [matrix for time_ns, matrix in reachability if start_ns + PROBE_MEMORY_NS <= time_ns <= end_ns]
    return {edge for edge in edges if any(matrix.get(edge, False) for matrix in matrices)}
