"""Exact sums of balances. Sums of floats are rounded where they were made: a difference that rounding explains proves nothing."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from math import isfinite
from sys import float_info
from typing import Any


def is_amount(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)


def exact_sum(amounts: Iterable[Any]) -> int | Fraction:
    """Return the sum without rounding."""
    found = list(amounts)
    return sum(found) if all(type(one) is int for one in found) else sum(map(Fraction, found), Fraction())


def is_rounding(off: int | Fraction, amounts: Iterable[Any], total: Any) -> bool:
    """Return whether sums that differ by `off` may be equal but for the rounding of floats."""
    found = list(amounts)
    if all(type(one) is int for one in (*found, total)):
        return False
    size: Fraction = Fraction(exact_sum(map(abs, found))) + abs(Fraction(total))
    bound: Fraction = size * Fraction(float_info.epsilon) * (len(found) + 1)
    return abs(Fraction(off)) <= bound


def plain(amount: int | Fraction) -> int | float:
    """Return a sum as it is shown."""
    return amount.numerator if amount.denominator == 1 else float(amount)
