"""The key-value store: transactions of micro-operations, all or nothing.

    ["r", key] · ["w", key, value] · ["append", key, value] · ["cas", key, from, to]

Values are any JSON; an absent key reads as null. A `cas` that finds another value, or an `append` to something that is no list, fails the
whole transaction and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..entry import canonical
from ..value import frozen

MicroOp = Sequence[Any]


@frozen
class Mismatch:
    """Why a transaction was refused: the key, and the value that was there."""

    key: str
    found: Any
    wanted: str


class KeyValue:
    def __init__(self) -> None:
        self._data: dict[str, Any] = {}

    def read(self, ops: Sequence[MicroOp]) -> list[Any]:
        """Results of a transaction that only reads."""
        return [self._data.get(op[1]) for op in ops]

    def transact(self, ops: Sequence[MicroOp]) -> list[Any] | Mismatch:
        """One result for each micro-operation: the value read, written, or made."""
        changes: dict[str, Any] = {}
        results = []
        for op in ops:
            kind, key = op[0], op[1]
            value = changes[key] if key in changes else self._data.get(key)
            if kind == "w":
                value = changes[key] = op[2]
            elif kind == "append":
                if value is not None and not isinstance(value, list):
                    return Mismatch(key, value, "a list")
                value = changes[key] = [*(value or ()), op[2]]
            elif kind == "cas":
                if not same(value, op[2]):
                    return Mismatch(key, value, canonical(op[2]))
                value = changes[key] = op[3]
            results.append(value)
        self._data.update(changes)
        return results

    def dump(self) -> Mapping[str, Any]:
        return self._data

    def restore(self, data: Mapping[str, Any] | None) -> None:
        self._data = dict(data or {})


def same(one: Any, other: Any) -> bool:
    """Equality of JSON values: 1, 1.0 and true are three."""
    if type(one) is type(other) and not isinstance(one, (list, dict)):
        return bool(one == other)
    return canonical(one) == canonical(other)
