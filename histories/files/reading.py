"""Columns directly from the lines of a `history.jsonl`: without an object per event, a bounded part of the file in memory at a time.

A typed decoder reads many lines in one call. Where it refuses some, those lines are read one by one, as in `files`. That either finds and reports the
faulty line, or accepts a line for which the decoder was too strict.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from gc import disable, enable, isenabled
from pathlib import Path
from typing import IO, Any, Literal

import msgspec

from ..model.bounds import LINE_BYTES, may_exceed
from ..model.columns import Columns
from ..model.errors import HistoryError
from ..model.operation import NEMESIS, Event
from .building import Chunk, ColumnsBuilder, chunk_of_events
from .codec import event_may_repeat, event_of_text, one_a_line
from .opening import opened, unreadable
from .replies import Lists

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


class _LineOfRun(_Line, gc=False):
    """Line of a run, with the fields of `replies`."""

    node: object = None
    log_index: object = msgspec.UNSET
    term: object = msgspec.UNSET
    served_by: object = msgspec.UNSET
    session: object = msgspec.UNSET
    seq: object = msgspec.UNSET
    stale: object = msgspec.UNSET
    effect: object = msgspec.UNSET
    ts: object = msgspec.UNSET


_DECODERS = {of_run: msgspec.json.Decoder(_LineOfRun if of_run else _Line).decode_lines for of_run in (False, True)}


@dataclass(frozen=True, slots=True)
class Reading:
    """Result of a pass over a file. `torn` is the text of an unfinished last line."""

    columns: Columns
    events: int
    last_ns: int
    torn: str | None
    nemesis: Sequence[Event] = ()


def read_columns(path: str | Path, of_run: bool = False) -> Reading:
    """Read a history into columns. `of_run`: with `Columns.replies`. Raises `HistoryError` with the place of what is malformed or inconsistent."""
    path = Path(path)
    try:
        with opened(path) as file:
            return columns_of_lines(file, str(path), of_run)
    except OSError as error:
        raise unreadable(path, error) from error


def columns_of_lines(file: IO[bytes], source: str, of_run: bool = False) -> Reading:
    builder = ColumnsBuilder(source)
    torn: str | None = None
    nemesis: list[Event] = []
    line_number = 1
    with _no_cycles():
        for lines, whole in _parts(file, source):
            if whole:
                chunk, apart = _chunk(lines, line_number, builder.events, source, of_run)
                builder.add(chunk)
                nemesis += apart
                line_number += lines.count(b"\n")
            elif lines.strip():
                event = last_event(lines, line_number, builder.events, source)
                if event is None:
                    torn = lines.decode("utf-8", "replace")
                else:
                    builder.add(chunk_of_events([event], of_run))
                    nemesis += _of_nemesis([event])
        return Reading(builder.finish(), builder.events, builder.last_ns, torn, nemesis)


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


def last_event(line: bytes, number: int, index: int, source: str) -> Event | None:
    """The event in a last line that lacks its newline; None where a crash cut the line. Raises `HistoryError` for a whole line that is no event."""
    try:
        return event_of_text(line, index)
    except (ValueError, HistoryError):
        return None if _is_cut(line) else event_of_line(line, number, index, source)


_TEXTS = re.compile(rb'"(?:[^"\\]|\\.)*(?:"|\\?\Z)', re.DOTALL)
_BRACKETS = re.compile(rb"[][{}]")


def _is_cut(line: bytes) -> bool:
    """Return whether a crash can leave a line in this form: an object that is never closed, or zero bytes in place of unwritten ones."""
    if b"\0" in line:
        return line.lstrip()[:1] in (b"{", b"\0")
    depth = 0
    for bracket in _BRACKETS.findall(_TEXTS.sub(b"", line)):
        depth += 1 if bracket in b"[{" else -1
        if depth <= 0:
            return False
    return line.lstrip().startswith(b"{")


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


def _chunk(lines: bytes, line_number: int, index: int, source: str, of_run: bool) -> tuple[Chunk, list[Event]]:
    """The events of whole lines, and among them those of the nemesis, as objects."""
    found = _typed(lines, of_run)
    if found is None:
        events = _one_by_one(lines, line_number, index, source)
        return chunk_of_events(events, of_run), _of_nemesis(events)
    positions: list[Any] = [line.index for line in found]
    if found and msgspec.UNSET in positions:
        positions = [index + place if own is msgspec.UNSET else own for place, own in enumerate(positions)]
    process = [line.process for line in found]
    nemesis: list[Event] = []
    if NEMESIS in process:
        each = lines.split(b"\n")
        at = [place for place, name in enumerate(process) if name == NEMESIS]
        nemesis = [event_of_line(each[place], line_number + place, index + place, source) for place in at]
    chunk = Chunk(
        index=positions,
        time_ns=[line.time for line in found],
        process=process,
        kind=[(line.type, line.f, line.workload, line.level) for line in found],
        value=[line.value for line in found],
        key=[line.key for line in found],
        seen=lambda place: (found[place].error, found[place].observed),
        replies=_replies(found) if of_run else None,
    )
    return chunk, nemesis


def _of_nemesis(events: Iterable[Event]) -> list[Event]:
    return [event for event in events if event.process == NEMESIS]


def _replies(lines: Sequence[Any]) -> Lists:
    return {
        "node": [line.node for line in lines],
        "error": [line.error for line in lines],
        "log_index": [line.log_index for line in lines],
        "term": [line.term for line in lines],
        "served_by": [line.served_by for line in lines],
        "session": [line.session for line in lines],
        "seq": [line.seq for line in lines],
        "stale": [line.stale for line in lines],
        "effect": [line.effect for line in lines],
        "ts": [line.ts for line in lines],
    }


def _typed(lines: bytes, of_run: bool) -> Sequence[_Line] | None:
    """Decode lines as typed structs. Return None if one may not be that of an ordinary event."""
    try:
        if _has_strange_line(lines):
            return None
        found = _DECODERS[of_run](lines)
    except (ValueError, RecursionError):
        return None
    return found if one_a_line(lines, len(found)) else None


_DIGITS_ALIKE = bytes.maketrans(b"0123456789", b"1111111111")


def _has_strange_line(lines: bytes) -> bool:
    """Return whether a line may hold a value out of bounds, or a name twice. Lines that differ only in their digits are checked once: equal names
    stay equal and long numbers stay long, so a problem in one of these lines is also in the checked one.
    """
    alike = lines.translate(_DIGITS_ALIKE).split(b"\n")
    strange = {line for line in set(alike) if _is_strange(line)}
    if not strange:
        return False
    return any(form in strange and _is_strange(line) for form, line in zip(alike, lines.split(b"\n"), strict=True))


def _is_strange(line: bytes) -> bool:
    try:
        return may_exceed(line) or event_may_repeat(line)
    except (ValueError, RecursionError):
        return True


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
