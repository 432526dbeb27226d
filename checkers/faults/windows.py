"""Windows in which faults were active, and the nodes that could communicate during them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tribulation.histories import Operation

from ..base.result import Fault, RunRecord
from .kinds import ONCE, targets


@dataclass(frozen=True, slots=True)
class Window:
    """Window in which `fault` was certainly active, from `start_ns` to `end_ns` (run time). `healed` is False when it lasted to the end of the run."""

    fault: Fault
    start_ns: int
    end_ns: int
    healed: bool

    def overlaps(self, op: Operation) -> bool:
        """Return whether `op` was open at some time in the window; one of unknown outcome until its client gave up."""
        end_ns = op.complete_ns if op.complete_ns is not None else self.end_ns
        return op.invoke_ns <= self.end_ns and end_ns >= self.start_ns


def windows(record: RunRecord) -> list[Window]:
    """Return the window of each injected fault, in order. A fault that happens once is over when it was observed."""
    end_ns = run_end_ns(record)
    found = []
    for fault in record.faults:
        if fault.injected_ns is None:
            continue
        over_ns = fault.seen_ns if fault.kind in ONCE else fault.heal_ns
        last_ns = end_ns if over_ns is None else max(over_ns, fault.injected_ns)
        found.append(Window(fault, fault.injected_ns, last_ns, fault.heal_ns is not None))
    return found


def run_end_ns(record: RunRecord) -> int:
    return max(record.history.duration_ns, record.phases.get("end", 0))


def sides(fault: Fault, nodes: Sequence[str]) -> dict[str, str]:
    """Return, by node, the name of its side, such as `n1+n2`; for faults other than cuts, `targets` and `others`; `all` if the fault names no node.

    Two nodes are on one side when they reach each other in both directions, also over others.
    """
    if fault.kind != "cut":
        hit = targets(fault)
        return {node: "all" if not hit else "targets" if node in hit else "others" for node in nodes}
    # Only cuts need it, and it takes as long to import as a small run to check.
    import networkx as nx

    cut = {(source, target) for source, target in fault.intended.get("edges", ())}
    graph = nx.Graph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from(
        (one, other)
        for i, one in enumerate(nodes)
        for other in nodes[i + 1 :]
        if (one, other) not in cut and (other, one) not in cut
    )
    named: dict[str, str] = {}
    for side in nx.connected_components(graph):
        name = "+".join(node for node in nodes if node in side)
        named.update(dict.fromkeys(side, name))
    return {node: named[node] for node in nodes}
