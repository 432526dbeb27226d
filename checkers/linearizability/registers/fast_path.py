"""Registers of a history, all at once: verdicts with witnesses for those whose values are unique; the others are left to the general search."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from math import inf
from typing import Any

import numpy as np

from tribulation.histories import Operation, canonical
from tribulation.histories.model.columns import ABSENT, OPEN

from ...base.findings import KEEP_OBJECTS
from ...base.result import Anomaly, Verdict
from ..search.by_key import Objects
from ..search.key_verdict import Asked, KeyVerdict, OperationAt
from .accesses import Accesses, Registers
from .broken import VIRTUAL, Broken
from .judge import Judged, judge
from .view import Access, Violation, register_of
from .witness import anomaly_of, shown_by

METHOD = "zones"
SEARCHED = 5_000
"""Most operations, of all registers in doubt together, that are searched without `--exact`."""

NECESSARY_ONLY = "necessary-only"
"""Mismatches that do not report what they saw were used only as necessary conditions."""


def judge_registers(objects: Objects, operation: OperationAt, asked: Asked) -> list[KeyVerdict | None]:
    """Return a verdict for each object; None where only the general search can decide."""
    judged = judge(objects, asked.certificate)
    doubt = sorted(judged.in_doubt, key=lambda number: len(objects.rows_of(number)))
    sizes = np.cumsum([len(objects.rows_of(number)) for number in doubt])
    # A search of a few thousand operations takes negligible time; beyond that it must be requested.
    left = {number for number, size in zip(doubt, sizes.tolist(), strict=True) if not asked.exact and size > SEARCHED}
    # The order of the numbers is that of first invocations.
    shown = frozenset(sorted(judged.broken)[:KEEP_OBJECTS])
    return [
        None
        if number in judged.in_doubt and number not in left
        else _verdict(number, objects, judged, operation, asked, number in shown)
        for number in range(len(objects))
    ]


def _verdict(
    number: int, objects: Objects, judged: Judged, operation: OperationAt, asked: Asked, with_story: bool
) -> KeyVerdict | None:
    count = len(objects.rows_of(number))
    if number in judged.malformed:
        op = operation(judged.malformed[number])
        reason = f"the cas of history index {op.invoke_index} carries {op.argument!r}, not [from, to]"
        return KeyVerdict(Verdict.UNKNOWN, "none", count, reason=reason)
    if number in judged.repeated:
        return None
    if number in judged.broken:
        key = objects.names[number][1]
        anomaly = story(number, judged.broken[number], judged.registers, operation, key) if with_story else None
        return KeyVerdict(Verdict.INVALID, METHOD, count, anomaly)
    verdict = KeyVerdict(Verdict.VALID, METHOD, count)
    if number in judged.in_doubt:
        verdict.failed_cas = NECESSARY_ONLY
    elif asked.certificate:
        verdict.order = order_of_register(number, judged)
    return verdict


def order_of_register(number: int, judged: Judged) -> list[int]:
    """Return a legal order of a register that has one, as rows."""
    if judged.order is None:
        return []
    order, accesses = judged.order, judged.order.zones.chains.versions.accesses
    begin, end = np.searchsorted(order.register, (number, number + 1)).tolist()
    rows = accesses.row[order.places[begin:end]]
    if judged.mismatches is not None:
        failed = slice(*np.searchsorted(judged.mismatches.register, (number, number + 1)).tolist())
        rows = np.insert(
            rows, judged.mismatches.place[failed] - (begin if len(rows) else 0), judged.mismatches.row[failed]
        )
    return [int(row) for row in rows.tolist()]


def story(number: int, broken: Broken, registers: Registers, operation: OperationAt, key: Hashable) -> Anomaly:
    """Make the anomaly from the few operations of the proof and those that concern its values."""
    rows = [row for row in broken.rows if row != VIRTUAL]
    context = _context(number, broken, registers)
    register = register_of(operation(row) for row in sorted({*rows, *context}))
    by_index = {access.op.invoke_index: access for access in register.accesses if access.op is not None}
    initial = Access(None, -1.0, -1.0, (), (None,))
    accesses = [initial if row == VIRTUAL else _access(operation(row), by_index) for row in broken.rows]
    values = tuple(canonical(_value(registers, value)) for value in broken.values)
    anomaly = anomaly_of(Violation(broken.kind, tuple(accesses), values), register, key)
    return shown_by(anomaly, [operation(row) for row in _observers(rows, registers.accesses.of(number))])


def _access(op: Operation, by_index: Mapping[int, Access]) -> Access:
    """Return the register's view of `op`; one that failed without reporting what it saw has none, but may be part of a proof."""
    end = inf if op.complete_index is None else float(op.complete_index)
    return by_index.get(op.invoke_index, Access(op, float(op.invoke_index), end))


def _value(registers: Registers, value: int) -> Any:
    return None if value == ABSENT else registers.values[value]


def _observers(rows: Sequence[int], mine: Accesses) -> list[int]:
    """Return rows that show that the proof's writes of unknown outcome happened: an operation of known outcome saw what they wrote, or what was made
    from it.
    """
    found = dict.fromkeys(rows)
    for row in rows:
        path = [int(place) for place in np.flatnonzero((mine.row == row) & (mine.end == OPEN))]
        while path and mine.end[path[-1]] == OPEN:
            readers = np.flatnonzero(mine.reads == mine.writes[path[-1]])
            readers = readers[~np.isin(readers, path)]
            # Those of known outcome first; among these, those that are in the proof anyway.
            ready = np.lexsort((mine.start[readers], ~np.isin(mine.row[readers], rows), mine.end[readers] == OPEN))
            path.append(int(readers[ready[0]]))
        found.update(dict.fromkeys(int(mine.row[place]) for place in path))
    return list(found)[len(rows) :]


def _context(number: int, broken: Broken, registers: Registers) -> list[int]:
    """Return rows that decide the name of the violation: the writers of its values, a read of each, and the last read of anything else."""
    mine = registers.accesses.of(number)
    rows: list[int] = []
    for value in broken.values:
        rows += _some(mine, mine.writes == value) + _some(mine, mine.reads == value)
        other = np.flatnonzero((mine.reads != value) & (mine.reads != ABSENT))
        if len(other):
            rows.append(int(mine.row[other[np.argmax(mine.start[other])]]))
    return rows


def _some(accesses: Accesses, mask: Any) -> list[int]:
    places = np.flatnonzero(mask)
    return [int(accesses.row[places[0]])] if len(places) else []
