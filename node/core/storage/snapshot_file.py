"""The snapshot as one ASCII text: a line of JSON about it, then the state.

The same text is the file on disk and what InstallSnapshot carries in pieces, so one checksum guards both ways.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from ...bounded import REACHABLE
from ...errors import CorruptionError
from ..entry import are_weights, canonical

FILE = "snapshot"
TEMPORARY = "snapshot.tmp"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The applied state at (`index`, `term`), the voters in force there, and `text`, the whole file."""

    index: int
    term: int
    voters: Mapping[str, int]
    data: str
    digest: str
    text: str


def make_snapshot(index: int, term: int, voters: Mapping[str, int], data: str, digest: str) -> Snapshot:
    about = {"index": index, "term": term, "voters": dict(voters), "digest": digest, "size": len(data)}
    about["crc"] = _checksum(about, data)
    return Snapshot(index, term, dict(voters), data, digest, canonical(about) + "\n" + data)


def parse_snapshot(text: str, place: str) -> Snapshot:
    """Raises `CorruptionError` naming `place` when anything does not fit its checksum."""
    line, _, data = text.partition("\n")
    try:
        about = json.loads(line)
        crc = about.pop("crc")
        if crc != _checksum(about, data):
            raise ValueError(f"the checksum is not {crc}")
        _judge(about)
        return Snapshot(about["index"], about["term"], about["voters"], data, about["digest"], text)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise CorruptionError(
            f"{place}: the snapshot is damaged ({error})",
            "restore this node's data directory from a backup, or empty it and let the leader fill it again",
        ) from None


def refuse_unreadable(snapshot: Snapshot) -> None:
    """Raises `CorruptionError` for a state that this interpreter cannot read: a leader of an earlier release, on another Python, may hold one.

    Once it is on the disk, this node could not start any more.
    """
    try:
        json.loads(snapshot.data)
    except (ValueError, RecursionError) as error:
        raise CorruptionError(
            f"the snapshot at {snapshot.index} cannot be read here ({error})", "run the same Python as the leader"
        ) from None


def _judge(about: Mapping[str, object]) -> None:
    """A checksum is right also of what no node wrote. Raises ValueError."""
    for name in ("index", "term"):
        value = about[name]
        if type(value) is not int or not 0 <= value < REACHABLE:
            raise ValueError(f"{name} is {str(value)[:80]}, not an integer that a log reaches")
    if not are_weights(about["voters"]) or not isinstance(about["digest"], str):
        raise ValueError("voters are no weights by name, or digest is no string")


def _checksum(about: Mapping[str, object], data: str) -> int:
    return zlib.crc32(data.encode("ascii", "replace"), zlib.crc32(canonical(about).encode("ascii")))
