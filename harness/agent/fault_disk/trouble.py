"""The current errors of the device, and their effect on one operation: it fails, waits, hangs, or only seems to be done.

| field | meaning |
|---|---|
| `slow_ns` | writes and syncs take longer, on average by this much, at least half of it |
| `stalled` | no request is answered |
| `full` | writes fail with ENOSPC |
| `read_only` | writes, and syncs of pending data, fail with EROFS |
| `io_error` | reads, writes and syncs fail with EIO |
| `fsync_error` | syncs fail with EIO, and their data is never written |
| `lying` | syncs succeed and do nothing |
| `held` | syncs are not answered, so that there is data to lose |

It uses no files and no clock.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Any


class Kind(Enum):
    """Kind of an operation on the device."""

    LOOK = "look"
    READ = "read"
    WRITE = "write"
    SYNC = "sync"


@dataclass(frozen=True)
class Trouble:
    slow_ns: int = 0
    stalled: bool = False
    full: bool = False
    read_only: bool = False
    io_error: bool = False
    fsync_error: bool = False
    lying: bool = False
    held: bool = False

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Trouble:
        unknown = sorted(set(value) - set(cls.__dataclass_fields__))
        if unknown:
            raise ValueError(f"unknown state of a disk {unknown[0]!r}; there are {', '.join(cls.__dataclass_fields__)}")
        return cls(**value)

    def hangs(self, kind: Kind) -> bool:
        return self.stalled or (self.held and kind is Kind.SYNC)

    def error(self, kind: Kind) -> int:
        """The errno with which an operation of this kind fails, or 0."""
        if self.io_error and kind is not Kind.LOOK:
            return errno.EIO
        if kind is Kind.WRITE and self.read_only:
            return errno.EROFS
        if kind is Kind.WRITE and self.full:
            return errno.ENOSPC
        if kind is Kind.SYNC and self.fsync_error:
            return errno.EIO
        return 0

    def delay_ns(self, kind: Kind, random: Random) -> int:
        """Return a random delay, never less than half of the mean, so that a probe can distinguish it from chance."""
        if not self.slow_ns or kind not in (Kind.WRITE, Kind.SYNC):
            return 0
        return self.slow_ns // 2 + int(random.expovariate(2 / self.slow_ns))
