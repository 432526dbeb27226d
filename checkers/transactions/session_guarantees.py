"""Checker `session-guarantees`: read your writes, monotonic reads, monotonic writes, writes follow reads, and PRAM (the first three together).

Terry et al., PDIS 1994, for unique written values. Each guarantee puts versions of a key in an order. Together with the order that is known anyway
(from the values; of one process, the order of its own writes) it must have no cycle. A process *saw* a transaction if it read from it. It must then
know what came before that transaction in the process that executed it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..base.result import RunRecord
from ..linearizability.compiled import fast, first_from
from .graph.version_graph import Constraints, circles, constraints, together
from .isolation import Counted, SessionsChecker
from .sequential_keys import asks_for_sessions, did
from .table.accesses import Accesses, accesses
from .table.arrays import find_unsorted
from .table.naming import KEEP, Report, key_text, name
from .table.table import Int64, Table
from .table.versions import DATA, Versions
from .weak.causal_clocks import WORTH_COMPILING
from .weak.observed import Observed, observe
from .weak.session_pairs import known_through_reading
from .weak.weak_edges import session_order

RYW, MR, MW, WFR, PRAM = (
    "read-your-writes",
    "monotonic-reads",
    "monotonic-writes",
    "writes-follow-reads",
    "PRAM",
)
GUARANTEES = (RYW, MR, MW, WFR, PRAM)
_WRONG_READS = ("thin-air-read", "G1a", "incompatible-order")


class SessionGuaranteesChecker(SessionsChecker):
    name = "session-guarantees"

    def in_auto(self, record: RunRecord) -> bool:
        """Return whether operations name the level `sequential`, or a guarantee was requested: elsewhere stronger checkers judge."""
        return asks_for_sessions(record, (*GUARANTEES, self.name))

    def find(self, record: RunRecord, table: Table, versions: Versions, report: Report) -> Counted:
        asked = record.options.get("consistency")
        wanted = (str(asked),) if asked in GUARANTEES else GUARANTEES
        broken = _judge(versions, report, wanted)
        stats = {
            "sessions": len(np.unique(table.process)),
            "guarantees": {one: "violated" if one in broken else "not refuted" for one in wanted},
        }
        return Counted("sessions", (*_WRONG_READS, *wanted), stats)


@dataclass(frozen=True, slots=True)
class _Facts:
    """The order of versions that is known anyway: by values, and of each process its own writes."""

    values: Constraints
    own_writes: Constraints


def _judge(versions: Versions, report: Report, wanted: tuple[str, ...]) -> set[str]:
    observed, met = observe(versions), accesses(versions)
    firm = np.flatnonzero(versions.pair_basis == DATA)
    written = met.where(met.is_write)
    at = written.successive()
    facts = _Facts(
        constraints(versions.pair_before[firm], versions.pair_after[firm]),
        constraints(written.version[at], written.version[at + 1], written.mop[at], written.mop[at + 1]),
    )
    orders = {
        RYW: _your_writes(observed, written),
        MR: _reads(met),
        MW: _through(observed, written, inclusive=False),
        WFR: _through(observed, met.where(~met.is_write), inclusive=True),
    }
    broken: set[str] = set()
    for one in wanted:
        parts = [orders[part] for part in ((RYW, MR, MW) if one == PRAM else (one,))]
        known = [facts.values, facts.own_writes] if one in (RYW, MW, PRAM) else [facts.values]
        # Own writes in order are the promise of monotonic writes; for the other guarantees they are a fact.
        at_issue_from = len(facts.values) if one in (MW, PRAM) else sum(len(part) for part in known)
        if one == PRAM and broken & {RYW, MR, MW}:
            broken.add(PRAM)
            continue
        edges = together(*known, *parts)
        if _report_circles(versions, report, one, edges, at_issue_from):
            broken.add(one)
    return broken


def _your_writes(observed: Observed, written: Accesses) -> Constraints:
    """Order the last own write of a process before what it then reads of the key."""
    inferred = session_order(observed)
    table = observed.table
    version_of = np.full(len(table.txn), -1, np.int64)
    version_of[written.mop] = written.version
    code = table.txn[written.mop].astype(np.int64) * table.keys + table.key[written.mop]
    spot, known = find_unsorted(code, inferred.before * table.keys + observed.key[inferred.at])
    wrote = written.mop[spot[known]]
    read = observed.mop[inferred.at[known]]
    return constraints(version_of[wrote], _read_version(observed.versions)[read], wrote, read)


def _reads(met: Accesses) -> Constraints:
    """Order what a process read of a key before what it reads of it next."""
    reads = met.where(~met.is_write)
    at = reads.successive()
    return constraints(reads.version[at], reads.version[at + 1], reads.mop[at], reads.mop[at + 1])


def _through(observed: Observed, entries: Accesses, inclusive: bool) -> Constraints:
    """Order what a process knows of another before what it then reads of the key: the last entry (write, or read) of the other process up to the
    transaction that was read from, which counts too if `inclusive`.
    """
    table = observed.table
    session, place = observed.session, observed.place
    order = np.lexsort((observed.mop, table.invoke[observed.reader], session[observed.reader]))
    reader, source = observed.reader[order], observed.source[order]
    real = source != observed.init
    from_process = np.where(real, session[np.where(real, source, 0)], -1)
    from_process[from_process == session[reader]] = -1
    from_place = np.where(real, place[np.where(real, source, 0)] + inclusive, -1)
    by_list = np.lexsort((place[table.txn[entries.mop]], entries.process, entries.key))
    key, process = entries.key[by_list], entries.process[by_list]
    begins = np.ones(len(key), bool)
    begins[1:] = (key[1:] != key[:-1]) | (process[1:] != process[:-1])
    starts = np.flatnonzero(begins)
    processes = int(session.max(initial=0)) + 1
    read, entry, through = fast(
        known_through_reading, len(order) * min(processes, 64), first_from, worth=WORTH_COMPILING
    )(
        session[reader],
        observed.key[order],
        from_process,
        from_place,
        np.searchsorted(key[starts], np.arange(table.keys + 1)),
        np.concatenate([starts, [len(key)]]).astype(np.int64),
        process[starts],
        place[table.txn[entries.mop[by_list]]],
        processes,
    )
    mop = observed.mop[order]
    version = _read_version(observed.versions)
    return constraints(
        entries.version[by_list][entry], version[mop[read]], entries.mop[by_list][entry], mop[read], mop[through]
    )


def _read_version(versions: Versions) -> Int64:
    found = np.full(len(versions.table.txn), -1, np.int64)
    found[versions.read_mop] = versions.read_version
    return found


def _report_circles(versions: Versions, report: Report, kind: str, edges: Constraints, at_issue_from: int) -> int:
    total = 0
    for circle in circles(len(versions), edges, at_issue_from):
        total += 1
        if total <= KEEP:
            _report(versions, report, kind, edges, circle)
    report.total(kind, total)
    return total


def _report(versions: Versions, report: Report, kind: str, edges: Constraints, circle: list[int]) -> None:
    table = versions.table
    clauses: list[str] = []
    txns: list[int] = []
    for edge in circle:
        first, second, via = int(edges.first[edge]), int(edges.second[edge]), int(edges.via[edge])
        before, after = int(edges.before[edge]), int(edges.after[edge])
        if first < 0:
            clauses.append(_fact(versions, report, before, after))
            txns.extend(txn for txn in (int(versions.writer[before]), int(versions.writer[after])) if txn >= 0)
            continue
        txns.extend(int(table.txn[mop]) for mop in (first, second, via) if mop >= 0)
        if via >= 0:
            seen = name(table, int(versions.writer[_read_version(versions)[via]]))
            clauses.append(
                f"{did(report, first)}, no later than {seen} by the same process, which {did(report, via)} shows; after that {did(report, second)}"
            )
        else:
            clauses.append(f"process {_process(table, first)}: {did(report, first)}, then {did(report, second)}")
    key = int(versions.key[int(edges.before[circle[0]])])
    report.add(
        kind,
        txns,
        f"On key {key_text(table, key)}: {'; '.join(clauses)}. No order of the values of the key keeps {kind} in all of this.",
        key=table.key_name(key),
    )


def _fact(versions: Versions, report: Report, before: int, after: int) -> str:
    wrote = int(versions.mop[after])
    what = did(report, wrote) if wrote >= 0 else "a value stood there"
    if bool(versions.initial[before]):
        return f"{what}, after the initial state"
    earlier = int(versions.mop[before])
    return f"{what}, after {did(report, earlier)}" if earlier >= 0 else what


def _process(table: Table, mop: int) -> Any:
    process = int(table.process[table.txn[mop]])
    names = table.columns.processes
    return names[process] if process < len(names) else process
