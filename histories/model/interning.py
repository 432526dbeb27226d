"""Values as small numbers: equal values get equal ids, in order of first use.

Equality is that of `canonical` forms.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any

import numpy as np

from .canonical import canonical
from .columns import Int32

_PLAIN = {int, str, type(None)}


class Interner:
    """A growing table of values. `first` has the values of the first ids."""

    def __init__(self, first: Iterable[Any] = ()) -> None:
        # No Python function runs for a new value, of which there may be millions.
        self._ids: defaultdict[Any, int] = defaultdict(count().__next__)
        self._originals: dict[int, Any] = {}
        for value in first:
            self.one(value)

    def __len__(self) -> int:
        return len(self._ids)

    def one(self, value: Any) -> int:
        """The id of any value, hashable or not."""
        if type(value) in _PLAIN:
            return self._ids[value]
        before = len(self._ids)
        number = self._ids[canonical(value)]
        if number == before:
            self._originals[number] = value
        return number

    def many(self, values: Sequence[Any]) -> Int32:
        """Return the ids of many values; fast if all are plain scalars."""
        if set(map(type, values)) <= _PLAIN:
            return self.plain(values)
        return np.fromiter(map(self.one, values), np.int32, len(values))

    def plain(self, values: Sequence[Any]) -> Int32:
        """Return the ids of values for which Python's equality is right: plain scalars, or tuples of strings."""
        return np.fromiter(map(self._ids.__getitem__, values), np.int32, len(values))

    def table(self) -> list[Any]:
        """Id → value."""
        values = list(self._ids)
        for number, value in self._originals.items():
            values[number] = value
        return values
