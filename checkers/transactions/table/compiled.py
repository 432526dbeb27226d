"""Loops that cannot be arrays, compiled by numba when the work is worth the time that numba takes to load.

The functions are plain Python, and small histories run them uncompiled: the same code, two speeds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

WORTH_COMPILING = 300_000
"""Steps of the innermost loop from which on compiled code is faster, including its loading."""

_compiled: dict[Callable[..., Any], Callable[..., Any]] = {}


def quick(function: Function, steps: int) -> Function:
    """The function, compiled if it will do that many steps."""
    if steps < WORTH_COMPILING:
        return function
    if function not in _compiled:
        from numba import njit

        try:
            _compiled[function] = njit(cache=True)(function)
        except RuntimeError:  # no place for compiled code: not next to the source, and not in the user's cache
            _compiled[function] = njit(function)
    return _compiled[function]  # type: ignore[return-value]
