"""Anomalies of register reads that need no graph: internal, future, aborted, intermediate and impossible reads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..base.wording import show
from .graph.components import inside
from .table.arrays import distinct, find
from .table.naming import KEEP, Report, key_text, name, read_text
from .table.table import FAIL, READ, Bool, Int64, Table
from .table.versions import NONE, Versions


def register_anomalies(versions: Versions, report: Report) -> None:
    """Add what each read shows by itself. Definitions as in Adya (G1a, G1b) and Elle (internal)."""
    table, groups = report.table, versions.groups
    _internal(versions, report)
    read, version = versions.read_mop, versions.read_version
    wrote = versions.mop[version]
    safe = np.maximum(wrote, 0)
    external = groups.external[read]
    reader, writer = table.txn[read], table.txn[safe]
    own = (wrote >= 0) & (reader == writer)
    failed = (wrote >= 0) & (table.status[writer] == FAIL)
    kept = table.alive[writer] & ~groups.final[safe]
    _report(report, "future-read", read, wrote, np.flatnonzero(external & own), _future)
    _report(report, "G1a", read, wrote, np.flatnonzero(~own & failed), _aborted)
    _report(report, "G1b", read, wrote, np.flatnonzero((wrote >= 0) & ~own & kept), _intermediate)
    known = np.zeros(len(table.txn), bool)
    known[read] = True
    strange = np.flatnonzero((table.kind == READ) & ~known & groups.external)
    strange = strange[~_ambiguous(table, strange)] if versions.ambiguous else strange
    _report(report, "thin-air-read", strange, strange, np.arange(len(strange)), _thin_air)


def _report(
    report: Report,
    kind: str,
    read: Int64,
    wrote: Int64,
    found: Int64,
    words: Callable[[Table, int, int], str],
) -> None:
    table = report.table
    for place in found[:KEEP]:
        mop, source = int(read[place]), int(wrote[place])
        txns = (int(table.txn[mop]), int(table.txn[source]))
        report.add(kind, txns, words(table, mop, source), key=table.key_name(int(table.key[mop])))
    report.total(kind, len(found))


def _future(table: Table, read: int, wrote: int) -> str:
    return f"{name(table, int(table.txn[read]))} read {read_text(table, read, False)}, which it wrote itself only afterwards."


def _aborted(table: Table, read: int, wrote: int) -> str:
    return (
        f"{name(table, int(table.txn[read]))} read {read_text(table, read, False)}, which {name(table, int(table.txn[wrote]))} wrote, "
        "a transaction that failed: a read of an aborted write."
    )


def _intermediate(table: Table, read: int, wrote: int) -> str:
    writer = name(table, int(table.txn[wrote]))
    return (
        f"{name(table, int(table.txn[read]))} read {read_text(table, read, False)}, which {writer} wrote; {writer} wrote "
        f"{key_text(table, int(table.key[read]))} again after that: a read of an intermediate state."
    )


def _thin_air(table: Table, read: int, wrote: int) -> str:
    return f"{name(table, int(table.txn[read]))} read {read_text(table, read, False)}, which no transaction of the history wrote."


def _ambiguous(table: Table, mops: Int64) -> Bool:
    """Return which reads returned a written value. Of reads without a version, these are the ones whose value several writes have."""
    values = max(len(table.columns.values), 1)
    writes = np.flatnonzero(table.kind != READ)
    code = table.key[writes].astype(np.int64) * values + table.value[writes]
    return find(np.sort(code, kind="stable"), table.key[mops].astype(np.int64) * values + table.value[mops])[1]


def _internal(versions: Versions, report: Report) -> None:
    table, order, start = report.table, versions.groups.order, versions.groups.start
    place = np.arange(len(order), dtype=np.int64)
    value = table.value[order]
    wrong = (table.kind[order] == READ) & (place > start)
    wrong[1:] &= value[1:] != value[:-1]
    for position in np.flatnonzero(wrong)[:KEEP]:
        mop, before = int(order[position]), int(order[position - 1])
        txn = int(table.txn[mop])
        did = "read" if table.kind[before] == READ else "written"
        report.add(
            "internal",
            [txn],
            f"{name(table, txn)} read {read_text(table, mop, False)} although it had just {did} {read_text(table, before, False)} itself: "
            "it contradicts itself.",
            key=table.key_name(int(table.key[mop])),
        )
    report.total("internal", int(wrong.sum()))


def lost_updates(versions: Versions, report: Report) -> None:
    """Report two committed transactions that read one version of a key and both wrote the key. Needs no order of versions."""
    table, groups = report.table, versions.groups
    first = groups.first[versions.read_mop]
    read, version = versions.read_mop[first], versions.read_version[first]
    final = np.flatnonzero(groups.final & table.committed[table.txn])
    written = table.txn[final].astype(np.int64) * table.keys + table.key[final]
    wanted = table.txn[read].astype(np.int64) * table.keys + table.key[read]
    _, both = find(np.sort(written, kind="stable"), wanted)
    read, version = read[both], version[both]
    order = np.lexsort((read, version))
    read, version = read[order], version[order]
    again = np.flatnonzero(version[1:] == version[:-1]) + 1
    groups_hit = distinct(version[again])
    for hit in groups_hit[:KEEP]:
        at = read[version == hit][:2]
        txns = [int(table.txn[mop]) for mop in at]
        key = key_text(table, int(table.key[at[0]]))
        report.add(
            "lost-update",
            txns,
            f"{name(table, txns[0])} and {name(table, txns[1])} both read {read_text(table, int(at[0]), report.lists)} and then both wrote {key}: "
            "one of the two updates was made without seeing the other, and is lost.",
            key=table.key_name(int(table.key[at[0]])),
        )
    report.total("lost-update", len(groups_hit))


def cyclic_versions(versions: Versions, report: Report) -> None:
    """Report versions of one key that writes-follow-reads orders in a cycle. The order rests on values alone."""
    firm = np.flatnonzero(versions.pair_basis == 0)
    before, after = versions.pair_before[firm], versions.pair_after[firm]
    if not len(before):
        return
    component, on_cycle = inside(len(versions), before.astype(np.int32), after.astype(np.int32))
    hit = np.flatnonzero(on_cycle)
    components = distinct(component[before[hit]])
    table = report.table
    for one in components[:KEEP]:
        members = hit[component[before[hit]] == one]
        circle = _circle(before[members].tolist(), after[members].tolist())
        txns = [int(versions.writer[version]) for version in circle]
        key = int(versions.key[circle[0]])
        chain = " before ".join(_value(versions, version) for version in [*circle, circle[0]])
        report.add(
            "cyclic-versions",
            [txn for txn in txns if txn != NONE],
            f"Of {key_text(table, key)}, transactions that read one value and wrote the next put {chain}: no order of its versions exists.",
            key=table.key_name(key),
        )
    report.total("cyclic-versions", len(components))


def _value(versions: Versions, version: int) -> str:
    mop = int(versions.mop[version])
    return "the initial value" if mop < 0 else show(versions.table.value_name(int(versions.table.value[mop])))


def _circle(before: list[int], after: list[int]) -> list[int]:
    """Return a shortest cycle through the first edge."""
    following: dict[int, list[int]] = {}
    for source, target in zip(before, after, strict=True):
        following.setdefault(source, []).append(target)
    start, parent = after[0], {after[0]: -1}
    queue = [start]
    for node in queue:
        if node == before[0]:
            break
        for target in following.get(node, []):
            if target not in parent:
                parent[target] = node
                queue.append(target)
    path, node = [], before[0]
    while node != -1:
        path.append(node)
        node = parent[node]
    return path[::-1]
