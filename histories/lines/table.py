"""Lines as a table: for each form the columns of its numbers. A line's object is created on request, and equals the one that was written.

    builder = TableBuilder(check)
    builder.add(content)            # whole lines, again and again; raises what `check` raises
    lines = builder.finish()        # a sequence of objects
    lines.numbers("seq")            # one field of all lines, as an array

A trace takes a tenth of the memory of its objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, overload

import msgspec
import numpy as np
import numpy.typing as npt

from .forms import Form, Run, form_of, runs_in, said
from .scan import Int64, scan

MOST_FORMS = 4096
"""Lines of more forms are kept as they are."""
_ODD = 65_535
_AT_ONCE = 1024
_decoder = msgspec.json.Decoder(dict[str, Any])

Positions = npt.NDArray[np.intp]
Object = Mapping[str, Any]


class Group:
    """Lines of one form: their positions in the table, in order, and the numbers of their runs."""

    __slots__ = ("_columns", "_rows", "form", "positions")

    def __init__(self, form: Form, positions: Positions, rows: Any, columns: Sequence[npt.NDArray[Any]]) -> None:
        self.form, self.positions = form, positions
        self._rows, self._columns = rows, columns

    def __len__(self) -> int:
        return len(self.positions)

    def run(self, place: int) -> Int64:
        """The numbers of one run."""
        numbers: Int64 = self._columns[place][self._rows].astype(np.int64)
        return numbers

    def numbers(self, value: Any) -> Int64 | None:
        """The numbers of a part of the form that is an integer; None for another part."""
        if type(value) is not Run:
            return None
        numbers: Int64 = value.of(self.run(value.place))
        return numbers

    def distinct(self, value: Any) -> tuple[list[Any], Int64]:
        """The values of a part of the form in its lines: each distinct value once (lists as tuples), and for each line which one it has."""
        places = sorted(set(runs_in(value)))
        if not len(self):
            return [], np.zeros(0, np.int64)
        varied = [place for place in places if not self._is_constant(place)]
        which: Int64 = np.zeros(len(self), np.int64)
        first = np.zeros(1, np.intp)
        for place in varied:
            _, each = np.unique(self._columns[place][self._rows], return_inverse=True)
            _, first, which = np.unique(which * (int(each.max()) + 1) + each, return_index=True, return_inverse=True)
        return [
            said(value, {place: int(self._columns[place][self._rows[at]]) for place in places}) for at in first
        ], which

    def _is_constant(self, place: int) -> bool:
        column = self._columns[place]
        return column.strides == (0,) or bool((column[self._rows] == column[self._rows[0]]).all())


class LineTable(Sequence[Object]):
    """Table of lines; see the module. A slice shares the numbers with its table."""

    __slots__ = ("_columns", "_form", "_forms", "_groups", "_numbers", "_odd", "_row")

    def __init__(
        self,
        forms: Sequence[Form],
        columns: Sequence[Sequence[npt.NDArray[Any]]],
        odd: Sequence[bytes],
        form: npt.NDArray[np.uint16],
        row: npt.NDArray[np.uint32],
    ) -> None:
        self._forms, self._columns, self._odd = forms, columns, odd
        self._form, self._row = form, row
        self._numbers: dict[str, Int64 | None] = {}
        self._groups: list[Group] | None = None

    def __len__(self) -> int:
        return len(self._form)

    @overload
    def __getitem__(self, at: int) -> Object: ...

    @overload
    def __getitem__(self, at: slice) -> LineTable: ...

    def __getitem__(self, at: int | slice) -> Object | LineTable:
        if isinstance(at, slice):
            return self._with(self._form[at], self._row[at])
        return _decoder.decode(self._text(int(self._form[at]), int(self._row[at])))

    def __iter__(self) -> Iterator[Object]:
        for first in range(0, len(self), _AT_ONCE):
            yield from self[first : first + _AT_ONCE]._objects()

    def _objects(self) -> Sequence[Object]:
        texts: list[bytes] = [b""] * len(self)
        for number, positions in _by_number(self._form):
            rows = self._row[positions]
            if number == _ODD:
                found = [self._odd[row] for row in rows.tolist()]
            else:
                pattern = self._forms[number].text.replace(b"%", b"%%").replace(b"0", b"%d")
                runs = [column[rows].tolist() for column in self._columns[number]]
                found = (
                    [pattern % numbers for numbers in zip(*runs, strict=True)] if runs else [pattern % ()] * len(rows)
                )
            for position, text in zip(positions.tolist(), found, strict=True):
                texts[position] = text
        return _decoder.decode_lines(b"\n".join(texts))

    def take(self, positions: npt.NDArray[Any]) -> LineTable:
        """The lines at these positions."""
        return self._with(self._form[positions], self._row[positions])

    @property
    def groups(self) -> list[Group]:
        """The lines by form, without the odd ones."""
        if self._groups is None:
            self._groups = [
                Group(self._forms[number], positions, self._row[positions], self._columns[number])
                for number, positions in _by_number(self._form)
                if number != _ODD
            ]
        return self._groups

    @property
    def odd(self) -> list[tuple[int, Object]]:
        """The lines that are not split into columns: their positions and objects."""
        return [(position, self[position]) for position in np.flatnonzero(self._form == _ODD).tolist()]

    def texts(self, name: str) -> list[tuple[Any, Positions]]:
        """A field that mostly has one of a few texts: its values (None where a line lacks it), and the positions of each."""
        found: list[tuple[Any, Positions]] = []
        for group in self.groups:
            value = group.form.fields.get(name)
            if value is None or type(value) is str:
                found.append((value, group.positions))
            else:
                found += [(self[at].get(name), np.array([at])) for at in group.positions.tolist()]
        return found + [(line.get(name), np.array([at])) for at, line in self.odd]

    def numbers(self, name: str) -> Int64 | None:
        """A field of every line as an array; None unless all its values are integers between -2^62 and 2^62."""
        if name not in self._numbers:
            self._numbers[name] = self._read_numbers(name)
        return self._numbers[name]

    def _read_numbers(self, name: str) -> Int64 | None:
        found = np.empty(len(self), np.int64)
        for group in self.groups:
            numbers = group.numbers(group.form.fields.get(name))
            if numbers is None:
                return None
            found[group.positions] = numbers
        for position, line in self.odd:
            value = line.get(name)
            if type(value) is not int or not -(2**62) <= value <= 2**62:
                return None
            found[position] = value
        return found

    def _with(self, form: npt.NDArray[np.uint16], row: npt.NDArray[np.uint32]) -> LineTable:
        return LineTable(self._forms, self._columns, self._odd, form, row)

    def _text(self, form: int, row: int) -> bytes:
        if form == _ODD:
            return self._odd[row]
        pattern = self._forms[form].text.replace(b"%", b"%%").replace(b"0", b"%d")
        return pattern % tuple([int(column[row]) for column in self._columns[form]])


class TableBuilder:
    """`check` raises for a line that must not be read; it is given the first line of each form, and every odd line."""

    def __init__(self, check: Callable[[bytes], object]) -> None:
        self._check = check
        self._numbers: dict[bytes, int] = {}
        self._forms: list[Form] = []
        self._columns: list[list[list[npt.NDArray[Any]]]] = []
        self._sizes: list[int] = []
        self._odd: list[bytes] = []
        self._form: list[npt.NDArray[np.uint16]] = []
        self._row: list[npt.NDArray[np.uint32]] = []

    def add(self, content: bytes) -> None:
        """Add whole lines: the content ends with a newline."""
        found = scan(content)
        known = self._numbers
        try:
            form = np.fromiter(map(known.__getitem__, found.texts), np.uint16, len(found.texts))
        except KeyError:
            self._learn(content, found.texts)
            form = np.fromiter(map(known.__getitem__, found.texts), np.uint16, len(found.texts))
        form[found.odd] = _ODD
        row = np.empty(len(form), np.uint32)
        for number, positions in _by_number(form):
            if number != _ODD:
                self._take(number, positions, found.numbers, found.first, form, row)
        odd = np.flatnonzero(form == _ODD)
        if len(odd):
            lines = content.split(b"\n")
            for position in odd.tolist():
                self._check(lines[position])
                row[position] = len(self._odd)
                self._odd.append(lines[position])
        self._form.append(form)
        self._row.append(row)

    def finish(self) -> LineTable:
        columns = [[_joined(parts) for parts in runs] for runs in self._columns]
        self._columns = []
        form = np.concatenate(self._form) if self._form else np.zeros(0, np.uint16)
        row = np.concatenate(self._row) if self._row else np.zeros(0, np.uint32)
        return LineTable(self._forms, columns, self._odd, form, row)

    def _learn(self, content: bytes, texts: Sequence[bytes]) -> None:
        lines = content.split(b"\n")
        for position, text in enumerate(texts):
            if text in self._numbers:
                continue
            self._check(lines[position])
            form = form_of(text) if len(self._forms) < MOST_FORMS else None
            if form is None:
                self._numbers[text] = _ODD
                continue
            self._numbers[text] = len(self._forms)
            self._forms.append(form)
            self._columns.append([[] for _ in range(form.runs)])
            self._sizes.append(0)

    def _take(
        self, number: int, positions: Positions, numbers: Int64, first: Int64, form: Any, row: npt.NDArray[np.uint32]
    ) -> None:
        """Add lines of one form; those that have a name twice become odd, and are then refused."""
        begin = first[positions]
        runs = [numbers[begin + run] for run in range(self._forms[number].runs)]
        for one, other in self._forms[number].apart:
            same = np.logical_and.reduce([runs[mine] == runs[its] for mine, its in zip(one, other, strict=True)])
            if same.any():
                form[positions] = _ODD
                return
        for column, values in zip(self._columns[number], runs, strict=True):
            column.append(_narrow(values))
        row[positions] = self._sizes[number] + np.arange(len(positions), dtype=np.uint32)
        self._sizes[number] += len(positions)


def _by_number(form: npt.NDArray[np.uint16]) -> list[tuple[int, Positions]]:
    if not len(form):
        return []
    order = np.argsort(form, kind="stable")
    ordered = form[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    ends = np.append(starts[1:], len(ordered))
    return [(int(ordered[start]), order[start:end]) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


def _narrow(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same numbers in as few bytes as they need; one number only, where all are equal."""
    if not len(values):
        return values
    low, high = values.min(), values.max()
    kind = np.min_scalar_type(high)
    return np.broadcast_to(kind.type(high), len(values)) if low == high else values.astype(kind)


def _joined(parts: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    whole = parts[0] if len(parts) == 1 else np.concatenate(parts) if parts else np.zeros(0, np.uint8)
    parts.clear()
    return _narrow(whole)
