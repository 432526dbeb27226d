"""Dump of the replicated state at one index, written as text in parts while later commands change the state.

When a later command changes a value, the old value is kept for the dump (copy on write). So each part costs only its own size, however large the
state. A small state is written as one part, in the step in which the snapshot is due.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...json_text import quoted
from ...snapshot_text import SnapshotText
from ..interface.entry import canonical
from ..records.change_sum import ABSENT

SORTED_KEYS = 4096
"""Up to this number of keys the text is canonical; to sort more would take too long for one step."""
PAUSE_NS = 2_000_000
"""Pause between two parts, for other work."""


class Frozen:
    """Frozen view of the keys and values that `data` had at creation. `keys` are those of `data`, which only grows. Code that changes a key must call
    `keep` first.
    """

    __slots__ = ("_before", "_count", "_data", "_keys")

    def __init__(self, data: Mapping[str, Any], keys: Sequence[str]) -> None:
        self._data = data
        self._count = len(keys)
        self._keys = sorted(keys) if len(keys) <= SORTED_KEYS else keys
        self._before: dict[str, Any] = {}

    def keep(self, key: str, before: Any) -> None:
        if before is not ABSENT and key not in self._before:
            self._before[key] = before

    def texts(self) -> Iterator[str]:
        """Yield each key with its value as JSON, and a comma after all but the last."""
        before, data, keys, last = self._before, self._data, self._keys, self._count - 1
        for position in range(self._count):
            key = keys[position]
            value = before[key] if key in before else data[key]
            yield f"{quoted(key)}:{canonical(value)}{',' if position < last else ''}"


class Dump:
    """A snapshot under way. `index` and `digest` are those of the state at its beginning."""

    def __init__(
        self, index: int, digest: str, apps: Mapping[str, Any], keys: Frozen, sessions: Sequence[Any], limit: int
    ) -> None:
        self.index, self.digest = index, digest
        self.text = SnapshotText()
        self._limit = limit
        self._pieces = _pieces(apps, keys, sessions)

    def advance(self) -> bool:
        """Write the next part, of `limit` characters or slightly more. Returns whether it was the last one."""
        pieces: list[str] = []
        size = 0
        for piece in self._pieces:
            pieces.append(piece)
            size += len(piece)
            if size >= self._limit:
                self.text.add("".join(pieces))
                return False
        self.text.add("".join(pieces))
        return True


def _pieces(apps: Mapping[str, Any], keys: Frozen, sessions: Sequence[Any]) -> Iterator[str]:
    """Pieces of the JSON object that `restore` takes. Values of applications may change in place, so they are converted to text at once."""
    yield '{"apps":' + canonical(apps) + ',"kv":{' if apps else '{"kv":{'
    yield from keys.texts()
    yield '},"sessions":['
    last = len(sessions) - 1
    for position, row in enumerate(sessions):
        yield canonical(row) + ("," if position < last else "")
    yield "]}"
