"""Hypervectors: sequences of trits (-1, 0, 1), packed two per byte, and as the text that a record's field holds.

A pair (a, b) is the byte 3·(a + 1) + (b + 1). For an odd number of trits the last byte is 9 + (a + 1), so that a packed vector knows its length:

    >>> pack([1, -1, 0]).hex()
    '060a'
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from itertools import chain

_PAIRS = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)]
_LAST = [(a,) for a in (-1, 0, 1)]
_BYTES = {trits: byte for byte, trits in enumerate([*_PAIRS, *_LAST])}
_TRITS: list[tuple[int, ...]] = list(_BYTES)
_WITHIN, _AT_END = bytes(range(9)), bytes(range(12))
"""Valid bytes of packed trits: everywhere, and at the end."""


def pack(trits: Sequence[int]) -> bytes:
    """Pack trits into bytes. Raises ValueError for anything but -1, 0 and 1."""
    try:
        packed = bytes([_BYTES[pair] for pair in zip(trits[::2], trits[1::2], strict=False)])
        return packed + bytes([_BYTES[(trits[-1],)]]) if len(trits) % 2 else packed
    except KeyError as error:
        raise ValueError(f"trits are -1, 0 or 1, and here is {error}") from None


def unpack(packed: bytes) -> list[int]:
    """Unpack bytes into trits. Raises ValueError for bytes that `pack` does not make."""
    wrong = strange(packed)
    if wrong:
        raise ValueError(f"no trits are packed as the byte {wrong[0]} at {packed.index(wrong[:1])}")
    return list(chain.from_iterable(map(_TRITS.__getitem__, packed)))


def strange(packed: bytes) -> bytes:
    """Return, in order, the bytes that `pack` never makes."""
    return packed[:-1].translate(None, _WITHIN) + packed[-1:].translate(None, _AT_END)


def to_text(trits: Sequence[int]) -> str:
    """Return the text of an episode's field `hypervector`."""
    return b64encode(pack(trits)).decode("ascii")


def from_text(text: str) -> list[int]:
    """Parse the text of the field `hypervector`. Raises ValueError for a text that `to_text` does not make."""
    packed = b64decode(text, validate=True)
    if b64encode(packed).decode("ascii") != text:
        raise ValueError(f"{text[:40]!r} is not base64 in its one form")
    return unpack(packed)
