"""The key-value store: transactions of micro-operations, all or nothing.

    ["r", key] · ["w", key, value] · ["append", key, value] · ["cas", key, from, to]

Values are any JSON; an absent key reads as null. A `cas` that finds another value, or an `append` to something that is no list, fails the
whole transaction and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...flaws.switch import Flaws
from ...json_text import quoted
from ..interface.entry import canonical
from ..interface.value import frozen
from ..records.change_sum import ABSENT, ChangeSum
from .dump import Frozen

MicroOp = Sequence[Any]


@frozen
class Mismatch:
    """Why a transaction was refused: the key, and the value that was there."""

    key: str
    found: Any
    wanted: str


class KeyValue:
    def __init__(self, flaws: Flaws) -> None:
        self._flaws = flaws
        self._data: dict[str, Any] = {}
        self._keys: list[str] = []
        """In the order in which they came. None ever goes."""
        self._sum = ChangeSum(_text_of)
        self._frozen: Frozen | None = None

    def read(self, ops: Sequence[MicroOp]) -> list[Any]:
        """Results of a transaction that only reads."""
        return [self._data.get(op[1]) for op in ops]

    def transact(self, ops: Sequence[MicroOp]) -> list[Any] | Mismatch:
        """One result for each micro-operation: the value read, written, or made."""
        changes: dict[str, Any] = {}
        results = []
        for op in ops:
            kind, key = op[0], op[1]
            blind = self._flaws.transaction_blind_to_itself
            value = changes[key] if key in changes and not blind else self._data.get(key)
            if kind == "w":
                value = changes[key] = op[2]
            elif kind == "append":
                if value is not None and not isinstance(value, list):
                    return Mismatch(key, value, "a list")
                value = changes[key] = [*(value or ()), op[2]]
            elif kind == "cas":
                if not same(value, op[2]):
                    if self._flaws.refused_transaction_keeps_part:
                        self._change(changes, ops)
                    return Mismatch(key, value, canonical(op[2]))
                value = changes[key] = op[3]
            results.append(value)
        self._change(changes, ops)
        return results

    def digest(self) -> str:
        """Of all keys and values; costs what the keys do that changed since it was last asked for."""
        return f"{self._sum.settle(self._data):032x}"

    def _change(self, changes: Mapping[str, Any], ops: Sequence[MicroOp]) -> None:
        data, note = self._data, self._sum.note
        self._keys += [key for key in changes if key not in data]
        noted = [op[1] for op in ops if op[0] != "cas"] if self._flaws.digest_skips_key else changes
        for key in noted:
            if key in changes:
                note(key, data.get(key, ABSENT))
        if self._frozen is not None:
            for key in changes:
                self._frozen.keep(key, data.get(key, ABSENT))
        data.update(changes)

    def __len__(self) -> int:
        return len(self._data)

    def freeze(self) -> Frozen:
        """What is here now, to be read in later steps, until `thaw`."""
        self._frozen = Frozen(self._data, self._keys)
        return self._frozen

    def thaw(self) -> None:
        self._frozen = None

    def dump(self) -> Mapping[str, Any]:
        return self._data

    def restore(self, data: Mapping[str, Any] | None) -> None:
        self._data = dict(data or {})
        self._keys = list(self._data)
        self._frozen = None
        self._sum.reset(self._data)


def _text_of(key: str, value: Any) -> str:
    return f"{quoted(key)}:{canonical(value)}"


def same(one: Any, other: Any) -> bool:
    """Equality of JSON values: 1, 1.0 and true are three."""
    if type(one) is type(other) and not isinstance(one, (list, dict)):
        return bool(one == other)
    return canonical(one) == canonical(other)
