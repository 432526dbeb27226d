"""Loops that are inherently sequential, compiled where a history is large enough to pay for it.

A loop is written once, in the part of Python that numba compiles, and runs uncompiled on small inputs: importing numba takes half a second and the
first compilation on a machine some more (it is cached). Nothing here requires numba.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., object])

WORTH_COMPILING = 20_000
"""With fewer steps the interpreter is faster than the import."""


def fast(function: F, steps: int) -> F:
    """Return `function`, compiled if `steps` are many."""
    return _compiled(function) if steps >= WORTH_COMPILING else function


@cache
def _compiled(function: F) -> F:
    try:
        from numba import njit
    except ImportError:
        return function
    try:
        made: Any = njit(cache=True)(function)
    except RuntimeError:  # no place for compiled code: not next to the source, and not in the user's cache
        made = njit(function)
    return cast(F, made)
