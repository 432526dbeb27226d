"""Operations as accesses to registers, for many registers at a time: what each read, what it wrote, and when.

| operation | reads | writes |
|---|---|---|
| `read`, `get`, ok | its result | – |
| `write`, `put`, ok or of unknown outcome | – | its argument (of a `delete`: null) |
| `cas` [from, to], ok or of unknown outcome | from | to |
| `swap` (also `rmw`), ok | its result: what was there before | its argument |
| `swap` of unknown outcome | – | its argument |
| `cas` that failed for a mismatch and reports what it saw | that | – |

Reads of unknown outcome show nothing, and what failed did not happen. What does not fit in this table is kept separately: values that a failed
operation would have written, and mismatches that do not report what they saw (`silent`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tribulation.histories import canonical
from tribulation.histories.model.columns import ABSENT, FAIL, NONE_ID, OK, OPEN, Columns, Int64

from ...models.registers import DELETE, READS, SWAPS
from ..search.by_key import Objects

Mask = npt.NDArray[np.bool_]
_FAR = 1 << 40


@dataclass(frozen=True, slots=True)
class Accesses:
    """Accesses, sorted by register, then by invocation. `reads` and `writes` are value ids or `ABSENT`; `end` is `OPEN` if unknown."""

    row: Int64
    register: Int64
    start: Int64
    end: Int64
    reads: Int64
    writes: Int64

    def __len__(self) -> int:
        return len(self.row)

    def where(self, mask: Mask) -> Accesses:
        if mask.all():
            return self
        return Accesses(*(getattr(self, field.name)[mask] for field in fields(self)))

    def places_of(self, register: int) -> slice:
        """Return the places of one register, without a look at those of the others: there may be as many registers as accesses."""
        begin, end = np.searchsorted(self.register, (register, register + 1)).tolist()
        return slice(begin, end)

    def of(self, register: int) -> Accesses:
        places = self.places_of(register)
        return Accesses(*(getattr(self, field.name)[places] for field in fields(self)))


@dataclass(frozen=True, slots=True)
class Registers:
    """Operations of `count` registers by their role.

    `accesses` happened, or may have. `failed` are writes that did not happen. `silent` are mismatches that do not report what they saw (`reads` is the
    value that they expected); `false_mismatch` are those that saw the value that they expected. `malformed` are cas without the two values [from, to].
    `values` are the values by id; lists, which have no ids of their own in columns, come last. All known positions are below `span`.
    """

    count: int
    span: int
    values: Sequence[Any]
    accesses: Accesses
    failed: Accesses
    silent: Accesses
    false_mismatch: Accesses
    malformed: Accesses

    def without(self, registers: Int64) -> Registers:
        gone = np.zeros(self.count, np.bool_)
        gone[registers] = True

        def left(part: Accesses) -> Accesses:
            return part.where(~gone[part.register])

        return replace(
            self,
            accesses=left(self.accesses),
            failed=left(self.failed),
            silent=left(self.silent),
            false_mismatch=left(self.false_mismatch),
            malformed=left(self.malformed),
        )


def registers_of(objects: Objects) -> Registers:
    return _Reader(objects).registers()


class _Reader:
    def __init__(self, objects: Objects) -> None:
        columns, rows = objects.columns, objects.rows
        self._columns = columns
        self._count = len(objects)
        self._row = rows
        self._register = np.repeat(np.arange(self._count), np.diff(objects.offsets))
        self._type = columns.type[rows]
        f = columns.f[rows]
        self._read = _called(columns, f, *READS)
        self._cas = _called(columns, f, "cas")
        self._swap = _called(columns, f, *SWAPS)
        self._delete = _called(columns, f, DELETE)
        self._start, self._end = _positions(columns.invoke[rows], columns.complete[rows])
        self._argument, self._result, self._values = _value_ids(columns, rows, self._cas)

    def registers(self) -> Registers:
        ok, failed = self._type == OK, self._type == FAIL
        expected, new, odd = self._cas_operands()
        writes = np.where(self._cas, new, np.where(self._read, ABSENT, self._argument))
        writes[self._delete] = NONE_ID
        reads = np.where(self._read, self._result, ABSENT)
        reads = np.where(self._cas, expected, reads)
        reads = np.where(self._swap & ok, self._result, reads)
        mismatch = failed & self._cas & self._columns.mismatch[self._row]
        saw = mismatch & self._says(expected, new)
        # What a mismatch saw is a read; what it would have written did not happen.
        seen = np.where(saw, self._result, reads)
        matter = (~failed & ~(self._read & ~ok) & ~odd) | saw
        nothing = np.full(len(reads), ABSENT, np.int64)
        return Registers(
            self._count,
            _span(self._start, self._end),
            self._values,
            self._part(matter, seen, np.where(saw, ABSENT, writes) if saw.any() else writes),
            self._part(failed & ~self._read & ~odd, nothing, writes),
            self._part(mismatch & ~saw & ~odd, reads, nothing),
            self._part(saw & (seen == expected), seen, nothing),
            self._part(odd & ~(failed & ~mismatch), nothing, nothing),
        )

    def _part(self, mask: Mask, reads: Int64, writes: Int64) -> Accesses:
        return Accesses(self._row, self._register, self._start, self._end, reads, writes).where(mask)

    def _cas_operands(self) -> tuple[Int64, Int64, Mask]:
        """Return what each cas expects and what it writes (`ABSENT` for others), and which lack these two values."""
        size = len(self._row)
        expected, new = np.full(size, ABSENT, np.int64), np.full(size, ABSENT, np.int64)
        odd = np.zeros(size, np.bool_)
        places = np.flatnonzero(self._cas)
        if len(places):
            lists = self._columns.lists
            row = self._columns.argument_list[self._row[places]].astype(np.int64)
            pair = (row != ABSENT) & (np.diff(lists.offsets, append=0)[row] == 2)
            odd[places[~pair]] = True
            places, begin = places[pair], lists.offsets[row[pair]]
            expected[places], new[places] = lists.items[begin], lists.items[begin + 1]
        return expected, new, odd

    def _says(self, expected: Int64, new: Int64) -> Mask:
        """Return whether a mismatch's value is what it saw: it is not null and does not repeat its argument."""
        says = self._result > NONE_ID
        row = self._columns.result_list[self._row].astype(np.int64)
        places = np.flatnonzero(self._cas & (row != ABSENT))
        if len(places):
            lists = self._columns.lists
            pair = places[np.diff(lists.offsets, append=0)[row[places]] == 2]
            begin = lists.offsets[row[pair]]
            same = (lists.items[begin] == expected[pair]) & (lists.items[begin + 1] == new[pair])
            says[pair[same]] = False
        return says


