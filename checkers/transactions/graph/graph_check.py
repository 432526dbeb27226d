"""Verdict from versions: the graph, its cycles, and their meaning for the requested level."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...base.budget import Meter
from ...base.result import Anomaly, Budget, CheckResult, Verdict
from ..table.lattice import forbids, implied_levels, prohibited, ruled_out
from ..table.naming import Report
from ..table.table import INFO, OK, Table
from ..table.versions import ATOMIC, PROCESS, REALTIME, Versions
from .components import core_of
from .cycles import survey
from .dependencies import Builder, Graph, data_edges, realtime_edges, session_edges
from .explanation import Explainer
from .zone_order import zone_edges


@dataclass(frozen=True, slots=True)
class Inputs:
    """Input from a checker: its name, the transactions, their versions (of lists, else of registers) and the requested level."""

    checker: str
    table: Table
    versions: Versions
    lists: bool
    level: str


def needs(level: str) -> tuple[bool, bool]:
    """Return whether the level involves the order of processes, and real time."""
    wanted = prohibited(level)
    realtime = any(anomaly.endswith("-realtime") for anomaly in wanted)
    return realtime or any(anomaly.endswith("-process") for anomaly in wanted), realtime


def judge(inputs: Inputs, anomalies: Callable[[Versions, Report], None], budget: Budget) -> CheckResult:
    """Return the verdict: `anomalies` reports those that need no graph, then the cycles of the graph are added."""
    meter = Meter.of(budget)
    report = Report(inputs.table, inputs.lists)
    anomalies(inputs.versions, report)
    sessions, realtime = needs(inputs.level)
    graph = build(inputs, sessions, realtime and inputs.table.clock)
    stats = _figures(inputs, graph)
    _cycles(inputs, graph, report, stats, meter)
    return _conclude(inputs, report, stats, realtime and not inputs.table.clock)


def build(inputs: Inputs, sessions: bool, realtime: bool) -> Graph:
    builder = Builder(len(inputs.table))
    data_edges(builder, inputs.versions)
    if sessions:
        session_edges(builder, inputs.table)
    if realtime:
        realtime_edges(builder, inputs.table)
        if not inputs.lists:
            zone_edges(builder, inputs.versions)
    return Graph(inputs.table, builder.nodes, builder.edges())


def _cycles(inputs: Inputs, graph: Graph, report: Report, stats: dict[str, Any], meter: Meter) -> None:
    core = core_of(graph)
    if core is None:
        return
    used = set(core.edges.basis.tolist())
    found = survey(core, [basis for basis in (ATOMIC, PROCESS, REALTIME) if basis == ATOMIC or basis in used], meter)
    explainer = Explainer(inputs.versions, inputs.lists)
    for cycle in found.cycles:
        explainer.add(cycle, report)
    for name, count in found.counts.items():
        report.total(name, count)
    stats["on_cycles"] = int((core.invoke >= 0).sum())
    if found.unclassified:
        stats["unclassified_components"] = found.unclassified


def _figures(inputs: Inputs, graph: Graph) -> dict[str, Any]:
    table = inputs.table
    return {
        "transactions": len(table),
        "ok": int((table.status == OK).sum()),
        "info": int((table.status == INFO).sum()),
        "micro_operations": len(table.txn),
        "edges": len(graph.edges),
        "level": inputs.level,
    }


def _conclude(inputs: Inputs, report: Report, stats: dict[str, Any], no_clock: bool) -> CheckResult:
    counts = report.findings.counts
    stats["anomalies"] = dict(sorted(counts.items()))
    stats["not"], stats["also_not"] = ruled_out(counts)
    kept = tuple(anomaly for anomaly in report.findings.kept if forbids(inputs.level, anomaly.kind))
    permitted = sorted(kind for kind in counts if not forbids(inputs.level, kind))
    if permitted:
        stats["permitted"] = permitted
    reasons = doubts(inputs, no_clock)
    if kept:
        return CheckResult(inputs.checker, Verdict.INVALID, _severe_first(kept), stats)
    if reasons:
        return CheckResult(inputs.checker, Verdict.UNKNOWN, (), stats, "; ".join(reasons))
    return CheckResult(inputs.checker, Verdict.VALID, (), stats)


def doubts(inputs: Inputs, no_clock: bool) -> list[str]:
    """Return the reasons why the absence of anomalies proves nothing."""
    reasons = []
    if not (inputs.table.status == OK).any():
        reasons.append("no transaction is known to have happened")
    elif not len(inputs.versions.read_mop):
        reasons.append("no transaction read anything, so nothing was observed")
    if inputs.versions.ambiguous:
        reasons.append(
            f"{inputs.versions.ambiguous} writes have a value that another write to the same key has too, and everything that depends on them was ignored "
            "(workloads must write unique values)"
        )
    if no_clock:
        reasons.append(f"{inputs.level} needs real time, but the history has no clock")
    return reasons


_SEVERITY = (
    "duplicate-elements",
    "cyclic-versions",
    "thin-air-read",
    "incompatible-order",
    "dirty-update",
    "G1a",
    "G1b",
    "internal",
    "future-read",
    "G0",
    "G1c",
    "lost-update",
    "G-single",
    "G-nonadjacent",
    "G2-item",
)


def _severe_first(anomalies: tuple[Anomaly, ...]) -> tuple[Anomaly, ...]:
    def rank(anomaly: Anomaly) -> tuple[int, int]:
        base = anomaly.kind.removesuffix("-process").removesuffix("-realtime")
        return (_SEVERITY.index(base) if base in _SEVERITY else len(_SEVERITY), len(anomaly.ops))

    return tuple(sorted(anomalies, key=rank))


__all__ = ["Inputs", "implied_levels", "judge", "needs"]
