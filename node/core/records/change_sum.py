"""A digest of values by key that follows each change: equal for equal contents, whatever the order in which they came.

It is the sum, modulo 2^128, of one hash for each key with its value (MSet-Add-Hash of Clarke et al., "Incremental Multiset Hash Functions", 2003).
The cost of a change depends only on the changed key. A change is hashed only when the sum is requested, so a key that changes often between two calls
is hashed once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final

MODULUS = 1 << 128
ABSENT: Final = object()
"""Marks a key that was absent; null is a value."""


def number_of(text: str) -> int:
    """Return the hash of one ASCII text: 128 bits."""
    return int.from_bytes(hashlib.blake2b(text.encode("ascii"), digest_size=16).digest(), "big")


class ChangeSum:
    """The digest of a mapping. `text_of(key, value)` returns the text that is hashed for one item. Values are never changed in place."""

    __slots__ = ("_before", "_sum", "_text_of")

    def __init__(self, text_of: Callable[[Any, Any], str]) -> None:
        self._text_of = text_of
        self._sum = 0
        self._before: dict[Any, Any] = {}
        """By key that changed since the sum was settled: what the sum counts for it."""

    def note(self, key: Any, before: Any) -> None:
        """Record that `key` is about to change; it holds `before` (or `ABSENT`)."""
        if key not in self._before:
            self._before[key] = before

    def settle(self, now: Mapping[Any, Any]) -> int:
        """Return the sum over `now`, which differs from what was counted only in the noted keys."""
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
    """Return the sum from the items alone."""
    return sum(number_of(text_of(key, value)) for key, value in items.items()) % MODULUS
