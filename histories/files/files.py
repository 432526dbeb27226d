"""Histories in files: `history.jsonl`, one event per line, in order.

A crash of the writer leaves at most one unfinished last line. The reader accepts that line as torn and reports it in `History.torn`. Any other line
that is not an event is an error with its place and text.

A large file is read as columns at once. Its events are made only when they are needed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ..model.errors import HistoryError
from ..model.history import History
from ..model.operation import Event
from .codec import AT_ONCE_BYTES, PlainEvents, any_may_repeat, decode_lines, encode_event
from .opening import opened, read_bytes
from .reading import event_of_line, last_event, read_columns
from .replacing import replacing

LARGE_BYTES = 1 << 22
"""Larger files are read as columns first."""


def read_history(path: str | Path, *, of_run: bool = False) -> History:
    """The history in `path`; `of_run`: with the fields that checks of a whole run need. Raises `HistoryError` with file:line and the text where a line is
    malformed.
    """
    path = Path(path)
    with opened(path) as file:
        large = os.fstat(file.fileno()).st_size >= LARGE_BYTES
    return _read_large(path, of_run) if large else parse_history(read_bytes(path), str(path))


def parse_history(content: bytes, source: str) -> History:
    """The history in the bytes of a file; `source` names it in errors."""
    events: list[Event] = []
    at, number = 0, 1
    while end := _end_of_lines(content, at):
        part = content[at:end]
        if not _add_plain(events, part):
            for line_number, line in enumerate(part.split(b"\n"), start=number):
                if line.strip():
                    events.append(event_of_line(line, line_number, len(events), source))
        number += part.count(b"\n")
        at = end
    tail = content[at:]
    torn: str | None = None
    if tail.strip():
        event = last_event(tail, number, len(events), source)
        if event is None:
            torn = tail.decode("utf-8", "replace")
        else:
            events.append(event)
    return History(events, torn=torn, source=source)


def _end_of_lines(content: bytes, at: int) -> int:
    """The end of the next whole lines, about `AT_ONCE_BYTES` of them; 0 where there are none."""
    return content.rfind(b"\n", at, at + AT_ONCE_BYTES) + 1 or content.find(b"\n", at) + 1


def _add_plain(events: list[Event], part: bytes) -> bool:
    """Add the events of whole lines and return True, or add none and return False where a line is not an ordinary event."""
    objects = decode_lines(part)
    if objects is None or any_may_repeat(part, objects):
        return False
    first, plain = len(events), PlainEvents()
    for fields in objects:
        event = plain.event(fields, len(events))
        if event is None:
            del events[first:]
            return False
        events.append(event)
    return True


def _read_large(path: Path, of_run: bool) -> History:
    written_ns = path.stat().st_mtime_ns
    reading = read_columns(path, of_run)

    def load() -> Iterable[Event]:
        if path.stat().st_mtime_ns != written_ns:
            raise HistoryError(f"{path} changed while it was in use", "check a history that is complete")
        with opened(path) as file:
            return parse_history(file.read(), str(path)).events

    history = History.of_columns(
        reading.columns,
        load,
        events=reading.events,
        last_ns=reading.last_ns,
        torn=reading.torn,
        source=str(path),
        nemesis=reading.nemesis,
    )
    history.full = of_run
    return history


def write_history(path: str | Path, events: Iterable[Event], torn: str | None = None) -> None:
    """Write `events`, and `torn` as an unfinished last line, to `path`, replacing the file in one step."""
    with replacing(path) as file:
        for event in events:
            file.write(encode_event(event))
        file.write((torn or "").encode())
