"""CRC-32 of two concatenated texts, from the CRCs of both. A long text can thus be summed part by part, even when its first part becomes known last.

The method is zlib's `crc32_combine` (Mark Adler): to append n zero bytes is a linear map over GF(2), which is squared for each bit of n.
"""

from __future__ import annotations

_POLYNOMIAL = 0xEDB88320


def combined(first: int, second: int, size: int) -> int:
    """Return `zlib.crc32(a + b)`. `first` is the CRC of `a`, `second` that of `b`, and `size` the length of `b` in bytes."""
    zeros = [_POLYNOMIAL, *(1 << bit for bit in range(31))]
    zeros = _squared(_squared(zeros))  # From one zero bit to four; squared once more below, to one byte.
    while size:
        zeros = _squared(zeros)
        if size & 1:
            first = _times(zeros, first)
        size >>= 1
    return first ^ second


def _times(matrix: list[int], vector: int) -> int:
    total = 0
    for row in matrix:
        if not vector:
            break
        if vector & 1:
            total ^= row
        vector >>= 1
    return total


def _squared(matrix: list[int]) -> list[int]:
    return [_times(matrix, row) for row in matrix]
