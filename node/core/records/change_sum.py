"""A digest of values by key that follows each change: equal for equal contents, whatever the order in which they came.

It is the sum, modulo 2^128, of one hash for each key with its value (MSet-Add-Hash of Clarke et al., "Incremental Multiset Hash Functions", 2003). A change costs
what the changed key costs, and is counted late: a key that changes often between two questions is hashed once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final

MODULUS = 1 << 128
ABSENT: Final = object()
"""What a key held that was not there; null is a value."""


def number_of(text: str) -> int:
    """The hash of one ASCII text: 128 bits."""
    return int.from_bytes(hashlib.blake2b(text.encode("ascii"), digest_size=16).digest(), "big")


class ChangeSum:
    """`text_of(key, value)` is what is hashed of one item. Values are never changed in place."""

    __slots__ = ("_before", "_sum", "_text_of")

    def __init__(self, text_of: Callable[[Any, Any], str]) -> None:
        self._text_of = text_of
        self._sum = 0
        self._before: dict[Any, Any] = {}
        """By key that changed since the sum was settled, what the sum counts of it."""

    def note(self, key: Any, before: Any) -> None:
        """`key` is about to change; it holds `before` (or `ABSENT`)."""
        if key not in self._before:
            self._before[key] = before

    def settle(self, now: Mapping[Any, Any]) -> int:
        """The sum over `now`, which differs from what was counted in the noted keys alone."""
        total, text_of = self._sum, self._text_of
        for key, before in self._before.items():
            after = now.get(key, ABSENT)
            if after is before:
                continue
            if before is not ABSENT:
                total -= number_of(text_of(key, before))
            if after is not ABSENT:
                total += number_of(text_of(key, after))
        self._before.clear()
        self._sum = total % MODULUS
        return self._sum

    def reset(self, now: Mapping[Any, Any]) -> None:
        """Count everything again."""
        self._before.clear()
        self._sum = sum_of(self._text_of, now)


def sum_of(text_of: Callable[[Any, Any], str], items: Mapping[Any, Any]) -> int:
    """The sum, from the items alone."""
    return sum(number_of(text_of(key, value)) for key, value in items.items()) % MODULUS
