"""A log entry: one command at one index in one term.

A command is a JSON list whose first element names who applies it: `["noop"]`, `["config", {"n1": 1}]`, `["sessions.open"]`,
`["kv.tx", session, seq, ops]`. `text` is its canonical JSON, made once where the entry is born and carried along, so that disk, wire
and checksums see the same bytes on every node. Entries are shared between messages and logs and never changed.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

from .value import frozen

Command = list[Any]

NOOP = "noop"
CONFIG = "config"

_encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def canonical(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, ASCII. Raises ValueError for what JSON cannot say."""
    return _encoder.encode(value)


@frozen
class Entry:
    """`crc` (of `text`) is what traces show; it is computed on demand."""

    index: int
    term: int
    text: str
    command: Command

    @property
    def crc(self) -> int:
        return zlib.crc32(self.text.encode("ascii"))


def make_entry(index: int, term: int, command: Command) -> Entry:
    return Entry(index, term, canonical(command), command)


def parse_entry(index: int, term: int, text: str) -> Entry:
    """An entry from its text. Raises ValueError when the text is not a JSON list that begins with a name."""
    command = json.loads(text)
    if not isinstance(command, list) or not command or not isinstance(command[0], str):
        raise ValueError(f"the command of entry {index} is {text[:80]!r}, not a list that begins with a name")
    return Entry(index, term, text, command)
