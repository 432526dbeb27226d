"""A snapshot as one ASCII text: a header line of JSON, then the state.

The same text is the file on disk and what InstallSnapshot carries in chunks, so one checksum guards both. It may have hundreds of megabytes, so it is
kept, written and sent in pieces. Its checksum is combined from the checksums of the header and of the state.
"""

from __future__ import annotations

import json
import zlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from ...bounded import REACHABLE
from ...errors import CorruptionError
from ...snapshot_text import SnapshotText
from ..interface.entry import are_weights, canonical
from .crc import combined

FILE = "snapshot"
TEMPORARY = "snapshot.tmp"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The applied state at (`index`, `term`), the active voters there, and the whole file: the concatenation of `pieces`, the first of which is the
    header line.

    `ends` holds the offset in the file at which each piece ends.
    """

    index: int
    term: int
    voters: Mapping[str, int]
    digest: str
    pieces: Sequence[bytes]
    ends: Sequence[int]

    @property
    def size(self) -> int:
        return self.ends[-1]

    @property
    def text(self) -> str:
        return b"".join(self.pieces).decode("ascii")

    @property
    def data(self) -> str:
        return b"".join(self.pieces[1:]).decode("ascii")

    def cut(self, offset: int, size: int) -> bytes:
        """Return `size` bytes of the file from `offset` on; fewer at its end."""
        found: list[bytes] = []
        position = bisect_right(self.ends, offset)
        while size > 0 and position < len(self.pieces):
            piece = self.pieces[position]
            start = offset - (self.ends[position] - len(piece))
            found.append(piece[start : start + size])
            offset, size, position = offset + len(found[-1]), size - len(found[-1]), position + 1
        return b"".join(found)


def make_snapshot(index: int, term: int, voters: Mapping[str, int], data: str | SnapshotText, digest: str) -> Snapshot:
    text = SnapshotText(data) if isinstance(data, str) else data
    about = {"index": index, "term": term, "voters": dict(voters), "digest": digest, "size": text.size}
    about["crc"] = _crc(about, text.crc, text.size)
    return _snapshot(about, canonical(about).encode("ascii") + b"\n", text.parts)


def parse_snapshot(text: str | Sequence[bytes], place: str) -> Snapshot:
    """Parse a snapshot. Raises `CorruptionError` naming `place` when anything does not match its checksum."""
    parts = [text.encode("ascii", "replace")] if isinstance(text, str) else text
    line, data = _split(parts)
    try:
        about = json.loads(line)
        crc = about.pop("crc")
        if crc != _crc(about, *_summed(data)):
            raise ValueError(f"the checksum is not {crc}")
        _judge(about)
        return _snapshot(about, line, data)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise CorruptionError(
            f"{place}: the snapshot is damaged ({error})",
            "restore this node's data directory from a backup, or empty it and let the leader fill it again",
        ) from None


def refuse_unreadable(snapshot: Snapshot) -> None:
    """Raise `CorruptionError` for a state that this interpreter cannot read. A leader of an earlier release, on another Python, may send one.

    Once such a state is on disk, this node could no longer start.
    """
    try:
        json.loads(snapshot.data)
    except (ValueError, RecursionError) as error:
        raise CorruptionError(
            f"the snapshot at {snapshot.index} cannot be read here ({error})", "run the same Python as the leader"
        ) from None


def _snapshot(about: Mapping[str, object], line: bytes, data: Sequence[bytes]) -> Snapshot:
    index, term, voters, digest = about["index"], about["term"], about["voters"], about["digest"]
    pieces = [line, *data]
    return Snapshot(index, term, voters, digest, pieces, list(accumulate(map(len, pieces))))  # type: ignore[arg-type]


def _judge(about: Mapping[str, object]) -> None:
    """Check the values: a checksum can also match data that no node wrote. Raises ValueError."""
    for name in ("index", "term"):
        value = about[name]
        if type(value) is not int or not 0 <= value < REACHABLE:
            raise ValueError(f"{name} is {str(value)[:80]}, not an integer that a log reaches")
    if not are_weights(about["voters"]) or not isinstance(about["digest"], str):
        raise ValueError("voters are not weights by name, or digest is not a string")


def _split(parts: Sequence[bytes]) -> tuple[bytes, list[bytes]]:
    """Return the header line, with its end, and the parts that follow."""
    line = b""
    for position, part in enumerate(parts):
        head, end, rest = part.partition(b"\n")
        line += head + end
        if end:
            return line, [piece for piece in (rest, *parts[position + 1 :]) if piece]
    return line, []


def _summed(data: Sequence[bytes]) -> tuple[int, int]:
    crc = size = 0
    for part in data:
        crc, size = zlib.crc32(part, crc), size + len(part)
    return crc, size


def _crc(about: Mapping[str, object], crc: int, size: int) -> int:
    """Checksum of the header line without the checksum itself, and of the state after it."""
    return combined(zlib.crc32(canonical(about).encode("ascii")), crc, size)


def _checksum(about: Mapping[str, object], data: str) -> int:
    return _crc(about, *_summed([data.encode("ascii", "replace")]))
