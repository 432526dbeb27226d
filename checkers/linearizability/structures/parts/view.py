"""The operations of one object as arrays, selected from `Columns`.

Everything here is by *place*: 0, 1, 2 … in order of invocation among the rows of the object. `start` and `end` are positions in the history; an
operation with an unknown end ends at `OPEN`. Operations become objects (`operation`) only for witnesses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tribulation.histories import Operation, Type, same
from tribulation.histories.model.columns import ABSENT, FAIL, INFO, NONE_ID, OK, OPEN, Columns, Int32, Int64

from ....base.wording import describe, ms_between, show

Mask = npt.NDArray[np.bool_]
_TYPES = {OK: Type.OK, FAIL: Type.FAIL, INFO: Type.INFO}


class _Answered:
    """An argument together with the answer to it."""

    def __init__(self, op: Operation) -> None:
        self.text = f"{show(op.argument)} (answered {show(op.result)})"

    def __str__(self) -> str:
        return self.text


class View:
    """Operations of one object, by place. `rows` are indices into the columns, growing. `whole` returns the operation of a row as recorded, for what
    columns do not hold.
    """

    def __init__(self, columns: Columns, rows: Int64, whole: Callable[[int], Operation] | None = None) -> None:
        self.columns = columns
        self.rows = rows
        self._whole = whole
        self._type = columns.type[rows]
        self.start: Int64 = columns.invoke[rows]
        self.ok: Mask = self._type == OK
        self.info: Mask = self._type == INFO
        self.failed: Mask = self._type == FAIL
        self.end: Int64 = np.where(self.info, OPEN, columns.complete[rows])
        self._names = {name: code for code, name in enumerate(columns.f_names)}

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def argument(self) -> Int32:
        return self.columns.argument[self.rows]

    @cached_property
    def result(self) -> Int32:
        return self.columns.result[self.rows]

    @cached_property
    def process(self) -> Int32:
        return self.columns.process[self.rows]

    @cached_property
    def _f(self) -> npt.NDArray[np.uint8]:
        return self.columns.f[self.rows]

    def called(self, *names: str) -> Mask:
        """Return which operations have one of these names."""
        mask = np.zeros(len(self.rows), np.bool_)
        for name in names:
            code = self._names.get(name)
            if code is not None:
                mask |= self._f == code
        return mask

    def names(self) -> set[str]:
        return self.columns.names(self.rows)

    @cached_property
    def saw_empty(self) -> Mask:
        """Return removals that found nothing there: they answered null, or failed because of that (`tribulation.histories.model.operation.FOUND_NOTHING`)."""
        nothing = (self.result == NONE_ID) & (self.columns.result_list[self.rows] == ABSENT)
        found: Mask = (self.ok & nothing) | (self.failed & self.columns.mismatch[self.rows])
        return found

    def value(self, value_id: int) -> Any:
        return self.columns.values[value_id] if value_id >= 0 else None

    def numbers(self, ids: Int32) -> Int64:
        """Return the values with these ids as integers. Raises `TypeError` for any other value."""
        used, inverse = np.unique(ids, return_inverse=True)
        values = [self.columns.values[number] if number >= 0 else None for number in used]
        for value in values:
            if type(value) is not int or not -(1 << 62) < value < 1 << 62:
                raise TypeError(f"{value!r} is not an integer of 62 bits")
        found: Int64 = np.array(values, np.int64).reshape(-1)[inverse]
        return found

    def operation(self, place: int) -> Operation:
        """Return the operation at `place`, without its node."""
        columns, row = self.columns, int(self.rows[place])
        kind = _TYPES[int(self._type[place])]
        end_ns = int(columns.complete_ns[row])
        return Operation(
            process=columns.processes[columns.process[row]],
            f=columns.f_names[columns.f[row]],
            type=kind,
            invoke_index=int(columns.invoke[row]),
            complete_index=None if kind is Type.INFO else int(columns.complete[row]),
            invoke_ns=int(columns.invoke_ns[row]),
            complete_ns=None if end_ns == ABSENT else end_ns,
            argument=self._cell(columns.argument[row], columns.argument_list[row]),
            result=self._cell(columns.result[row], columns.result_list[row]),
            key=None if columns.key[row] == ABSENT else columns.keys[columns.key[row]],
            error=self._error(row) if kind is Type.FAIL else None,
        )

    def _error(self, row: int) -> str | None:
        """Return why the operation failed: `empty` for a removal that found nothing, else as recorded, so that all checkers name the same reason."""
        if self.columns.mismatch[row]:
            return "empty"
        return None if self._whole is None else self._whole(row).error

    def _cell(self, value_id: int, list_row: int) -> Any:
        if list_row != ABSENT:
            return [self.columns.values[item] for item in self.columns.lists.row(int(list_row))]
        return self.value(int(value_id))

    def operations(self, places: Iterable[int]) -> list[Operation]:
        return [self.operation(place) for place in places]

    def describe(self, place: int) -> str:
        """Describe an operation with its answer: `dequeue of 5`, `contains of 3 (answered False)`, `pop (found nothing)`."""
        op = self.operation(place)
        if op.f not in ("read", "get"):
            if self.saw_empty[place] and op.argument is None:
                op = replace(op, f=f"{op.f} (found nothing)")
            elif op.type is Type.OK and op.result is not None and not same(op.result, op.argument):
                op = replace(op, argument=op.result) if op.argument is None else replace(op, argument=_Answered(op))
        return describe(op)

    def describe_all(self, places: Sequence[int], most: int = 6) -> str:
        shown = "; ".join(self.describe(place) for place in places[:most])
        return shown if len(places) <= most else f"{shown}; and {len(places) - most} more"

    def ms_between(self, earlier: int, later: int) -> float | None:
        return ms_between(self.operation(earlier), self.operation(later))

    def only(self, places: Iterable[int]) -> View:
        """Return the same object with some of its operations."""
        chosen = np.array(sorted(set(places)), np.int64)
        return View(self.columns, self.rows[chosen], self._whole)
