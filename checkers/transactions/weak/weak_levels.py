"""Read committed, read atomic and causal consistency of a history: exact, where every written value is unique.

Reads that are wrong by themselves come first (thin air, aborted, intermediate, own and future writes), then cycles of sessions and reading,
then the orders of `weak_edges` and `causal_clocks`: the level holds iff all of them together have no cycle.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np

from ..graph.components import Core, core_of, labels, parts
from ..graph.dependencies import SESSION, WR, WW, Builder, Edges, Graph, concatenate
from ..graph.paths import Walk, Walker
from ..graph.reachability import topological
from ..table.arrays import distinct
from ..table.naming import KEEP, Report, key_text, name, read_text
from ..table.table import APPEND, READ, Bool, Int32, Int64
from ..table.versions import DATA, Versions
from .causal_clocks import causal_edges
from .observed import Observed, observe
from .weak_edges import Inferred, atomic_edges, committed_edges, contradictory_reads

VISIBLE = 64
"""The kind of an edge that visibility orders."""

_TRIES = 64


class Level(str, Enum):
    READ_COMMITTED = "read-committed"
    READ_ATOMIC = "read-atomic"
    CAUSAL = "causal-cerone"


ANOMALY = {
    Level.READ_COMMITTED: "non-monotonic-read",
    Level.READ_ATOMIC: "fractured-read",
    Level.CAUSAL: "causality-violation",
}
CYCLE = "causality-cycle"
NON_REPEATABLE = "non-repeatable-read"
OWN_WRITE = "own-write"


@dataclass(frozen=True, slots=True)
class _Orders:
    """The graph of a level, node n being INIT. In the graph an edge's `key` is its own place, so that it is recognised in a part.

    By edge: `key`, and `read`, the read that shows an order of visibility (-1 for others).
    """

    graph: Graph
    key: Int32
    read: Int64


def weak_anomalies(versions: Versions, report: Report, level: str | None) -> dict[str, Any]:
    """Report what contradicts the level, if it is one of the three, and return figures for `stats`."""
    if level not in {one.value for one in Level}:
        return {}
    asked = Level(level)
    observed = observe(versions)
    base = _base(observed)
    circles = _orders(observed, base)
    core = core_of(circles.graph)
    if core is not None:
        _report_circles(observed, circles, core, report, CYCLE)
        return {"edges": len(base)}
    if asked is Level.READ_COMMITTED:
        _report_own_writes(versions, report)
    else:
        _report_contradictions(observed, report)
    inferred = _inferred(observed, asked, base)
    orders = _orders(observed, concatenate([base, _known_order(observed, inferred)]), inferred)
    core = core_of(orders.graph)
    if core is not None:
        _report_circles(observed, orders, core, report, ANOMALY[asked])
    return {"edges": len(orders.graph.edges), "inferred": len(inferred)}


def _inferred(observed: Observed, level: Level, base: Edges) -> Inferred:
    if level is Level.READ_COMMITTED:
        return committed_edges(observed)
    if level is Level.READ_ATOMIC:
        return atomic_edges(observed)
    return causal_edges(observed, _order(observed, base))


def causal_order(observed: Observed) -> Int64 | None:
    """Return the transactions in an order that follows sessions and reading; None if those have a cycle."""
    base = _base(observed)
    return None if core_of(Graph(observed.table, observed.init + 1, base)) is not None else _order(observed, base)


def _order(observed: Observed, base: Edges) -> Int64:
    """Return the transactions in an order that follows sessions and reading."""
    count = observed.init
    chosen = np.flatnonzero(base.kind != WW)
    source, target = base.source[chosen], base.target[chosen]
    component = labels(count + 1, source, target)
    if not (component[source] > component[target]).all():
        # scipy numbers components from the last to the first, but does not promise it.
        order, _ = topological(count + 1, source.tolist(), target.tolist())
        return np.array([node for node in order if node < count and observed.table.alive[node]], np.int64)
    alive = np.flatnonzero(observed.table.alive)
    return alive[np.argsort(-component[alive], kind="stable")]


def _base(observed: Observed) -> Edges:
    """Return the edges of sessions and of reading."""
    builder = Builder(observed.init + 1)
    later = np.flatnonzero(observed.previous >= 0)
    builder.add(observed.previous[later], later, SESSION, DATA, -1)
    real = observed.source != observed.init
    builder.add(observed.source[real], observed.reader[real], WR, DATA, observed.key[real].astype(np.int32))
    return builder.edges()


def _known_order(observed: Observed, inferred: Inferred) -> Edges:
    """Return edges from INIT to those that something puts before INIT (no other can be on a cycle with it), and the order of lists."""
    versions, init = observed.versions, observed.init
    builder = Builder(init + 1)
    against = distinct(inferred.before[inferred.after == init])
    builder.add(np.full(len(against), init), against, SESSION, DATA, -1)
    if _lists(observed):
        firm = np.flatnonzero(versions.pair_basis == DATA)
        before, after = versions.pair_before[firm], versions.pair_after[firm]
        known = (versions.writer[before] >= 0) & (versions.writer[after] >= 0)
        before, after = before[known], after[known]
        builder.add(versions.writer[before], versions.writer[after], WW, DATA, versions.key[after])
    return builder.edges()


def _orders(observed: Observed, plain: Edges, inferred: Inferred | None = None) -> _Orders:
    edges, read = plain, np.full(len(plain), -1, np.int64)
    if inferred is not None:
        visible = Edges(
            inferred.before.astype(np.int32),
            inferred.after.astype(np.int32),
            np.full(len(inferred), VISIBLE, np.uint8),
            np.zeros(len(inferred), np.uint8),
            observed.key[inferred.at].astype(np.int32),
        )
        edges, read = concatenate([plain, visible]), np.concatenate([read, inferred.at])
    numbered = replace(edges, key=np.arange(len(edges), dtype=np.int32))
    return _Orders(Graph(observed.table, observed.init + 1, numbered), edges.key, read)


def _report_circles(observed: Observed, orders: _Orders, core: Core, report: Report, kind: str) -> None:
    """Report one shortest cycle of each component."""
    total = 0
    for part in parts(core, DATA):
        total += 1
        if total <= KEEP:
            _report_walk(observed, orders, part, _shortest(part), report, kind)
    report.total(kind, total)


def _shortest(part: Core) -> Walk:
    everything: Bool = np.ones(len(part.edges), bool)
    walker = Walker(part, everything, realtime=False)
    visible = np.flatnonzero(part.edges.kind == VISIBLE)
    starts = visible if len(visible) else np.arange(len(part.edges))
    best: Walk | None = None
    for place in starts[np.linspace(0, len(starts) - 1, min(_TRIES, len(starts))).astype(np.int64)]:
        source, target = int(part.edges.source[place]), int(part.edges.target[place])
        walk = walker.shortest(target, source, len(best.edges) - 2 if best else len(part))
        if walk is not None:
            best = Walk((source, *walk.nodes), (int(place), *walk.edges))
    assert best is not None
    return best


def _report_walk(observed: Observed, orders: _Orders, part: Core, walk: Walk, report: Report, kind: str) -> None:
    steps = []
    involved: list[int] = []
    for place, edge in enumerate(walk.edges):
        source, target = int(part.node[walk.nodes[place]]), int(part.node[walk.nodes[place + 1]])
        at, sort = int(part.edges.key[edge]), int(part.edges.kind[edge])
        why, others = _why(observed, source, target, sort, int(orders.key[at]), int(orders.read[at]), kind)
        steps.append({"from": _name(observed, source), "to": _name(observed, target), "why": why})
        involved.extend([source, target, *others])
    circle = [step["from"] for step in steps]
    clauses = "; ".join(f"({number}) {step['why']}" for number, step in enumerate(steps, start=1))
    report.add(
        kind,
        [txn for txn in involved if txn != observed.init],
        f"{clauses}. So {' before '.join([*circle, circle[0]])}, which no order allows.",
        cycle=circle,
        steps=steps,
    )


def _why(
    observed: Observed, source: int, target: int, kind: int, key: int, at: int, anomaly: str
) -> tuple[str, Sequence[int]]:
    table = observed.table
    before, after = _name(observed, source), _name(observed, target)
    if kind == WR:
        mop = int(
            observed.mop[
                np.flatnonzero((observed.reader == target) & (observed.source == source) & (observed.key == key))[0]
            ]
        )
        return f"{after} read {read_text(table, mop, _lists(observed))} from {before}", ()
    if kind == WW:
        return f"{after} appended to {key_text(table, key)} after {before} did", ()
    if kind == SESSION:
        if source == observed.init:
            return f"{before} came before {after}", ()
        return f"{before} came before {after} in their session", ()
    reader = int(observed.reader[at])
    saw = f"{name(table, reader)} read {read_text(table, int(observed.mop[at]), _lists(observed))} from {after}"
    return (
        f"{saw}, though {before} wrote {key_text(table, key)} too and {_visible(observed, source, reader, anomaly)}",
        (reader,),
    )


def _visible(observed: Observed, source: int, reader: int, anomaly: str) -> str:
    table = observed.table
    direct = np.flatnonzero((observed.reader == reader) & (observed.source == source))
    if len(direct):
        also = read_text(table, int(observed.mop[direct[0]]), _lists(observed))
        when = "had already" if anomaly == ANOMALY[Level.READ_COMMITTED] else "also"
        return f"{name(table, reader)} {when} read {also} from {name(table, source)}"
    if observed.session[source] == observed.session[reader]:
        return f"{name(table, source)} came before {name(table, reader)} in their session"
    return f"{name(table, source)} is in the causal past of {name(table, reader)}"


def _report_contradictions(observed: Observed, report: Report) -> None:
    table, lists = observed.table, _lists(observed)
    first, second = contradictory_reads(observed)
    for one, other in list(zip(first.tolist(), second.tolist(), strict=True))[:KEEP]:
        txn = int(observed.reader[one])
        report.add(
            NON_REPEATABLE,
            [txn, *(int(observed.source[at]) for at in (one, other) if observed.source[at] != observed.init)],
            f"{name(table, txn)} read {read_text(table, int(observed.mop[one]), lists)} from {_name(observed, int(observed.source[one]))} and then "
            f"{read_text(table, int(observed.mop[other]), lists)} from {_name(observed, int(observed.source[other]))}, in one transaction.",
            key=table.key_name(int(observed.key[one])),
        )
    report.total(NON_REPEATABLE, len(first))


def _report_own_writes(versions: Versions, report: Report) -> None:
    """Report reads after a write of their own transaction that do not return it. (Stronger levels forbid more: any `internal` contradiction.)"""
    table, order, start = versions.table, versions.groups.order, versions.groups.start
    place = np.arange(len(order), dtype=np.int64)
    last = np.maximum.accumulate(np.where(table.kind[order] != READ, place, -1))
    returned = np.full(len(table.txn), -2, np.int64)
    returned[versions.read_mop] = versions.mop[versions.read_version]
    wrong = (table.kind[order] == READ) & (last >= start) & (returned[order] != -2)
    wrong &= returned[order] != order[np.maximum(last, 0)]
    for position in np.flatnonzero(wrong)[:KEEP]:
        mop, wrote = int(order[position]), int(order[last[position]])
        txn, lists = int(table.txn[mop]), bool(table.kind[wrote] == APPEND)
        report.add(
            OWN_WRITE,
            [txn],
            f"{name(table, txn)} read {read_text(table, mop, lists)} after it had itself written {table.value_name(int(table.value[wrote]))}.",
            key=table.key_name(int(table.key[mop])),
        )
    report.total(OWN_WRITE, int(wrong.sum()))


def _lists(observed: Observed) -> bool:
    return bool(observed.table.kind.max(initial=READ) == APPEND)


def _name(observed: Observed, txn: int) -> str:
    return "the initial state" if txn == observed.init else name(observed.table, txn)


def level_anomalies(level: Level) -> Iterable[str]:
    """Return the kinds of anomaly that contradict the level."""
    plain = ["thin-air-read", "G1a", "G1b", "future-read", OWN_WRITE, CYCLE, ANOMALY[level], "incompatible-order"]
    return plain if level is Level.READ_COMMITTED else [*plain, "internal", NON_REPEATABLE, "dirty-update"]
