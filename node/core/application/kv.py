"""The key-value store: transactions of micro-operations, all or nothing.

    ["r", key] · ["w", key, value] · ["append", key, value] · ["cas", key, from, to]

Values are any JSON; an absent key reads as null. A `cas` that finds another value, or an `append` to a value that is not a list, fails the whole
transaction and changes nothing. The same holds for a transaction whose results do not fit in a reply: 256 appends to a list of 60 000 elements are a
small command, but their results would have 15 million elements.
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
RESULTS_CHARACTERS = 1_000_000
"""Characters of all results of a transaction as JSON, at most: they fit in a frame with the rest of a reply. So no value is larger, either."""
_SMALL_CHARACTERS = 64
"""The size of a smaller value is computed when needed; that of a larger one is kept."""


@frozen
class Mismatch:
    """Reason of a refused transaction: the key, and the value found there."""

    key: str
    found: Any
    wanted: str


@frozen
class TooLarge:
    """A transaction was refused because its results are too large; it changed nothing."""


TOO_LARGE = TooLarge()


class KeyValue:
    def __init__(self, flaws: Flaws) -> None:
        self._flaws = flaws
        self._data: dict[str, Any] = {}
        self._sizes: dict[str, int] = {}
        """Characters of large values as JSON, once they were needed. They depend only on the values, so nodes that computed them at different times agree."""
        self._keys: list[str] = []
        """In order of insertion. Keys are never removed."""
        self._sum = ChangeSum(_text_of)
        self._frozen: Frozen | None = None

    def read(self, ops: Sequence[MicroOp]) -> list[Any] | TooLarge:
        """Return the results of a read-only transaction."""
        room = RESULTS_CHARACTERS
        for op in ops:
            room -= self._size(op[1])
            if room < 0:
                return TOO_LARGE
        return [self._data.get(op[1]) for op in ops]

    def transact(self, ops: Sequence[MicroOp]) -> tuple[list[Any] | Mismatch | TooLarge, int]:
        """Return one result per micro-operation (the value read, written, or made), and the characters of the results as JSON."""
        changes: dict[str, Any] = {}
        sizes: dict[str, int] = {}
        results = []
        total = 0
        for op in ops:
            kind, key = op[0], op[1]
            seen = key in changes and not self._flaws.transaction_blind_to_itself
            value, size = (changes[key], sizes[key]) if seen else (self._data.get(key), self._size(key))
            if kind == "w":
                value, size = op[2], characters(op[2])
            elif kind == "append":
                if value is not None and not isinstance(value, list):
                    return Mismatch(key, value, "a list"), size
                size = (size + 1 if value else len("[]")) + characters(op[2])
                if value and self._flaws.value_changed_in_place:
                    value.append(op[2])
                else:
                    value = [*(value or ()), op[2]]
            elif kind == "cas":
                if not same(value, op[2]):
                    if self._flaws.refused_transaction_keeps_part:
                        self._change(changes, sizes, ops)
                    return Mismatch(key, value, canonical(op[2])), size
                value, size = op[3], characters(op[3])
            total += size
            if total > RESULTS_CHARACTERS:
                return TOO_LARGE, 0
            if kind != "r":
                changes[key], sizes[key] = value, size
            results.append(value)
        self._change(changes, sizes, ops)
        return results, total

    def _size(self, key: str) -> int:
        """Characters of a key's value as JSON."""
        size = self._sizes.get(key)
        if size is None:
            size = characters(self._data.get(key))
            if size > _SMALL_CHARACTERS:
                self._sizes[key] = size
        return size

    def digest(self) -> str:
        """Digest of all keys and values; costs as much as the keys that changed since the last call."""
        return f"{self._sum.settle(self._data):032x}"

    def _change(self, changes: Mapping[str, Any], sizes: Mapping[str, int], ops: Sequence[MicroOp]) -> None:
        data, note = self._data, self._sum.note
        for key, size in sizes.items():
            if size > _SMALL_CHARACTERS:
                self._sizes[key] = size
            else:
                self._sizes.pop(key, None)
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
        """Freeze the present state, to be read in later steps, until `thaw`."""
        self._frozen = Frozen(self._data, self._keys)
        return self._frozen

    def thaw(self) -> None:
        self._frozen = None

    def dump(self) -> Mapping[str, Any]:
        return self._data

    def restore(self, data: Mapping[str, Any] | None) -> None:
        self._data = dict(data or {})
        self._sizes.clear()
        self._keys = list(self._data)
        self._frozen = None
        self._sum.reset(self._data)


def _text_of(key: str, value: Any) -> str:
    return f"{quoted(key)}:{canonical(value)}"


def characters(value: Any) -> int:
    """The length of `canonical(value)`."""
    return len(str(value)) if type(value) is int else len(canonical(value))


def same(one: Any, other: Any) -> bool:
    """Compare JSON values as checkers do: JSON has one kind of number, so 1 and 1.0 are equal, and true equals neither."""
    pairs = [(one, other)]
    while pairs:
        left, right = pairs.pop()
        if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
            if len(left) != len(right):
                return False
            pairs += zip(left, right, strict=True)
        elif isinstance(left, dict) and isinstance(right, dict):
            if left.keys() != right.keys():
                return False
            pairs += [(left[key], right[key]) for key in left]
        elif left != right or isinstance(left, bool) != isinstance(right, bool):
            return False
    return True
