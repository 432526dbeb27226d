"""Texts that grow by appends, are put whole, and are read whole: as lists of their parts, when texts can be split in one way only.

If no part (a text that was appended or put) begins another one, every text is made of parts in one way at most (a prefix code), so a text and the
list of its parts are equivalent. If each part was written once, the texts are then linearizable exactly if the lists are, and `append_list` judges
them. A text that is not made of parts was never the value.

A part that was written twice is seen at places whose writer is unknown. Then a weaker condition is checked first, whose violation proves that of the
whole: each place is written by an operation of its own, at any time or never. What follows a part that was written once is one place, and so is what
follows that. The beginning of a text is not, because it can be put again and again: reads that begin with such a part are left out. If that finds
nothing, the search decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from typing import Any

import numpy as np

from tribulation.histories import Operation
from tribulation.histories.model.columns import ABSENT, FAIL, INFO, NONE_ID, OPEN, Columns, Int64, Lists

from ..parts.finding import Finding, Unsuitable
from ..parts.view import Mask, View
from .append_list import append_list_order, check_append_list


def check_append_text(view: View) -> Finding | None:
    parts = _as_lists(view)
    if isinstance(parts, Finding):
        return parts
    found = check_append_list(parts)
    if not parts.exact:
        if found is None:
            raise Unsuitable("a part was written more than once")
        return replace(found, rows=tuple(row for row in found.rows if row < len(view)))
    return found


def append_text_order(view: View) -> Int64:
    """Return a legal order of the places of a valid text's operations."""
    parts = _as_lists(view)
    assert isinstance(parts, View), "only valid histories have an order"
    return append_list_order(parts)


def reads_texts(view: View) -> bool:
    """Return whether reads returned text, and at most nothing before there was any."""
    found = [view.value(number) for number in np.unique(view.result[_reads(view)]).tolist() if number != NONE_ID]
    return bool(found) and all(isinstance(text, str) for text in found)


class _Parts(View):
    """View of texts that is judged as lists and shown as texts. Without `exact` only a violation counts."""

    def __init__(self, shown: View, columns: Columns, rows: Int64, exact: bool) -> None:
        super().__init__(columns, rows)
        self._shown, self.exact = shown, exact

    def operation(self, place: int) -> Operation:
        return self._shown.operation(place)


def _as_lists(view: View) -> _Parts | Finding:
    """Return the same operations with each text replaced by its parts. Raises `Unsuitable` where texts cannot be split with certainty."""
    reads, puts = _reads(view), np.flatnonzero(view.called("put", "write") & ~view.failed)
    written = view.called("append", "put", "write")
    codes = _prefix_code(view, written) or _prefix_code(view, written & ~view.failed)
    if codes is None:
        raise Unsuitable("a part is not a text, or one part is a prefix of another")
    number, times = np.unique(view.argument[written & ~view.failed], return_counts=True)
    again = frozenset(number[times > 1].tolist())
    if again and not view.called("append").any():
        raise Unsuitable("a text was written more than once")
    apart = _Apart(codes, again, again & set(view.argument[puts].tolist()), len(view.columns.values))
    apart.lengths = sorted({len(part) for part in codes})
    rows: dict[int, int] = {}
    items: list[list[int]] = []
    read = view.result[reads]
    for number in np.unique(read).tolist():
        text = "" if number == NONE_ID else view.value(number)
        if not isinstance(text, str):
            raise Unsuitable("not every value that was read is a text")
        found = apart.of(text)
        if found is None:
            place = int(reads[read == number][0])
            return Finding(
                "thin-air", (place,), f"a text that is not made of what was written was read: {view.describe(place)}."
            )
        rows[number] = ABSENT if found and found[0] == _AMBIGUOUS else len(items)
        items.append(found)
    columns = view.columns
    argument_list, result_list = np.full((2, len(columns)), ABSENT, np.int32)
    result_list[view.rows[reads]] = [rows[number] for number in read.tolist()]
    argument_list[view.rows[puts]] = np.arange(len(items), len(items) + len(puts))
    items += [[number] for number in view.argument[puts].tolist()]
    offsets = np.append(0, np.cumsum([len(row) for row in items])).astype(np.int64)
    lists = Lists(offsets, np.fromiter((item for row in items for item in row), np.int32, int(offsets[-1])))
    columns = replace(columns, argument_list=argument_list, result_list=result_list, lists=lists)
    if not again:
        return _Parts(view, columns, view.rows, True)
    kind = columns.type.copy()
    kind[view.rows[reads[result_list[view.rows[reads]] == ABSENT]]] = FAIL
    kind[view.rows[written & np.isin(view.argument, list(again))]] = FAIL
    more = len(apart.places)
    columns = _with_appends(view, replace(columns, type=kind, values=[*columns.values, *[""] * more]), more)
    return _Parts(view, columns, np.append(view.rows, np.arange(len(columns) - more, len(columns))), False)


def _with_appends(view: View, columns: Columns, more: int) -> Columns:
    """Add appends of the last `more` values that may take effect at any time, or never."""
    first, values = len(view.columns), len(columns.values)
    any_append = view.rows[np.flatnonzero(view.called("append", "put", "write"))[:1]]
    row = np.concatenate([np.arange(first), np.repeat(any_append, more)])
    arrays = {one.name: getattr(columns, one.name) for one in fields(columns)}
    grown = {name: array[row] for name, array in arrays.items() if isinstance(array, np.ndarray)}
    grown["type"][first:], grown["invoke"][first:], grown["complete"][first:] = INFO, -1, OPEN
    grown["argument"][first:], grown["argument_list"][first:] = np.arange(values - more, values), ABSENT
    grown["f"][first:] = columns.f_names.index("append")
    return replace(columns, **grown)


def _reads(view: View) -> Int64:
    return np.flatnonzero(view.called("read", "get") & view.ok)


def _prefix_code(view: View, written: Mask) -> Mapping[str, int] | None:
    """Return the value id of each part; None if a part is empty, is not a text or begins another."""
    ids = np.unique(view.argument[written]).tolist()
    codes: dict[Any, int] = {view.value(number): number for number in ids if isinstance(view.value(number), str)}
    if len(codes) < len(ids) or "" in codes:
        return None
    # A text that begins others is sorted right before one of them.
    return None if any(after.startswith(before) for before, after in pairwise(sorted(codes))) else codes


_AMBIGUOUS = -2


@dataclass(slots=True)
class _Apart:
    """Splitter of texts into value ids. Texts grow, so the last one is usually the beginning of the next and is not split again.

    A part of `again` has an id of its own at each place: after what it stands. At the beginning of a text, where it may be one of `put_again`, it has
    none.
    """

    codes: Mapping[str, int]
    again: Set[int]
    put_again: Set[int]
    first: int
    places: dict[tuple[int, int], int] = field(default_factory=dict)
    lengths: Sequence[int] = ()
    _text: str = ""
    _parts: list[int] = field(default_factory=list)

    def of(self, text: str) -> list[int] | None:
        """Return the value ids of the parts of `text`; None if it is not made of parts."""
        at, found = (len(self._text), list(self._parts)) if text.startswith(self._text) else (0, [])
        while at < len(text):
            for length in self.lengths:
                part = self.codes.get(text[at : at + length])
                if part is not None:
                    break
            else:
                return None
            found.append(self._at_its_place(found, part) if part in self.again else part)
            at += length
        self._text, self._parts = text, found
        return found

    def _at_its_place(self, before: list[int], part: int) -> int:
        if not before and part in self.put_again:
            return _AMBIGUOUS
        return self.places.setdefault((before[-1] if before else ABSENT, part), self.first + len(self.places))
