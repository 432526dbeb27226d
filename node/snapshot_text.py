"""The text of a state that grows part by part, with its size and checksum: nothing is copied or read again when it is complete."""

from __future__ import annotations

import zlib


class SnapshotText:
    """ASCII. The text is the concatenation of `parts`."""

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
