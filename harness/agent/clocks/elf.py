"""Facts from a program's file: whether libraries can be loaded into it, whether it is Go, and where its symbols are."""

from __future__ import annotations

import functools
import mmap
import os
import struct
from dataclasses import dataclass

_HEADER = struct.Struct("<HHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_DYNAMIC, _INTERPRETER = 2, 3
_SYMBOLS = 11
MACHINES = {62: "x86_64", 183: "aarch64"}
_GO_SECTIONS = frozenset({b".go.buildinfo", b".note.go.buildid", b".gopclntab"})


class NotElf(ValueError):
    """The bytes are no 64-bit little-endian ELF file."""


@dataclass(frozen=True, slots=True)
class Section:
    name: bytes
    type: int
    address: int
    at: int
    size: int
    link: int


@dataclass(frozen=True, slots=True)
class Elf:
    """`machine` as `uname -m` names it. A `static` program has no loader that could preload anything."""

    machine: str
    static: bool
    is_go: bool
    symbols: dict[str, int]
    end: int
    """Where the file's content ends, as its tables say."""


def of_file(path: str) -> Elf:
    """Parse a file as `parse` does. Raises `OSError` too; a file that has not changed is read once."""
    known = os.stat(path)
    return _of_file(path, (known.st_dev, known.st_ino, known.st_size, known.st_mtime_ns))


@functools.lru_cache(maxsize=64)
def _of_file(path: str, identity: tuple[int, ...]) -> Elf:
    with open(path, "rb") as file:
        if not identity[2]:
            raise NotElf("an empty file")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return parse(data)


def parse(data: bytes | mmap.mmap) -> Elf:
    """Parse an ELF file. Raises `NotElf`. A file whose section table was stripped has no known symbols and is not recognised as Go."""
    if len(data) < 64 or data[:6] != b"\x7fELF\x02\x01":
        raise NotElf("not a 64-bit little-endian ELF file")
    try:
        return _parse(data)
    except (struct.error, IndexError) as error:
        raise NotElf(f"its tables are damaged: {error}") from None


def _parse(data: bytes | mmap.mmap) -> Elf:
    _, machine, _, _, segments_at, sections_at, _, _, _, segments, _, count, names = _HEADER.unpack_from(data, 16)
    types = [_SEGMENT.unpack_from(data, segments_at + _SEGMENT.size * i)[0] for i in range(segments)]
    sections = _sections(data, sections_at, count, names)
    return Elf(
        MACHINES.get(machine, f"machine {machine}"),
        _INTERPRETER not in types,
        any(section.name in _GO_SECTIONS for section in sections),
        _symbols(data, sections),
        max([sections_at + _SECTION.size * count, *(s.at + s.size for s in sections if s.type != 8)]),
    )


def _sections(data: bytes | mmap.mmap, at: int, count: int, names: int) -> list[Section]:
    rows = [_SECTION.unpack_from(data, at + _SECTION.size * i) for i in range(count)]
    texts = rows[names][4] if rows else 0
    return [Section(_text(data, texts + row[0]), row[1], row[3], row[4], row[5], row[6]) for row in rows]


def _symbols(data: bytes | mmap.mmap, sections: list[Section]) -> dict[str, int]:
    """Dynamic symbols that are defined, by name."""
    found = {}
    for section in sections:
        if section.type == _SYMBOLS:
            texts = sections[section.link].at
            for at in range(section.at, section.at + section.size, _SYMBOL.size):
                name, _, _, where, value, _ = _SYMBOL.unpack_from(data, at)
                if where:
                    found[_text(data, texts + name).decode(errors="replace")] = value
    return found


def _text(data: bytes | mmap.mmap, at: int) -> bytes:
    return data[at : data.find(b"\0", at)]
