"""TRMM ("Trinity Memory"): records of agent memory as bytes, in files and between nodes (docs/reference/trmm.md has a dump).

    header   magic "TRMM" | version | flags | 0 | time in ms | episodes | facts | profiles | base | body size | CRC32 of the body | CRC32 of the header so far
    body     four sections: EPIS, FACT, SKIL, META
    section  name | size of what follows the counts | records | removed | record … | removed id …
    record   id size | state size | id | state

A state is canonical JSON. META is one record without an id, for the writer's statements about the whole. A delta names its base by the CRC of the
base's header. That CRC covers the CRC of the body, so it distinguishes any two files. Every byte is under a CRC, so each damaged one is noticed.
Numbers are big-endian.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from ....errors import CorruptionError
from ...interface.entry import canonical
from ...interface.value import frozen

State = Mapping[str, Any]
Key = tuple[str, str]
"""(kind, id)."""
Item = tuple[str, str, State]
"""(kind, id, state)."""

MAGIC = b"TRMM"
VERSION = 1
DELTA, BASED, VECTORS = 1, 2, 4
"""Flags: it is a delta; it names a base; an episode has a hypervector."""
SIZE_LIMIT = 1 << 30
"""Bytes of one TRMM, at most."""

SECTIONS = {"episode": b"EPIS", "fact": b"FACT", "profile": b"SKIL"}
_METADATA = b"META"
_HEADER = struct.Struct(">4sBBHqIIIIII")
_CRC = struct.Struct(">I")
_SECTION = struct.Struct(">4sIII")
_RECORD = struct.Struct(">II")
_SIZE = struct.Struct(">I")


@frozen
class Trmm:
    """`base` is the checksum of what a delta follows. `removed` are ids of records that no longer exist, not even as tombstones."""

    delta: bool
    time_ms: int
    base: int | None
    records: Sequence[Item]
    removed: Sequence[Key]
    metadata: Mapping[str, Any]


@frozen
class Header:
    """The fields before the body, and `checksum`, by which a delta names this TRMM as its base."""

    flags: int
    time_ms: int
    counts: tuple[int, int, int]
    base: int | None
    checksum: int


Texts = Mapping[Key, "tuple[State, str]"]
"""By key: a state and its canonical JSON, of those that were encoded before."""


def encode(trmm: Trmm, texts: Texts | None = None) -> bytes:
    """Encode a TRMM. `texts` holds JSON texts of states, which saves work for states that are identical objects. Raises ValueError for an unknown
    kind, for a value that JSON cannot represent, and beyond `SIZE_LIMIT`.
    """
    records: dict[str, list[bytes]] = {kind: [] for kind in SECTIONS}
    removed: dict[str, list[bytes]] = {kind: [] for kind in SECTIONS}
    flags = DELTA if trmm.delta else 0
    for kind, ident, state in trmm.records:
        known = texts.get((kind, ident)) if texts else None
        text = known[1] if known is not None and known[0] is state else canonical(state)
        _known(records, kind).append(_record(ident, text))
        if not flags & VECTORS and kind == "episode" and _has_vector(state):
            flags |= VECTORS
    for kind, ident in trmm.removed:
        data = _id(ident)
        _known(removed, kind).append(_SIZE.pack(len(data)) + data)
    parts = [_section(name, records[kind], removed[kind]) for kind, name in SECTIONS.items()]
    body = b"".join([*parts, _section(_METADATA, [_record("", canonical(trmm.metadata))], [])])
    if len(body) > SIZE_LIMIT - _HEADER.size - _CRC.size:
        raise ValueError(f"a TRMM has at most {SIZE_LIMIT} bytes, and here the body has {len(body)}")
    counts = [len(items) for items in records.values()]
    base = trmm.base or 0
    if trmm.base is not None:
        flags |= BASED
    size, crc = len(body), zlib.crc32(body)
    header = _HEADER.pack(MAGIC, VERSION, flags, 0, trmm.time_ms, *counts, base, size, crc)
    return header + _CRC.pack(zlib.crc32(header)) + body


def decode(data: bytes, place: str = "TRMM", limit: int = SIZE_LIMIT) -> Trmm:
    """Decode a TRMM. Raises `CorruptionError`, which names `place`, for anything that `encode` does not make."""
    if len(data) > limit:
        raise CorruptionError(f"{place}: {len(data)} bytes, and the limit is {limit}", _HINT)
    header = verify(data, place)
    reader = _Reader(data, place)
    records: list[Item] = []
    removed: list[Key] = []
    for (kind, name), count in zip(SECTIONS.items(), header.counts, strict=True):
        reader.section(kind, name, count, records, removed)
    return Trmm(bool(header.flags & DELTA), header.time_ms, header.base, records, removed, reader.metadata())


def verify(data: bytes, place: str = "TRMM") -> Header:
    """Return the header when every byte is as it was written. Raises `CorruptionError`; cheaper than `decode`."""
    start = _HEADER.size + _CRC.size
    if len(data) < start:
        _damaged(place, f"a TRMM begins with {start} bytes of header, and here are {len(data)}")
    magic, version, flags, zero, time_ms, episodes, facts, profiles, base, size, crc = _HEADER.unpack_from(data)
    if magic != MAGIC:
        _damaged(place, f"it begins with {magic!r}, not with {MAGIC!r}")
    (checksum,) = _CRC.unpack_from(data, _HEADER.size)
    if checksum != zlib.crc32(memoryview(data)[: _HEADER.size]):
        _damaged(place, "the header does not fit its checksum")
    if version != VERSION or flags > DELTA | BASED | VECTORS or zero or (base and not flags & BASED):
        _damaged(place, f"version {version} with flags {flags} is not known here")
    if len(data) != start + size:
        _damaged(place, f"the header names {start + size} bytes, and here are {len(data)}")
    if crc != zlib.crc32(memoryview(data)[start:]):
        _damaged(place, f"the {size} bytes from byte {start} on do not fit their checksum")
    return Header(flags, time_ms, (episodes, facts, profiles), base if flags & BASED else None, checksum)


def checksum(data: bytes) -> int:
    """Return the checksum by which a delta names `data`, an intact TRMM, as its base."""
    found: int = _CRC.unpack_from(data, _HEADER.size)[0]
    return found


class _Reader:
    """Reader of the body, section by section. Every size is checked against the bytes that remain before it is used."""

    def __init__(self, data: bytes, place: str) -> None:
        self._data = data
        self._place = place
        self._at = _HEADER.size + _CRC.size

    def section(self, kind: str, name: bytes, count: int, records: list[Item], removed: list[Key]) -> None:
        end, found, gone = self._begin(name)
        if found != count:
            self._fail(f"the header names {count} records {kind}, and the section of {found}")
        seen: dict[str, None] = {}
        for _ in range(found):
            ident, state = self._record(end)
            seen[ident] = None
            records.append((kind, ident, state))
        if len(seen) != found:
            self._fail(f"an id stands twice among the {found} records {kind}")
        for _ in range(gone):
            (size,) = self._unpack(_SIZE, end)
            removed.append((kind, self._ident(size, end)))
        if self._at != end:
            self._fail(f"section {name!r} should end at byte {end}")

    def metadata(self) -> State:
        end, found, gone = self._begin(_METADATA)
        if (found, gone) != (1, 0) or end != len(self._data):
            self._fail(f"section {_METADATA!r} is not one record at the end")
        ident, state = self._record(end)
        if ident or self._at != end:
            self._fail("the metadata is not one object without an id")
        return state

    def _begin(self, wanted: bytes) -> tuple[int, int, int]:
        name, size, found, gone = self._unpack(_SECTION, len(self._data))
        end = self._at + size
        if name != wanted or end > len(self._data):
            self._fail(f"section {wanted!r} is not here, or longer than the file")
        return end, found, gone

    def _record(self, end: int) -> tuple[str, State]:
        ident_size, size = self._unpack(_RECORD, end)
        ident = self._ident(ident_size, end)
        text = self._take(size, end)
        try:
            state = parse(str(text, "ascii"))
        except (ValueError, RecursionError) as error:
            self._fail(f"the state of {ident[:80]!r} is not JSON ({error})")
        if type(state) is not dict:
            self._fail(f"the state of {ident[:80]!r} is not an object")
        return ident, state

    def _ident(self, size: int, end: int) -> str:
        try:
            return str(self._take(size, end), "utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            self._fail(f"an id is not UTF-8 ({error})")

    def _unpack(self, form: struct.Struct, end: int) -> tuple[Any, ...]:
        if self._at + form.size > end:
            self._fail(f"{form.size} bytes are needed, and {end - self._at} are there")
        self._at += form.size
        return form.unpack_from(self._data, self._at - form.size)

    def _take(self, size: int, end: int) -> bytes:
        if self._at + size > end:
            self._fail(f"{size} bytes are needed, and {end - self._at} are there")
        self._at += size
        return self._data[self._at - size : self._at]

    def _fail(self, what: str) -> NoReturn:
        _damaged(self._place, f"at byte {self._at}: {what}")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


parse = json.JSONDecoder(parse_constant=_refuse_constant).decode
"""Parse a JSON text. Raises ValueError, and RecursionError for one that is too deep."""

_HINT = "other nodes hold what is missing, and send it with the next sync; nothing is to be repaired by hand"


def _damaged(place: str, what: str) -> NoReturn:
    raise CorruptionError(f"{place}: {what}", _HINT)


def _known(of: dict[str, list[bytes]], kind: str) -> list[bytes]:
    if kind not in of:
        raise ValueError(f"{kind!r} is not a kind of record; there are {', '.join(SECTIONS)}")
    return of[kind]


def _record(ident: str, content: str) -> bytes:
    name, text = _id(ident), content.encode("ascii")
    return _RECORD.pack(len(name), len(text)) + name + text


def _id(ident: str) -> bytes:
    return ident.encode("utf-8", "surrogatepass")


def _section(name: bytes, records: list[bytes], removed: Iterable[bytes]) -> bytes:
    gone = list(removed)
    content = b"".join([*records, *gone])
    return _SECTION.pack(name, len(content), len(records), len(gone)) + content


def _has_vector(state: State) -> bool:
    """Look in the versions of its texts, or in the fields of a record that is replaced whole."""
    texts = state.get("t") or state.get("f")
    return isinstance(texts, Mapping) and "hypervector" in texts
