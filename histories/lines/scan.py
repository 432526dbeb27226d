"""Cutting of lines into runs of digits and the text between them, as arrays: no Python code runs for a single line."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
UInt8 = npt.NDArray[np.uint8]
UInt64 = npt.NDArray[np.uint64]

MOST_DIGITS = 18
"""Every number with this many digits fits into 64 bits."""
_WORD = 8
_ZERO, _NEWLINE = ord("0"), ord("\n")


class Scan(NamedTuple):
    """`texts` are the lines, with one `0` for each run. The runs of line `i` are `numbers[first[i]:first[i + 1]]`.

    `odd`: lines with a run that cannot be restored from its number, because it begins with a zero or is too long.
    """

    texts: list[bytes]
    numbers: Int64
    first: Int64
    odd: Int64


def scan(content: bytes) -> Scan:
    """Cut whole lines: the content ends with a newline."""
    codes = np.frombuffer(content, np.uint8)
    digit = (codes - np.uint8(_ZERO)) < 10
    begins = digit.copy()
    begins[1:] &= ~digit[:-1]
    kept = codes[~digit | begins]
    kept[(kept - np.uint8(_ZERO)) < 10] = _ZERO
    starts = np.flatnonzero(begins)
    digit[:-1] &= ~digit[1:]
    lengths = np.flatnonzero(digit) + 1 - starts
    ends = np.flatnonzero(codes == _NEWLINE)
    first = np.concatenate([[0], np.searchsorted(starts, ends)])
    strange = np.flatnonzero((lengths > MOST_DIGITS) | ((lengths > 1) & (codes[starts] == _ZERO)))
    odd = np.unique(np.searchsorted(ends, starts[strange]))
    return Scan(kept.tobytes().split(b"\n")[:-1], _numbers(content, starts, lengths), first, odd)


def _numbers(content: bytes, starts: Int64, lengths: Int64) -> Int64:
    """The number of each run; without meaning where it is longer than `MOST_DIGITS`."""
    codes = np.frombuffer(content + bytes(_WORD), np.uint8)
    found = (codes[starts] - np.uint8(_ZERO)).astype(np.int64)
    several = np.flatnonzero(lengths > 1)
    at, length = starts[several], np.minimum(lengths[several], MOST_DIGITS)
    head = (length - 1) % _WORD + 1
    value = _word(codes, at, head)
    for more in range(_WORD, MOST_DIGITS, _WORD):
        longer = np.flatnonzero(length > more)
        if len(longer):
            begin = at[longer] + head[longer] + more - _WORD
            value[longer] = value[longer] * 10**_WORD + _word(codes, begin, np.full(len(longer), _WORD))
    found[several] = value
    return found


def _word(codes: UInt8, at: Int64, length: Int64) -> Int64:
    """The number of up to eight digits each: all eight at once, by pairs, then fours, then eights."""
    word = np.ascontiguousarray(codes[at[:, None] + np.arange(_WORD)]).view("<u8").ravel()
    word = word << (8 * (_WORD - length)).astype(np.uint64)
    word = ((word & np.uint64(0x0F0F0F0F0F0F0F0F)) * np.uint64(2561)) >> np.uint64(8)
    word = ((word & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(6553601)) >> np.uint64(16)
    word = ((word & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(42949672960001)) >> np.uint64(32)
    return word.astype(np.int64)
