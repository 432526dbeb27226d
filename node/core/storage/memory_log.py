"""The log in memory: the position at which a snapshot ends, and the entries after it.

It knows nothing of disks and current terms; Raft compares, truncates and compacts it. `base_index` and `base_term` are index and term of the last
entry that only a snapshot holds. A snapshot may cover hundreds of thousands of entries. They leave the log at once, and are freed a few at a time,
with later appends.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..interface.entry import Entry

FREED_CHARACTERS = 16 * 1024
"""Characters of covered entries that one append frees, about."""


class Log:
    def __init__(self, base_index: int = 0, base_term: int = 0, entries: Sequence[Entry] = ()) -> None:
        self.base_index = base_index
        self.base_term = base_term
        self._entries = list(entries)
        self._covered: list[Entry] = []
        """Entries that have left the log but are not freed yet."""
        self.last_index = base_index + len(self._entries)

    @property
    def last_term(self) -> int:
        return self._entries[-1].term if self._entries else self.base_term

    def term(self, index: int) -> int | None:
        """The term of the entry at `index`; None when it is not here (compacted or not there yet)."""
        position = index - self.base_index - 1
        if position == -1:
            return self.base_term
        return self._entries[position].term if 0 <= position < len(self._entries) else None

    def append(self, entries: Sequence[Entry]) -> None:
        assert not entries or entries[0].index == self.last_index + 1, (entries[0].index, self.last_index)
        self._entries.extend(entries)
        self.last_index += len(entries)
        if self._covered:
            self._free()

    def cut(self, index: int) -> None:
        """Remove the entries from `index` on."""
        assert index > self.base_index, (index, self.base_index)
        del self._entries[index - self.base_index - 1 :]
        self.last_index = self.base_index + len(self._entries)

    def slice(self, first: int, last: int) -> list[Entry]:
        """Entries `first` .. `last`, both included; all of them must be here."""
        assert first > self.base_index, (first, self.base_index)
        return self._entries[first - self.base_index - 1 : last - self.base_index]

    def tail(self) -> list[Entry]:
        return list(self._entries)

    def compact(self, index: int) -> None:
        """Drop the entries up to `index`, which a durable snapshot holds."""
        term = self.term(index)
        assert term is not None, (index, self.base_index, self.last_index)
        covered, kept = self._entries, self._entries[index - self.base_index :]
        del covered[index - self.base_index :]
        self._covered, self._entries = self._covered + covered if self._covered else covered, kept
        self.base_index, self.base_term = index, term

    def reset(self, index: int, term: int) -> None:
        """Become the empty log after a snapshot at (`index`, `term`)."""
        self._entries = []
        self.base_index, self.base_term = index, term
        self.last_index = index

    def _free(self) -> None:
        freed = 0
        while self._covered and freed < FREED_CHARACTERS:
            freed += len(self._covered.pop().text)

    def check(self) -> None:
        indices = [entry.index for entry in self._entries]
        assert indices == list(range(self.base_index + 1, self.last_index + 1)), (self.base_index, indices)
        terms = [self.base_term, *(entry.term for entry in self._entries)]
        assert terms == sorted(terms), (self.base_index, terms)
