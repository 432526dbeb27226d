"""Persistence of this node's memory: changes go to the log at once, to a TRMM delta after a number of changes, and to a snapshot after a hundred
deltas.

Deltas speed up recovery and let the log be truncated. An acknowledgement waits only for the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...errors import CorruptionError
from ..interface.outbox import Outbox
from .disk.files import Found
from .disk.writer import Writer
from .records.store import Key, Store
from .records.trmm import Item

_HINT = (
    "start the release and the configuration that wrote it, or move memory-* and memory.* out of the data directory: "
    "other nodes hold what they had of it"
)
DELTAS = 100
"""Deltas after a snapshot, at most; then the next snapshot is due."""


class Keeper:
    """Keeper of `store`: fills it with the records found on disk, and from then on writes its changes to disk. Raises `CorruptionError` for data that
    cannot be a record.
    """

    def __init__(self, out: Outbox, found: Found, store: Store, delta_every: int) -> None:
        for item in found.records:
            problem = store.problem(item)
            if problem is not None:
                raise CorruptionError(
                    f"a record of this node's memory, under checksums that are right: {problem}", _HINT
                )
            store.restore(*item)
        self._store = store
        self._delta_every = delta_every
        self._floor = dict(store.floor)
        self._writer = Writer(out, found)
        self._anew = bool(found.damaged or found.torn)
        """Files were damaged: a snapshot is due at once, so that the next start does not meet them again."""

    @property
    def gate(self) -> int | None:
        """Return the operation after which everything so far is durable; None when it is."""
        return self._writer.gate

    def keep(self, records: Sequence[Item], moved: Mapping[str, int], gone: Sequence[Key] = ()) -> int:
        """Stage these states, the changes of the vector, and the keys of collected records for the disk. Returns the gate."""
        self._writer.stage(records, moved, gone, self._news())
        gate = self._writer.gate
        assert gate is not None
        return gate

    def done(self, op: int) -> bool:
        return self._writer.done(op)

    def flush(self, time_ms: int) -> None:
        writer = self._writer
        writer.flush()
        due = self._anew or len(writer.fresh) + len(writer.gone) >= self._delta_every
        if not due or writer.compacting:
            return
        self._anew = False
        metadata = {"vector": dict(self._store.vector), "floor": dict(self._store.floor)}
        if writer.rebase or writer.deltas >= DELTAS:
            writer.write_snapshot(self._items(self._store.records), metadata, time_ms)
        else:
            fresh = [key for key in writer.fresh if key in self._store.records]
            writer.write_delta(self._items(fresh), list(writer.gone), metadata, time_ms)

    def _news(self) -> dict[str, Any]:
        """Return the floor, if it moved since it was written down."""
        if self._floor == self._store.floor:
            return {}
        self._floor = dict(self._store.floor)
        return {"floor": self._floor}

    def _items(self, keys: Iterable[Key]) -> list[tuple[str, str, Any]]:
        return [(*key, self._store.records[key]) for key in keys]
