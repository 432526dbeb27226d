"""Logarithms in whole thousandths, exact. The last bit of a float may differ between two machines' libraries, and then a node's traces would differ too."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=256)
def log10_thousandths(number: int) -> int:
    """Return the integer part of 1000·log10(number), for number ≥ 1: one less than the number of digits of its thousandth power."""
    return len(str(number**1000)) - 1


def log10_ceiling(number: int) -> int:
    """Return the least integer not below log10(number), for number ≥ 1."""
    return len(str(number - 1)) if number > 1 else 0
