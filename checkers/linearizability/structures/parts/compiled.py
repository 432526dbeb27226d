"""Loops that are inherently sequential, compiled where a history is large enough to pay for it.

A loop is written once, in the part of Python that numba compiles, and runs as it is on small inputs: importing numba takes half a second and the first
compilation on a machine some more (it is cached). Nothing here depends on numba being there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., object])

WORTH_COMPILING = 20_000
"""Below so many steps the interpreter is quicker than the import."""


def fast(function: F, steps: int) -> F:
    """`function`, compiled if `steps` are many."""
    return _compiled(function) if steps >= WORTH_COMPILING else function


@cache
def _compiled(function: F) -> F:
    try:
        from numba import njit
    except ImportError:
        return function
    try:
        made: Any = njit(cache=True)(function)
    except RuntimeError:  # nowhere to keep compiled code: neither beside the source nor in the user's cache
        made = njit(function)
    return cast(F, made)
