"""Logarithms in whole thousandths, exact: a floating one may differ in its last bit from one machine's library to the next, and with it a node's traces."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=256)
def log10_thousandths(number: int) -> int:
    """The integer part of 1000·log10(number), for number ≥ 1: how many digits its thousandth power has, less one."""
    return len(str(number**1000)) - 1


def log10_ceiling(number: int) -> int:
    """The least whole number that is not below log10(number), for number ≥ 1."""
    return len(str(number - 1)) if number > 1 else 0
