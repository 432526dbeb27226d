"""Random draws keyed by identity: the value depends on the *purpose* of the draw, never on the number of draws before.

Removing one fault, message or operation from a run therefore leaves every unrelated draw as it was, which is what makes a
failing schedule shrink to the same failure and not to another one. splitmix64 on integers is about five times cheaper than a
cryptographic hash, and its quality is ample for latencies and coin tosses. Nothing here holds state.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15
ONE_MILLION = 1_000_000

T = TypeVar("T")


def mix(x: int) -> int:
    """The finaliser of splitmix64 (Steele, Lea, Flood 2014): 64 bits in, 64 well mixed bits out."""
    x = (x + GOLDEN) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def draw(*parts: int) -> int:
    """64 bits for the identity spelled by `parts`; the order of the parts matters."""
    state = 0
    for part in parts:
        # `mix`, spelled out: a call costs more than the arithmetic.
        state = ((state ^ (part & MASK)) + GOLDEN) & MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
        state ^= state >> 31
    return state


@lru_cache(maxsize=4096)
def key_of(name: str) -> int:
    """A string as a draw's part. Not `hash()`: that one changes with PYTHONHASHSEED."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")


def between(bits: int, low: int, high: int) -> int:
    """An integer of `low` .. `high`, both included."""
    return low + bits % (high - low + 1)


def happens(bits: int, ppm: int) -> bool:
    """Return True with a probability of `ppm` parts per million."""
    return bits % ONE_MILLION < ppm


def choose(bits: int, options: Sequence[T]) -> T:
    return options[bits % len(options)]


# Quantiles of the exponential distribution of mean 256, as integers, so that no run depends on a platform's libm.
_EXPONENTIAL = tuple(round(-256 * math.log(1 - (i + 0.5) / 256)) for i in range(256))


def exponential(bits: int, mean: int) -> int:
    """A delay of this mean, capped near 6.2 times the mean; the low bits spread it so that ties are rare."""
    return (mean * _EXPONENTIAL[bits & 255] >> 8) + (bits >> 8) % 1000
