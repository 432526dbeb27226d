"""Sources of a history, as a `RunRecord`: a path, a `History`, columns, or events as dictionaries, objects or short arrays.

[{"process": 0, "type": "invoke", "f": "write", "value": 1}, …]        fields as in `history.jsonl`; index and time may be missing
[(0, "invoke", "write", 1), (0, "ok", "write", 1, "k7"), …]            process, type, f, value, key, time in ns
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tribulation.histories import Event, History, HistoryError
from tribulation.histories.files.codec import event_from_json
from tribulation.histories.formats import read
from tribulation.histories.model.columns import Columns
from tribulation.histories.model.rows import history_of_columns

from .base.result import Gap, RunRecord

Item = Mapping[str, Any] | Event | Sequence[Any]
Source = RunRecord | History | Columns | str | Path | Iterable[Item]

_FIELDS = ("process", "type", "f", "value", "key", "time")
_LEAST_FIELDS = 3


def as_record(source: Source, format: str | None = None) -> RunRecord:
    """Return the record of a source. Raises `HistoryError` when the history cannot be read. `format` is that of a file, detected when omitted."""
    if isinstance(source, RunRecord):
        return source
    if isinstance(source, History):
        return _bare(source)
    if isinstance(source, Columns):
        return _bare(history_of_columns(source))
    if isinstance(source, (str, Path)):
        path = Path(source)
        return _bare(read(path / "history.jsonl", "jsonl") if path.is_dir() else read(path, format))
    return _bare(History(_event(item, number) for number, item in enumerate(source)))


def _bare(history: History) -> RunRecord:
    """Return a record of a history alone. A cut last line is a gap: its content, and what may have followed it, is missing."""
    if history.torn is None:
        return RunRecord(history=history)
    name = Path(history.source).name if history.source else "history"
    return RunRecord(history=history, gaps=(Gap("history", name, "its last line is cut", tail=True),))


def _event(item: Item, number: int) -> Event:
    if isinstance(item, Event):
        return item
    if isinstance(item, Mapping):
        return event_from_json(item, number)
    if not isinstance(item, (list, tuple)) or not _LEAST_FIELDS <= len(item) <= len(_FIELDS):
        raise HistoryError(
            f"event {number} is {item!r}",
            f"an event is a mapping, or an array of {', '.join(_FIELDS)} (value and later may be left out)",
        )
    return event_from_json(dict(zip(_FIELDS, item, strict=False)), number)
