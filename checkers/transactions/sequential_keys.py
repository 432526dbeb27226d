"""Checker `sequential-keys`: each key by itself is sequentially consistent, with unique written values: exact, and linear except for sorting.

All operations on one version (its write, and the reads of it) are adjacent in the order to be found. A write that its transaction makes after reading
the key stands right after what it read; so versions form chains. Two accesses of one process to one key put one chain before another. The key is
sequentially consistent iff that has no cycle, agrees with each chain's own order, and nothing comes before the initial state. Sequential consistency
of several keys together is NP-complete, and is not checked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..base.result import RunRecord
from ..base.wording import show
from ..linearizability.sparse import connected_components, csr_matrix
from .graph.version_graph import Constraints, circles, constraints, together
from .isolation import Counted, SessionsChecker
from .register_anomalies import cyclic_versions, lost_updates
from .table.accesses import accesses
from .table.arrays import distinct, find, find_unsorted
from .table.naming import KEEP, Report, key_text, name, read_text
from .table.table import READ, Int64, Table
from .table.versions import Versions

NAME = "sequential-keys"
_WRONG_READS = ("thin-air-read", "G1a", "G1b", "future-read", "internal", "incompatible-order", "cyclic-versions")


class SequentialKeysChecker(SessionsChecker):
    name = NAME

    def in_auto(self, record: RunRecord) -> bool:
        """Return whether operations name the level `sequential`, or it was requested: elsewhere stronger checkers judge."""
        return asks_for_sessions(record, ("sequential", NAME))

    def find(self, record: RunRecord, table: Table, versions: Versions, report: Report) -> Counted:
        _disorder(versions, report)
        kinds = (*_WRONG_READS, "lost-update", "not-sequential")
        return Counted("sequential", kinds, {"keys": len(np.unique(table.key))})


def asks_for_sessions(record: RunRecord, names: tuple[str, ...]) -> bool:
    return record.options.get("consistency") in names or "sequential" in record.history.columns.level_names


@dataclass(frozen=True, slots=True)
class _Chains:
    """Chain of each version, and its place in it. `forks`: pairs whose first version is also directly followed by another one."""

    chain: Int64
    rank: Int64
    forks: Int64


def _chains(versions: Versions) -> _Chains:
    count = len(versions)
    if versions.ordered:
        chain = versions.key.astype(np.int64)
        chain[versions.ordered :] = versions.table.keys + np.arange(count - versions.ordered)
        return _Chains(chain, np.arange(count, dtype=np.int64), np.zeros(0, np.int64))
    follows = _replacing(versions)
    before, after = versions.pair_before[follows], versions.pair_after[follows]
    order = np.argsort(before, kind="stable")
    twice = order[1:][before[order[1:]] == before[order[:-1]]]
    matrix = csr_matrix((np.ones(len(before), np.int32), (before, after)), shape=(count, count))
    chain = connected_components(matrix, directed=False)[1].astype(np.int64)
    previous = np.arange(count, dtype=np.int64)
    previous[after] = before
    rank = (previous != np.arange(count)).astype(np.int64)
    for _ in range(count.bit_length()):
        rank += rank[previous]
        previous = previous[previous]
    return _Chains(chain, rank, follows[twice])


def _replacing(versions: Versions) -> Int64:
    """Return the pairs of versions of which a transaction read the one and wrote the other."""
    first = versions.groups.first[versions.read_mop]
    span = len(versions.table) + 1
    code = versions.read_version[first] * span + versions.read_txn[first]
    return np.flatnonzero(find(np.sort(code), versions.pair_before * span + versions.writer[versions.pair_after])[1])


def _disorder(versions: Versions, report: Report) -> None:
    found = accesses(versions)
    at = found.successive()
    met = constraints(found.version[at], found.version[at + 1], found.mop[at], found.mop[at + 1])
    _reads_before_own_write(versions, report)
    cyclic_versions(versions, report)
    if versions.ordered:
        lost_updates(versions, report)
        _appended_elsewhere(versions, report)
    chains = _chains(versions)
    for pair in chains.forks[:KEEP]:
        _report_fork(versions, report, int(pair))
    same = chains.chain[met.before] == chains.chain[met.after]
    back = np.flatnonzero(same & (chains.rank[met.before] > chains.rank[met.after]))
    for place in back[:KEEP]:
        _report(versions, report, met, [int(place)], "the values themselves show the other order")
    first = _after_initial(versions, chains)
    between = np.flatnonzero(~same)
    moved = constraints(
        chains.chain[met.before[between]], chains.chain[met.after[between]], met.first[between], met.second[between]
    )
    total = int(max(chains.chain.max(initial=0), 0)) + 1
    count = 0
    edges = together(first, moved)
    for circle in circles(total, edges, len(first)):
        count += 1
        if count <= KEEP:
            shown = [edge for edge in circle if edges.first[edge] >= 0]
            _report(versions, report, edges, shown, "these cannot all be")
    report.total("not-sequential", count + len(back))


def _after_initial(versions: Versions, chains: _Chains) -> Constraints:
    """Order the initial state's chain before every other of its key; of lists, what was read before what was not."""
    if versions.ordered:
        before, after = chains.chain[versions.pair_before], chains.chain[versions.pair_after]
        return constraints(before, after)
    keys = np.flatnonzero(versions.initial)
    by_key = np.zeros(versions.table.keys, np.int64)
    by_key[versions.key[keys]] = chains.chain[keys]
    others = np.flatnonzero(~versions.initial & (versions.writer >= 0))
    codes = distinct(by_key[versions.key[others]] * len(versions) + chains.chain[others])
    before, after = np.divmod(codes, len(versions))
    return constraints(before, after)


