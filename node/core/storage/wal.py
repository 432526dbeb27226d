"""Byte format of the write-ahead log. Pure: it knows no files, only their content.

A segment is a sequence of batches; a batch is what was appended and fsynced at once:

    batch  = magic (4) | body size (4) | records (4) | crc32 of the two (4) | record …
    record = payload size (4) | crc32 of size and payload (4) | payload

A payload is one letter and fields: `B` base index, term (first in a segment) · `H` term, vote (both in one record, so that no crash can separate
them) · `E` index, term, text · `T` index from which the log is truncated · `D` doubt about the tail. Numbers are big-endian.

The log issues a batch only when the previous one is durable. So a crash can damage only the last batch, and damage anywhere before it means that
durable bytes were lost. `scan` distinguishes the two and leaves the decision to its caller.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import Enum
from typing import Union

from ..interface.entry import Entry, parse_entry

MAGIC = b"\xf5WAL"
_HEADER = struct.Struct(">4sIII")
_SIZES = struct.Struct(">II")
_RECORD = struct.Struct(">II")
_ONE = struct.Struct(">Q")
_TWO = struct.Struct(">QQ")


@dataclass(frozen=True, slots=True)
class Base:
    """The log of this segment begins after (`index`, `term`); a snapshot holds what is before."""

    index: int
    term: int


@dataclass(frozen=True, slots=True)
class Hard:
    """The current term, and the node that this one voted for in it ("": none)."""

    term: int
    vote: str


@dataclass(frozen=True, slots=True)
class Cut:
    """Entries from `index` on were removed."""

    index: int


@dataclass(frozen=True, slots=True)
class Doubt:
    """Doubt about the tail of this log: it was lost, and the log once reached the index `known` or further. None ends the doubt. As a record of the
    log, the doubt survives the next crash.
    """

    known: int | None


Record = Union[Base, Hard, Cut, Doubt, Entry]


class Damage(Enum):
    NONE = "none"
    TAIL = "tail"
    """Only the last batch is damaged or incomplete."""
    MIDDLE = "middle"
    """Something is damaged before the last batch."""


@dataclass(frozen=True, slots=True)
class Scan:
    """Result of `scan`. `records` are those of the intact batches at the front of the segment. `size` is the length of these batches in bytes,
    `batches` their number. `offset` is the byte at which damage begins.
    """

    records: list[Record]
    size: int
    batches: int
    damage: Damage
    detail: str


def encode_record(record: Record) -> bytes:
    if type(record) is Entry:
        payload = b"E" + _TWO.pack(record.index, record.term) + record.text.encode("ascii")
    elif type(record) is Hard:
        payload = b"H" + _ONE.pack(record.term) + record.vote.encode()
    elif type(record) is Cut:
        payload = b"T" + _ONE.pack(record.index)
    elif type(record) is Doubt:
        payload = b"D" + _ONE.pack(0 if record.known is None else record.known + 1)
    else:
        assert type(record) is Base
        payload = b"B" + _TWO.pack(record.index, record.term)
    size = len(payload)
    return _RECORD.pack(size, zlib.crc32(payload, size)) + payload


def encode_batch(records: list[bytes]) -> bytes:
    """Encode one batch, from records that are encoded already."""
    body = b"".join(records)
    sizes = _SIZES.pack(len(body), len(records))
    return MAGIC + sizes + zlib.crc32(sizes).to_bytes(4, "big") + body


def scan(data: bytes) -> Scan:
    """Read batch after batch until the end or the first damage."""
    records: list[Record] = []
    position = batches = 0
    while position < len(data):
        header = _header(data, position)
        if header is None:
            later = _later_batch(data, position)
            detail = f"no batch begins at byte {position}"
            return Scan(records, position, batches, Damage.MIDDLE if later else Damage.TAIL, detail)
        end = position + _HEADER.size + header[0]
        try:
            found = _body(data, position + _HEADER.size, end, header[1])
        except ValueError as error:
            damage = Damage.TAIL if end >= len(data) else Damage.MIDDLE
            return Scan(records, position, batches, damage, f"batch at byte {position}: {error}")
        records += found
        position, batches = end, batches + 1
    return Scan(records, position, batches, Damage.NONE, "")


def _header(data: bytes, position: int) -> tuple[int, int] | None:
    """(body size, number of records) when an intact header is there."""
    if len(data) - position < _HEADER.size:
        return None
    magic, size, count, crc = _HEADER.unpack_from(data, position)
    if magic != MAGIC or crc != zlib.crc32(data[position + 4 : position + 12]):
        return None
    return size, count


def _later_batch(data: bytes, position: int) -> bool:
    """Return whether an intact header stands anywhere after `position`. Texts are ASCII, so the magic does not occur by chance."""
    position = data.find(MAGIC, position + 1)
    while position >= 0:
        if _header(data, position) is not None:
            return True
        position = data.find(MAGIC, position + 1)
    return False


def _body(data: bytes, position: int, end: int, count: int) -> list[Record]:
    if end > len(data):
        raise ValueError(f"ends at byte {len(data)} instead of {end}")
    records = []
    while position < end:
        if end - position < _RECORD.size:
            raise ValueError(f"a record at byte {position} has no header")
        size, crc = _RECORD.unpack_from(data, position)
        payload = data[position + _RECORD.size : position + _RECORD.size + size]
        if position + _RECORD.size + size > end or zlib.crc32(payload, size) != crc:
            raise ValueError(f"the checksum of the record at byte {position} does not match")
        records.append(_decode(payload))
        position += _RECORD.size + size
    if len(records) != count:
        raise ValueError(f"{len(records)} records instead of {count}")
    return records


def _decode(payload: bytes) -> Record:
    kind, rest = payload[:1], payload[1:]
    try:
        if kind == b"E":
            index, term = _TWO.unpack_from(rest)
            return parse_entry(index, term, rest[16:].decode("ascii"))
        if kind == b"H":
            return Hard(_ONE.unpack_from(rest)[0], rest[8:].decode())
        if kind == b"T":
            return Cut(_ONE.unpack(rest)[0])
        if kind == b"D":
            known = _ONE.unpack(rest)[0] - 1
            return Doubt(known if known >= 0 else None)
        if kind == b"B":
            return Base(*_TWO.unpack(rest))
    except struct.error as error:
        raise ValueError(f"a record {kind!r} is too short: {error}") from None
    raise ValueError(f"a record of unknown kind {kind!r}")
