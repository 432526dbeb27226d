"""Histories in files: `history.jsonl`, one event a line, in order.

A crash of the writer leaves at most one unfinished last line. The reader accepts that line as torn and says so in
`History.torn`; any other line that is not an event is an error with its place and text.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .codec import decode_line, encode_event, event_from_json
from .errors import HistoryError
from .history import History
from .operation import Event

_SHOWN = 200


def read_history(path: str | Path) -> History:
    """The history in `path`. Raises `HistoryError` with file:line and the text where a line is malformed."""
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise HistoryError(
            f"cannot read the history {path}: {error.strerror}", "name a history.jsonl file, or a run's folder"
        ) from error
    return parse_history(content, str(path))


def parse_history(content: bytes, source: str) -> History:
    """The history in the bytes of a file; `source` names it in errors."""
    lines = content.split(b"\n")
    tail = lines.pop()
    events: list[Event] = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            events.append(_event(line, number, len(events), source))
    torn: str | None = None
    if tail.strip():
        # A complete last line whose newline alone was lost is still a whole event.
        try:
            events.append(event_from_json(decode_line(tail), len(events)))
        except (ValueError, HistoryError):
            torn = tail.decode("utf-8", "replace")
    return History(events, torn=torn, source=source)


def write_history(path: str | Path, events: Iterable[Event]) -> None:
    """Writes `events` to `path`, replacing it in one step."""
    path = Path(path)
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        for event in events:
            file.write(encode_event(event))
    temporary.replace(path)


def _event(line: bytes, number: int, index: int, source: str) -> Event:
    try:
        return event_from_json(decode_line(line), index)
    except (ValueError, HistoryError) as error:
        text = line.decode("utf-8", "replace")
        shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
        reason = error.message if isinstance(error, HistoryError) else str(error)
        raise HistoryError(
            f"{source}:{number}: not an event: {reason}\n  {shown}",
            "only the last line may be unfinished; was the file edited, or is it something else than a history?",
        ) from error
