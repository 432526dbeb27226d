"""The one equality of values: two values are equal iff their canonical forms are.

    canonical(1) == canonical(1.0)        JSON has one kind of number
    canonical(True) != canonical(1)       although Python calls them equal
    canonical([1, 2]) == canonical((1, 2))
    canonical({"a": 1}) != canonical([["a", 1]])

A form can be a dictionary key, is its own form, prints as the value does, and can be written as JSON. Strings, integers and None are their own form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_PLAIN = frozenset({int, str, type(None)})
_EXACT = 2**53
"""Whole floats below this are the integer that they print as."""


class _Named(str):
    """A named value that is equal only to itself: true, false, not a number."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    __hash__ = str.__hash__

    def __repr__(self) -> str:
        return str(self)

    def __bool__(self) -> bool:
        return self is not FALSE

    def __reduce__(self) -> str:
        return {"True": "TRUE", "False": "FALSE", "nan": "NAN"}[str(self)]


class Members(tuple[tuple[Any, Any], ...]):
    """The form of a mapping: its pairs, sorted. It is not equal to a list of pairs."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is Members and tuple.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((Members, tuple.__hash__(self)))


TRUE, FALSE, NAN = _Named("True"), _Named("False"), _Named("nan")


def canonical(value: Any) -> Any:
    """Return the form of `value`. A value that is not JSON and not a set is its own form."""
    kind = type(value)
    if kind in _PLAIN or kind is _Named or kind is Members:
        return value
    if kind is bool:
        return TRUE if value else FALSE
    if kind is float:
        return _number(value)
    if isinstance(value, (list, tuple)):
        return tuple(map(canonical, value))
    if isinstance(value, Mapping):
        return Members(_sorted((canonical(key), canonical(item)) for key, item in value.items()))
    if isinstance(value, (set, frozenset)):
        return frozenset(map(canonical, value))
    return value


def same(one: Any, other: Any) -> bool:
    return bool(canonical(one) == canonical(other))


def in_order(values: Iterable[Any]) -> list[Any]:
    """Sort the values by their forms alone: equal sets give equal lists."""
    return sorted(values, key=lambda value: repr(value) if type(value) in _PLAIN else _spelled(canonical(value)))


def _spelled(form: Any) -> str:
    if isinstance(form, frozenset):
        return f"{{{','.join(sorted(map(_spelled, form)))}}}"
    return f"({','.join(map(_spelled, form))})" if isinstance(form, tuple) else repr(form)


def _number(value: float) -> Any:
    if value != value:
        return NAN
    return int(value) if value.is_integer() and abs(value) < _EXACT else value


def _sorted(pairs: Iterable[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    return sorted(pairs, key=lambda pair: (type(pair[0]).__name__, _spelled(pair[0])))
