"""Columns directly from the lines of a `history.jsonl`: without an object per event, a bounded part of the file in memory at a time.

A typed decoder reads many lines in one call. Where it refuses some, those lines are read one by one, as in `files`. That either finds and reports the
faulty line, or accepts what the decoder was too strict about.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from gc import disable, enable, isenabled
from pathlib import Path
from typing import IO, Any, Literal

import msgspec

from ..model.bounds import LINE_BYTES, may_exceed
from ..model.columns import Columns
from ..model.errors import HistoryError
from ..model.operation import Event
from .building import Chunk, ColumnsBuilder, chunk_of_events
from .codec import event_may_repeat, event_of_text, one_a_line
from .opening import opened, unreadable

CHUNK_BYTES = 262144
_SHOWN = 200


class _Line(msgspec.Struct, gc=False):
    """Fields of a line that columns need."""

    type: Literal["invoke", "ok", "fail", "info"]
    process: int | str
    f: str
    index: int | msgspec.UnsetType = msgspec.UNSET
    time: int = 0
    value: object = None
    key: object = None
    workload: str | None = None
    level: str | None = None
    error: object = None
    observed: object = None


_decode_lines = msgspec.json.Decoder(_Line).decode_lines


@dataclass(frozen=True, slots=True)
class Reading:
    """Result of a pass over a file. `torn` is the text of an unfinished last line."""

    columns: Columns
    events: int
    last_ns: int
    torn: str | None


def read_columns(path: str | Path) -> Reading:
    """Raises `HistoryError` with the place of what is malformed or inconsistent."""
    path = Path(path)
    try:
        with opened(path) as file:
            return columns_of_lines(file, str(path))
    except OSError as error:
        raise unreadable(path, error) from error


def columns_of_lines(file: IO[bytes], source: str) -> Reading:
    builder = ColumnsBuilder(source)
    torn: str | None = None
    line_number = 1
    with _no_cycles():
        for lines, whole in _parts(file, source):
            if whole:
                builder.add(_chunk(lines, line_number, builder.events, source))
                line_number += lines.count(b"\n")
            elif lines.strip():
                # A complete last line that lost only its newline is still a whole event.
                try:
                    builder.add(chunk_of_events([event_of_text(lines, builder.events)]))
                except (ValueError, HistoryError):
                    torn = lines.decode("utf-8", "replace")
        return Reading(builder.finish(), builder.events, builder.last_ns, torn)


def event_of_line(line: bytes, number: int, index: int, source: str) -> Event:
    """The event in line `number` (from 1). `index` is used where the line carries none."""
    try:
        return event_of_text(line, index)
    except (ValueError, HistoryError) as error:
        text = line.decode("utf-8", "replace")
        shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
        reason = error.message if isinstance(error, HistoryError) else str(error)
        raise HistoryError(
            f"{source}:{number}: not an event: {reason}\n  {shown}",
            "only the last line may be unfinished; was the file edited, or is it not a history?",
        ) from error


def _parts(file: IO[bytes], source: str) -> Iterator[tuple[bytes, bool]]:
    """Yield whole lines, about `CHUNK_BYTES` at a time, and finally what follows the last newline."""
    rest: list[bytes] = []
    pending = 0
    while block := file.read(CHUNK_BYTES):
        end = block.rfind(b"\n") + 1
        if end:
            yield b"".join([*rest, block[:end]]), True
            rest, pending = [], 0
        rest.append(block[end:])
        pending += len(block) - end
        if pending > LINE_BYTES:
            at = file.tell() - pending
            raise HistoryError(
                f"{source}: the line that begins at byte {at} has more than {LINE_BYTES} bytes", "is it a history?"
            )
    yield b"".join(rest), False


def _chunk(lines: bytes, line_number: int, index: int, source: str) -> Chunk:
    found = _typed(lines)
    if found is None:
        return chunk_of_events(_one_by_one(lines, line_number, index, source))
    positions: list[Any] = [line.index for line in found]
    if found and msgspec.UNSET in positions:
        positions = [index + place if own is msgspec.UNSET else own for place, own in enumerate(positions)]
    return Chunk(
        index=positions,
        time_ns=[line.time for line in found],
        process=[line.process for line in found],
        kind=[(line.type, line.f, line.workload, line.level) for line in found],
        value=[line.value for line in found],
        key=[line.key for line in found],
        seen=lambda place: (found[place].error, found[place].observed),
    )


def _typed(lines: bytes) -> list[_Line] | None:
    """None where a line may be none of an ordinary event."""
    each = lines.split(b"\n")
    try:
        if any(map(may_exceed, each)) or any(map(event_may_repeat, each)):
            return None
        found = _decode_lines(lines)
    except (ValueError, RecursionError):
        return None
    return found if one_a_line(lines, len(found)) else None


def _one_by_one(lines: bytes, line_number: int, index: int, source: str) -> list[Event]:
    events: list[Event] = []
    for number, line in enumerate(lines.split(b"\n"), start=line_number):
        if line.strip():
            events.append(event_of_line(line, number, index + len(events), source))
    return events


@contextmanager
def _no_cycles() -> Iterator[None]:
    """Switch off the search for cycles: decoded values hold none, and the search among millions of objects would take most of the time."""
    was_on = isenabled()
    disable()
    try:
        yield
    finally:
        if was_on:
            enable()
