"""Forms of lines: the common text of all lines that differ only in their numbers.

A form is found from one of its lines, which is parsed; any other line of the form is then known to parse, to the same value with other numbers. That
is true only where digits are plain integers: not in fractions, exponents and escapes. Lines of such forms are not split into columns.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

LONGEST_TEXT = 1 << 13
MOST_RUNS = 512
MOST_LIKE_NAMES = 16
_FIRST = 10**17
"""First of the numbers that stand for runs of digits: all have 18 digits."""
_RUN = re.compile(r"\d{18}")


class Run(NamedTuple):
    """An integer of a form: the number of a run, or its negative."""

    place: int
    sign: int

    def of(self, numbers: Any) -> Any:
        return numbers if self.sign > 0 else -numbers


class Words(NamedTuple):
    """A text of a form that has digits: `parts[i]`, then the number of run `runs[i]`, and so on to the last part."""

    parts: tuple[str, ...]
    runs: tuple[int, ...]

    def of(self, numbers: Sequence[int] | Mapping[int, int]) -> str:
        return self.parts[0] + "".join(
            f"{numbers[run]}{part}" for run, part in zip(self.runs, self.parts[1:], strict=True)
        )


@dataclass(frozen=True, slots=True)
class Form:
    """`text` with a 0 for each run. `fields` describes the content of its lines: `Run` for integers, `Words` for texts with digits, pairs for inner objects.

    `apart`: pairs of names of one object, by their runs; if both are equal in a line, the line has a name twice.
    """

    text: bytes
    fields: dict[str, Any]
    runs: int
    apart: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]

    @property
    def example(self) -> dict[str, Any]:
        """The object of a line of this form."""
        found: dict[str, Any] = json.loads(self.text)
        return found


class Pairs(NamedTuple):
    """An object inside a line: its names and values in order."""

    items: tuple[tuple[str | Words, Any], ...]


def form_of(text: bytes) -> Form | None:
    """Return the form of a text that was parsed with a 0 for each run; None where digits may mean more than themselves, or there are too many."""
    if len(text) > LONGEST_TEXT or b"\\" in text:
        return None
    pieces = text.split(b"0")
    runs = len(pieces) - 1
    if runs > MOST_RUNS:
        return None
    marked = b"".join(b"%s%d" % (piece, _FIRST + place) for place, piece in enumerate(pieces[:-1])) + pieces[-1]
    apart: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    found = _taken_apart(json.loads(marked, object_pairs_hook=lambda pairs: Pairs(tuple(pairs))), apart)
    if not isinstance(found, Pairs) or any(isinstance(name, Words) for name, _ in found.items):
        return None
    seen = sorted(runs_in(found))
    if seen != list(range(runs)) or len(apart) > MOST_LIKE_NAMES**2:
        return None
    return Form(text, {str(name): value for name, value in found.items}, runs, tuple(apart))


def _taken_apart(value: Any, apart: list[tuple[tuple[int, ...], tuple[int, ...]]]) -> Any:
    if type(value) is int:
        return Run(abs(value) - _FIRST, 1 if value > 0 else -1)
    if type(value) is str:
        return _words(value)
    if type(value) is Pairs:
        items = tuple((_words(str(name)), _taken_apart(inner, apart)) for name, inner in value.items)
        names = [name for name, _ in items if type(name) is Words]
        apart += [(one.runs, other.runs) for one, other in combinations(names, 2) if one.parts == other.parts]
        return Pairs(items)
    if type(value) is list:
        return tuple(_taken_apart(inner, apart) for inner in value)
    return value


def _words(text: str) -> str | Words:
    found = _RUN.findall(text)
    return Words(tuple(_RUN.split(text)), tuple(int(run) - _FIRST for run in found)) if found else text


def runs_in(value: Any) -> Iterator[int]:
    """All runs that the parts of a form name; a number that is not an integer names none."""
    if type(value) is Run:
        yield value.place
    elif type(value) is Words:
        yield from value.runs
    elif type(value) is Pairs:
        for name, inner in value.items:
            yield from runs_in(name)
            yield from runs_in(inner)
    elif type(value) is tuple:
        for inner in value:
            yield from runs_in(inner)


def said(value: Any, numbers: Mapping[int, int]) -> Any:
    """The value of a part of a form in a line whose runs have these numbers."""
    if type(value) is Run:
        return value.sign * numbers[value.place]
    if type(value) is Words:
        return value.of(numbers)
    if type(value) is Pairs:
        return {said(name, numbers): said(inner, numbers) for name, inner in value.items}
    if type(value) is tuple:
        return tuple(said(inner, numbers) for inner in value)
    return value
