"""The kernel's FUSE protocol, version 7.31: parsing requests and building answers; see linux/fuse.h for the layouts.

It is used directly and not through libfuse for two reasons: hosts need no package, and an answer may come later, or never, without a
waiting thread. This module does not handle files.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

MINOR = 31
MAX_WRITE = 1 << 20
BUFFER = MAX_WRITE + 65536

IN = struct.Struct("<IIQQIIIHH")
OUT = struct.Struct("<IiQ")
ATTR = struct.Struct("<QQQqqqIIIIIIIIII")
ENTRY = struct.Struct("<QQQQII")
ATTR_OUT = struct.Struct("<QII")
SETATTR = struct.Struct("<IIQQQqqqIIIIIIII")
"""Seconds have a sign: files may be older than 1970."""
READ_WRITE = struct.Struct("<QQIIQII")
INIT_IN = struct.Struct("<IIII")
INIT_OUT = struct.Struct("<IIIIHHIIHHIIHHIIIII")
STATFS = struct.Struct("<QQQQQIIII24x")
DIRENT = struct.Struct("<QQII")
OPEN_OUT = struct.Struct("<QII")

BIG_WRITES, AUTO_INVAL_DATA, MAX_PAGES = 1 << 5, 1 << 12, 1 << 22


class Op(IntEnum):
    LOOKUP = 1
    FORGET = 2
    GETATTR = 3
    SETATTR = 4
    MKNOD = 8
    MKDIR = 9
    UNLINK = 10
    RMDIR = 11
    RENAME = 12
    LINK = 13
    OPEN = 14
    READ = 15
    WRITE = 16
    STATFS = 17
    RELEASE = 18
    FSYNC = 20
    INIT = 26
    OPENDIR = 27
    READDIR = 28
    RELEASEDIR = 29
    FSYNCDIR = 30
    CREATE = 35
    INTERRUPT = 36
    DESTROY = 38
    BATCH_FORGET = 42
    RENAME2 = 45
    SYNCFS = 50


class Set(IntEnum):
    """The fields of a SETATTR that are set."""

    MODE = 1
    UID = 2
    GID = 4
    SIZE = 8
    ATIME = 16
    MTIME = 32
    ATIME_NOW = 128
    MTIME_NOW = 256


@dataclass(frozen=True)
class Request:
    """One message of the kernel: `node` is the number of the file or directory, `body` what follows the header."""

    op: int
    unique: int
    node: int
    uid: int
    gid: int
    body: bytes

    def names(self, offset: int = 0) -> list[str]:
        """The zero-terminated names from `offset` on."""
        return [part.decode(errors="surrogateescape") for part in self.body[offset:].split(b"\0")[:-1]]

    def unpack(self, form: str) -> tuple[Any, ...]:
        return struct.unpack_from(form, self.body)


def parse(data: bytes) -> Request:
    _, op, unique, node, uid, gid, _, _, _ = IN.unpack_from(data)
    return Request(op, unique, node, uid, gid, data[IN.size :])


def answer(unique: int, body: bytes = b"", error: int = 0) -> bytes:
    """Encode an answer; `error` is an errno, 0 for none."""
    return OUT.pack(OUT.size + len(body), -error, unique) + body


def init_answer(body: bytes) -> bytes:
    """Build the answer to INIT, which agrees on large writes, and on dropping pages when a file changed outside of the kernel."""
    _, _, readahead, offered = INIT_IN.unpack_from(body)
    flags = offered & (BIG_WRITES | AUTO_INVAL_DATA | MAX_PAGES)
    return INIT_OUT.pack(7, MINOR, readahead, flags, 64, 48, MAX_WRITE, 1, MAX_WRITE >> 12, 0, *([0] * 9))


@dataclass(frozen=True)
class Attributes:
    number: int
    size: int
    mode: int
    links: int
    uid: int
    gid: int
    atime_ns: int
    mtime_ns: int
    ctime_ns: int

    def pack(self) -> bytes:
        seconds, rests = zip(*(divmod(t, 10**9) for t in (self.atime_ns, self.mtime_ns, self.ctime_ns)), strict=True)
        blocks = (self.size + 511) // 512
        return ATTR.pack(
            self.number, self.size, blocks, *seconds, *rests, self.mode, self.links, self.uid, self.gid, 0, 4096, 0
        )


def entry_answer(attributes: Attributes) -> bytes:
    """Encode an entry that the kernel must not cache: after a crash, names and sizes are different."""
    return ENTRY.pack(attributes.number, 0, 0, 0, 0, 0) + attributes.pack()


def attr_answer(attributes: Attributes) -> bytes:
    return ATTR_OUT.pack(0, 0, 0) + attributes.pack()


def dirent(number: int, offset: int, name: str, kind: int) -> bytes:
    """Encode an entry of a directory; `offset` is the position of the next entry, `kind` the file type's bits of the mode, shifted."""
    encoded = name.encode(errors="surrogateescape")
    return (DIRENT.pack(number, offset, len(encoded), kind) + encoded).ljust(
        (DIRENT.size + len(encoded) + 7) & ~7, b"\0"
    )
