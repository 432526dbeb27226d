"""Reader and writer of elle-cli's JSON histories: one array of the maps of Jepsen's EDN, keywords as strings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..files.codec import decode_value, encode_fields, refuse_repeats
from ..files.opening import read_bytes
from ..files.replacing import replacing
from ..model.errors import HistoryError
from ..model.history import History
from ..model.operation import Event
from .maps import fields_of_event, history_of_maps

_HINT = 'a history in JSON is [{"type": "invoke", "f": "txn", "value": […], "process": 0}, …]'


def read_elle_json(path: str | Path) -> History:
    path = Path(path)
    try:
        content = read_bytes(path)
        found = decode_value(content)
        refuse_repeats(content)
    except ValueError as error:
        raise HistoryError(f"{path}: not JSON: {error}", _HINT) from error
    if not isinstance(found, list):
        raise HistoryError(f"{path}: {type(found).__name__}, not an array", _HINT)
    return history_of_maps(_maps(found, str(path)), str(path))


def write_elle_json(path: str | Path, events: Iterable[Event]) -> None:
    with replacing(path) as file:
        file.write(b"[")
        for number, event in enumerate(events):
            file.write((b",\n" if number else b"") + encode_fields(fields_of_event(event)))
        file.write(b"]\n")


def _maps(found: list[Any], source: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, item in enumerate(found):
        place = f"{source}: event {number}"
        if not isinstance(item, dict):
            raise HistoryError(f"{place}: {item!r} is not an event", _HINT)
        yield place, item
