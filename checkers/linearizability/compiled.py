"""Loops that are inherently sequential, compiled where a history is large enough to pay for it.

A loop is written once, in the part of Python that numba compiles, and runs uncompiled on small inputs: importing numba takes half a second and the
first compilation on a machine some more (it is cached). Nothing here requires numba.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any, TypeVar, cast

from tribulation.histories.model.columns import Int64

F = TypeVar("F", bound=Callable[..., object])

WORTH_COMPILING = 20_000
"""With fewer steps the interpreter is faster than the import."""


def fast(function: F, steps: int, *calls: Callable[..., object], worth: int = WORTH_COMPILING) -> F:
    """Return `function`, compiled if `steps` are at least `worth`. `calls` are the functions that it calls; each calls only those before it."""
    return compiled(function, *calls) if steps >= worth else function


@cache
def compiled(function: F, *calls: Callable[..., object]) -> F:
    """Return `function` compiled by numba, or unchanged where numba is not installed."""
    try:
        from numba import njit
    except ImportError:
        return function
    # Compiled code can call only compiled code: its globals name the compiled functions.
    names = {one.__name__: compiled(one, *calls[:place]) for place, one in enumerate(calls)}
    known: Any = function
    source = FunctionType(known.__code__, {**known.__globals__, **names}, known.__name__) if names else known
    source.__module__, source.__qualname__ = known.__module__, known.__qualname__
    try:
        made: Any = njit(cache=True)(source)
    except RuntimeError:  # no place for compiled code: not next to the source, and not in the user's cache
        made = njit(source)
    return cast(F, made)


def first_from(values: Int64, left: int, right: int, limit: int) -> int:
    """Return the first place in [left, right) of growing `values` that has `limit` or more; `right` if none does."""
    while left < right:
        middle = (left + right) // 2
        if values[middle] < limit:
            left = middle + 1
        else:
            right = middle
    return left
