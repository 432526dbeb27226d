"""Byte format of the memory's log. Pure: it knows no files, only their content.

A segment is a sequence of frames; a frame is what was appended and fsynced at once:

    frame   = magic (4) | payload size (4) | number (8) | previous (4) | crc32 of the payload (4) | checksum: crc32 of all of that (4) | payload
    payload = {"r": [[kind, id, state], …], "x": [[kind, id], …], "v": {replica: n}, "m": {…}}

`r` are records. `x` are keys of records that were collected before the records of `r` came (again). `v` are the entries of the version vector that
changed. `m` are the entries of the metadata to replace. Empty parts are left out. Frames are numbered without a gap through all segments, and each
names the checksum of the one before (`previous`). So a frame proves its vector only to a reader of all frames up to it. Numbers are big-endian.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from ...interface.entry import canonical
from ...interface.value import frozen
from ..records.trmm import SECTIONS, Item, Key, parse
from ..records.vector import vector_problem

MAGIC = b"\xf5TML"
_HEADER = struct.Struct(">4sIQII")
_CRC = struct.Struct(">I")
_START = _HEADER.size + _CRC.size


@frozen
class Frame:
    """One frame of the log. `at` is the offset of its first byte in the segment."""

    at: int
    number: int
    previous: int
    checksum: int
    payload: bytes


@frozen
class Change:
    """Content of a frame."""

    records: list[Item]
    removed: list[Key]
    vector: Mapping[str, int]
    metadata: Mapping[str, Any]


@frozen
class Scan:
    """Result of `scan`: the intact frames in order. `damage` has a place and a sentence for each damaged range. `torn`: the last damaged range
    reaches to the end of the segment.
    """

    frames: list[Frame]
    damage: list[tuple[int, str]]
    torn: bool


class Batch:
    """Content staged for the next frame. Only the last state of each record is written."""

    def __init__(self) -> None:
        self._records: dict[Key, str] = {}
        self._removed: dict[Key, None] = {}
        self._vector: dict[str, int] = {}
        self._metadata: dict[str, Any] = {}

    def add(
        self,
        records: Iterable[tuple[Key, str]],
        vector: Mapping[str, int],
        removed: Iterable[Key],
        metadata: Mapping[str, Any],
    ) -> None:
        """Add `removed` before `records`, as in a frame. A record is given as its key and the canonical JSON of its state."""
        for key in removed:
            self._records.pop(key, None)
            self._removed[key] = None
        for key, text in records:
            self._records[key] = f"[{canonical(key[0])},{canonical(key[1])},{text}]"
        self._vector.update(vector)
        self._metadata.update(metadata)

    def payload(self) -> bytes:
        """Return the content as canonical JSON."""
        parts = []
        if self._metadata:
            parts.append(f'"m":{canonical(self._metadata)}')
        if self._records:
            parts.append(f'"r":[{",".join(self._records.values())}]')
        if self._vector:
            parts.append(f'"v":{canonical(self._vector)}')
        if self._removed:
            parts.append(f'"x":{canonical(list(self._removed))}')
        return ("{" + ",".join(parts) + "}").encode("ascii")


def encode_frame(number: int, previous: int, payload: bytes) -> tuple[bytes, int]:
    """Return the frame and its checksum."""
    header = _HEADER.pack(MAGIC, len(payload), number, previous, zlib.crc32(payload))
    checksum = zlib.crc32(header)
    return header + _CRC.pack(checksum) + payload, checksum


def scan(data: bytes) -> Scan:
    """Read frame after frame to the end; after damage, continue with the next intact header."""
    frames: list[Frame] = []
    damage: list[tuple[int, str]] = []
    at, torn = 0, False
    while at < len(data):
        header = _header(data, at)
        torn = True
        if header is None:
            damage.append((at, f"no frame begins at byte {at}"))
            at = _next_header(data, at)
            continue
        size, number, previous, crc, checksum = header
        begin, at = at, at + _START + size
        payload = data[begin + _START : at]
        if at > len(data):
            damage.append((begin, f"frame {number} at byte {begin} ends at byte {len(data)} instead of {at}"))
        elif crc != zlib.crc32(payload):
            damage.append((begin, f"frame {number} at byte {begin} does not fit its checksum"))
        else:
            torn = False
            frames.append(Frame(begin, number, previous, checksum, payload))
    return Scan(frames, damage, torn)


def read_frame(frame: Frame) -> Change:
    """Parse the payload of a frame. Raises ValueError for a payload that no writer makes."""
    try:
        said = parse(frame.payload.decode("ascii"))
        records = [_item(kind, ident, state) for kind, ident, state in said.get("r", ())]
        removed = [_item(kind, ident, {})[:2] for kind, ident in said.get("x", ())]
        metadata = dict(said.get("m", {}))
        checked_vector(metadata.get("floor", {}))
        return Change(records, removed, checked_vector(said.get("v", {})), metadata)
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"frame {frame.number} at byte {frame.at} has another shape ({error})") from None


def checked_vector(value: Any) -> dict[str, int]:
    """Return a value that is a valid version vector. Raises ValueError for anything else."""
    problem = vector_problem(value)
    if problem is not None:
        raise ValueError(problem)
    found: dict[str, int] = value
    return found


def _item(kind: Any, ident: Any, state: Any) -> Item:
    if kind in SECTIONS and type(ident) is str and type(state) is dict:
        return kind, ident, state
    raise ValueError(f"{str((kind, ident))[:80]} is not a record")


def _header(data: bytes, at: int) -> tuple[int, int, int, int, int] | None:
    """Return (size, number, previous, crc of the payload, checksum) when an intact header is there."""
    if len(data) - at < _START:
        return None
    magic, size, number, previous, crc = _HEADER.unpack_from(data, at)
    checksum = zlib.crc32(data[at : at + _HEADER.size])
    if magic != MAGIC or _CRC.unpack_from(data, at + _HEADER.size) != (checksum,):
        return None
    return size, number, previous, crc, checksum


def _next_header(data: bytes, at: int) -> int:
    """Return where the next intact header stands, or the end. Payloads are ASCII, so the magic does not occur in them."""
    at = data.find(MAGIC, at + 1)
    while at >= 0 and _header(data, at) is None:
        at = data.find(MAGIC, at + 1)
    return at if at >= 0 else len(data)