def _reads_before_own_write(versions: Versions, report: Report) -> None:
    table = versions.table
    reader, writer = versions.read_txn, versions.writer[versions.read_version]
    safe = np.maximum(writer, 0)
    early = np.flatnonzero(
        (writer >= 0) & (table.process[reader] == table.process[safe]) & (table.invoke[safe] > table.invoke[reader])
    )
    for place in early[:KEEP]:
        txn, wrote = int(reader[place]), int(writer[place])
        report.add(
            "not-sequential",
            (txn, wrote),
            f"{name(table, txn)} read {read_text(table, int(versions.read_mop[place]), report.lists)}, which its own process wrote only afterwards, in {name(table, wrote)}.",
        )
    report.total("not-sequential", len(early))


def _appended_elsewhere(versions: Versions, report: Report) -> None:
    """Report transactions that read a list and then appended to it, but not right after what they had read."""
    table, groups = versions.table, versions.groups
    first = groups.first[versions.read_mop]
    read, version = versions.read_mop[first], versions.read_version[first]
    made = np.flatnonzero((versions.mop >= 0) & (versions.writer >= 0))
    made = made[groups.writes_before[versions.mop[made]] == 0]
    code = versions.writer[made].astype(np.int64) * table.keys + versions.key[made]
    spot, known = find_unsorted(code, table.txn[read].astype(np.int64) * table.keys + table.key[read])
    both = np.flatnonzero(known)
    wrote, version, read = made[spot[both]], version[both], read[both]
    longest = np.zeros(table.keys, np.int64)
    np.maximum.at(longest, versions.key[: versions.ordered], np.arange(versions.ordered))
    behind = np.where(wrote < versions.ordered, wrote == version + 1, version == longest[table.key[read]])
    apart = np.flatnonzero(~behind)
    for place in apart[:KEEP]:
        txn = int(table.txn[read[place]])
        value = show(table.value_name(int(table.value[versions.mop[wrote[place]]])))
        report.add(
            "lost-update",
            [txn],
            f"{name(table, txn)} read {read_text(table, int(read[place]), True)} and then appended {value}, which does not stand right behind that: "
            "what others had appended meanwhile was not seen.",
            key=table.key_name(int(table.key[read[place]])),
        )
    report.total("lost-update", len(apart))


def _report_fork(versions: Versions, report: Report, pair: int) -> None:
    table = versions.table
    before = int(versions.pair_before[pair])
    both = np.flatnonzero(versions.pair_before == before)
    txns = sorted({int(versions.writer[versions.pair_after[place]]) for place in both} - {-1})[:2]
    key = key_text(table, int(versions.key[before]))
    report.add(
        "lost-update",
        txns,
        f"{' and '.join(name(table, txn) for txn in txns)} both replaced one and the same value of {key}: one of the two updates is lost.",
        key=table.key_name(int(versions.key[before])),
    )


def _report(versions: Versions, report: Report, edges: Constraints, shown: list[int], why: str) -> None:
    table = versions.table
    clauses = []
    txns: list[int] = []
    for edge in shown:
        first, second = int(edges.first[edge]), int(edges.second[edge])
        clauses.append(f"{did(report, first)} before {did(report, second)}, by one process")
        txns.extend((int(table.txn[first]), int(table.txn[second])))
    key = int(table.key[int(edges.first[shown[0]])])
    report.add(
        "not-sequential",
        txns,
        f"On key {key_text(table, key)}: {'; '.join(clauses)}: {why}, so the key is not sequentially consistent.",
        key=table.key_name(key),
    )


def did(report: Report, mop: int) -> str:
    table = report.table
    txn = name(table, int(table.txn[mop]))
    if table.kind[mop] == READ:
        return f"{txn} read {read_text(table, mop, report.lists)}"
    return f"{txn} wrote {show(table.value_name(int(table.value[mop])))}"