def _called(columns: Columns, f: npt.NDArray[np.uint8], *names: str) -> Mask:
    mask = np.zeros(len(f), np.bool_)
    for code, name in enumerate(columns.f_names):
        if name in names:
            mask |= f == code
    return mask


def _positions(start: Int64, end: Int64) -> tuple[Int64, Int64]:
    """Return positions small enough to be combined with a register's number in 64 bits."""
    if not len(start) or int(start.max()) < _FAR:
        return start, end
    known = end[end != OPEN]
    order = np.unique(np.concatenate([start, known]))
    return np.searchsorted(order, start), np.where(end == OPEN, OPEN, np.searchsorted(order, end))


def _span(start: Int64, end: Int64) -> int:
    known = np.where(end == OPEN, 0, end)
    return int(max(start.max(initial=0), known.max(initial=0))) + 2


def _value_ids(columns: Columns, rows: Int64, cas: Mask) -> tuple[Int64, Int64, Sequence[Any]]:
    """Return ids of arguments and results, where a list counts as one value, and all values. The argument of a cas has none."""
    argument, result = columns.argument[rows].astype(np.int64), columns.result[rows].astype(np.int64)
    argument_list, result_list = columns.argument_list[rows], columns.result_list[rows]
    argued = np.flatnonzero((argument_list != ABSENT) & ~cas)
    answered = np.flatnonzero((result_list != ABSENT) & ~cas)
    compared = np.flatnonzero((result_list != ABSENT) & cas & columns.mismatch[rows])
    if not len(argued) + len(answered) + len(compared):
        return argument, result, columns.values
    values = [canonical(value) for value in columns.values]
    table = {value: number for number, value in enumerate(values) if isinstance(value, tuple)}
    cells = (
        (argument, argument_list, argued),
        (result, result_list, answered),
        (result, result_list, compared),
    )
    for ids, lists, places in cells:
        for place in places.tolist():
            items = tuple(canonical(columns.values[item]) for item in columns.lists.row(int(lists[place])).tolist())
            if items not in table:
                table[items] = len(values)
                values.append(items)
            ids[place] = table[items]
    return argument, result, values
