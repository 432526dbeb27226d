"""A log entry: one command at one index in one term.

A command is a JSON list whose first element names what applies it: `["noop"]`, `["config", {"n1": 1}]`, `["sessions.open"]`, `["kv.tx", session, seq,
ops]`. `text` is its canonical JSON, made once at creation and carried along, so that disk, wire and checksums see the same bytes on every node.
Entries are immutable, so messages and logs share them.
"""

from __future__ import annotations

import zlib
from typing import Any

from ...bounded import WIDE, OutOfBounds, read_json
from ...json_text import encoder
from .value import frozen

Command = list[Any]

NOOP = "noop"
CONFIG = "config"
UNREADABLE = "unreadable"

canonical = encoder(sort_keys=True)
"""Return the canonical JSON text of a value: sorted keys, no spaces, ASCII. Raises ValueError for values that JSON cannot represent."""


@frozen
class Entry:
    """`crc` (of `text`) appears in traces; it is computed on demand."""

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
    """Parse an entry from its text. Raises ValueError when the text is not a JSON list that begins with a name.

    A command beyond the bounds of `bounded.WIDE` keeps its text and is parsed as `UNREADABLE`: every node refuses it alike, and none is stopped by
    it.
    """
    if not text.isascii():
        raise ValueError(f"the command of entry {index} is not ASCII")
    try:
        command = read_json(text, WIDE)
    except OutOfBounds:
        return Entry(index, term, text, [UNREADABLE])
    if not isinstance(command, list) or not command or not isinstance(command[0], str):
        raise ValueError(f"the command of entry {index} is {text[:80]!r}, not a list that begins with a name")
    if command[0] == CONFIG and not _is_config(command):
        command = [UNREADABLE]
    return Entry(index, term, text, command)


def _is_config(command: Command) -> bool:
    return len(command) == 2 and are_weights(command[1])


def are_weights(value: Any) -> bool:
    """Return whether a value is a valid mapping from names to weights of voters."""
    return isinstance(value, dict) and all(type(weight) is int and 0 <= weight < 1 << 31 for weight in value.values())
