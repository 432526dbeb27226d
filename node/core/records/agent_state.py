"""An agent's state: JSON values by key, with a size and a digest that follow each change.

The digest is a sum of hashes (`change_sum.py`) that is updated at every change, with each key's hash. So two hosts can compare states of megabytes
without reading them again, and find the keys in which they differ. Values are never changed in place. Null is not a value: it means that a key is
gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..interface.entry import canonical
from .change_sum import MODULUS, number_of

KEY_CHARACTERS = 256
VALUE_CHARACTERS = 128 * 1024
"""JSON characters of one value, at most: with it a log entry and a message stay well below a frame, although quotes double on the way."""
STATE_CHARACTERS = 64 << 20


class KeyedState:
    """`data` is read-only and stays the same object for the life of the state. `characters` is the length of keys and values as JSON text."""

    __slots__ = ("_marks", "_sum", "characters", "data")

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}
        self.characters = 0
        self._marks: dict[str, tuple[int, int]] = {}
        """By key: characters and hash."""
        self._sum = 0

    def __len__(self) -> int:
        return len(self.data)

    @property
    def digest(self) -> str:
        return f"{self._sum:032x}"

    def set(self, key: str, value: Any) -> None:
        self.remove(key)
        size, number = self._marks[key] = _mark(key, value)
        self.data[key] = value
        self.characters += size
        self._sum = (self._sum + number) % MODULUS

    def remove(self, key: str) -> None:
        mark = self._marks.pop(key, None)
        if mark is not None:
            del self.data[key]
            self.characters -= mark[0]
            self._sum = (self._sum - mark[1]) % MODULUS

    def apply(self, changes: Mapping[str, Any], gone: Sequence[str]) -> None:
        for key, value in changes.items():
            self.set(key, value)
        for key in gone:
            self.remove(key)

    def size(self, key: str) -> int:
        """Return the size of this key in a command or a message, also when it is gone."""
        mark = self._marks.get(key)
        return len(key) if mark is None else mark[0]

    def copy(self) -> KeyedState:
        twin = KeyedState()
        twin.data, twin._marks = dict(self.data), dict(self._marks)
        twin.characters, twin._sum = self.characters, self._sum
        return twin

    def differing(self, other: KeyedState) -> list[str]:
        """Return the keys that must be set or removed in `other` to make it equal to this."""
        changed = [key for key, mark in self._marks.items() if other._marks.get(key) != mark]
        return changed + [key for key in other._marks if key not in self._marks]


class Stage:
    """Changes that take effect together; a later one of a key replaces an earlier."""

    def __init__(self, changes: dict[str, Any], gone: list[str]) -> None:
        self.changes = dict(changes)
        self.gone = dict.fromkeys(gone)

    def add(self, changes: Mapping[str, Any], gone: list[str]) -> None:
        for key, value in changes.items():
            self.gone.pop(key, None)
            self.changes[key] = value
        for key in gone:
            self.changes.pop(key, None)
            self.gone[key] = None


class Placements(dict[str, dict[str, Any]]):
    """The view of the application `agents`: small records by agent; and separately, by agent, its state at the last checkpoint."""

    def __init__(self) -> None:
        super().__init__()
        self.saved: dict[str, KeyedState] = {}


def changes_problem(changes: Any) -> str | None:
    """Return what is wrong with changes to a state (a null removes); None when nothing is."""
    if not isinstance(changes, Mapping):
        return f"changes are {_short(changes)}, not an object"
    for key, value in changes.items():
        problem = key_problem(key) or (None if value is None else value_problem(key, value))
        if problem is not None:
            return problem
    return None


def key_problem(key: Any) -> str | None:
    if not isinstance(key, str) or not 1 <= len(key) <= KEY_CHARACTERS:
        return f"the key {_short(key)} is not a text of 1-{KEY_CHARACTERS} characters"
    return None


def value_problem(key: str, value: Any) -> str | None:
    if value is None:
        return f"the value of {key!r} is null: name the key as gone instead"
    try:
        size = len(canonical(value))
    except (TypeError, ValueError, RecursionError) as error:
        return f"the value of {key!r} is not JSON: {error}"
    if size > VALUE_CHARACTERS:
        return f"the value of {key!r} has {size} characters, more than {VALUE_CHARACTERS}"
    return None


def _mark(key: str, value: Any) -> tuple[int, int]:
    text = f"{canonical(key)}:{canonical(value)}"
    return len(text), number_of(text)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:80] + "…"
