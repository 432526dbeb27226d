"""Fields of trace lines as arrays, and lines by event: where they are a table, without making an object of each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from tribulation.histories.lines.scan import Int64
from tribulation.histories.lines.table import LineTable

Line = Mapping[str, Any]


def numbers(lines: Sequence[Line], name: str) -> Int64 | None:
    """Return a field of all lines; None where it is not an integer in each, or the lines are objects."""
    return lines.numbers(name) if isinstance(lines, LineTable) else None


def events(traces: Mapping[str, Sequence[Line]]) -> set[Any]:
    """Return the events that nodes traced."""
    found: set[Any] = set()
    for lines in traces.values():
        if isinstance(lines, LineTable):
            found.update(event for event, _ in lines.texts("event"))
        else:
            found.update(line.get("event") for line in lines)
    return found


def placed(lines: Sequence[Line], wanted: Collection[str]) -> Iterator[tuple[int, Line]]:
    """Return the lines of these events, in order, each with its position."""
    if not isinstance(lines, LineTable):
        return ((position, line) for position, line in enumerate(lines) if line.get("event") in wanted)
    found = [positions for event, positions in lines.texts("event") if event in wanted]
    if not found:
        return iter(())
    positions = np.sort(np.concatenate(found))
    return zip(positions.tolist(), lines.take(positions), strict=True)


def of(lines: Sequence[Line], wanted: Collection[str]) -> Iterator[Line]:
    """Return the lines of these events, in order."""
    return (line for _, line in placed(lines, wanted))


def picked(lines: Sequence[Line], pick: Callable[[Line], Any]) -> tuple[Int64, Int64] | None:
    """Return one number of each line for which `pick` finds some in its fields: the positions, in order, and the numbers.

    None where not all are integers of a table.
    """
    if not isinstance(lines, LineTable) or lines.odd:
        return None
    found = [(group, value) for group in lines.groups if (value := pick(group.form.fields)) is not None]
    columns = [group.numbers(value) for group, value in found]
    if not found or any(column is None for column in columns):
        return None
    positions = np.concatenate([group.positions for group, _ in found])
    order = np.argsort(positions)
    return positions[order], np.concatenate([column for column in columns if column is not None])[order]


def stretches(values: Int64) -> list[tuple[int, int]]:
    """Return the first and the end of each run of equal numbers."""
    bounds = [0, *(np.flatnonzero(values[1:] != values[:-1]) + 1).tolist(), len(values)] if len(values) else []
    return list(pairwise(bounds))


def misnumbered(seq: Int64) -> tuple[int, ...]:
    """Return the places at which lines that count from 0 do not go on with the next number."""
    expected = np.concatenate([[0], seq[:-1] + 1])
    return tuple(np.flatnonzero(seq != expected).tolist())
