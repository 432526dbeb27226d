"""The text of a state, built part by part together with its size and checksum. When it is complete, nothing must be copied or read again."""

from __future__ import annotations

import zlib


class SnapshotText:
    """Text of a snapshot in ASCII: the concatenation of `parts`."""

    __slots__ = ("crc", "parts", "size")

    def __init__(self, *parts: str) -> None:
        self.parts: list[bytes] = []
        self.size = 0
        self.crc = 0
        for part in parts:
            self.add(part)

    def add(self, part: str) -> None:
        data = part.encode("ascii")
        self.parts.append(data)
        self.size += len(data)
        self.crc = zlib.crc32(data, self.crc)

    @property
    def data(self) -> str:
        return b"".join(self.parts).decode("ascii")
