"""All records that this node holds, with the version vector of the changes that it has seen.

Pure: changes come in, states come out. Writing and sending them happens elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .conflicts import Conflicts, State, room_problem
from .record import NOTHING, concurrent
from .schema import KINDS, LIMITS, record_problem
from .trmm import Item
from .vector import Vector, beyond, includes, joined, met

Key = tuple[str, str]
"""(kind, record)."""
LOG = "log"
"""The replica of changes that came through the replicated log. Every node has these from there, so syncs skip them."""


class Full(Exception):
    """A change for which there is no room. The text names what is full."""


class Store:
    """The records of one node. In `records` the record that was changed longest ago comes first."""

    def __init__(self, conflicts: Conflicts, replica: str, vector: Vector, floor: Vector | None = None) -> None:
        self._conflicts = conflicts
        self.replica = replica
        self.vector = dict(vector)
        self.floor = dict(floor or {})
        """Join of the contexts of all that was collected."""
        self.records: dict[Key, State] = {}
        self.tombstones: dict[Key, None] = {}
        self.live = dict.fromkeys(KINDS, 0)
        self._stray: dict[Key, None] = {}
        """Records that had something beyond the vector when they were put: pushed out of order, or from behind a gap in a damaged log."""
        self._sum = 0
        self._unsummed: dict[Key, None] = {}
        """Live records whose share is not in the sum yet: adding it costs as much as the rest of a join, and the sum is rarely needed."""
        self._parts: dict[Key, int | None] = {}
        """Share of each live record in the digest."""

    @property
    def digest(self) -> int:
        """Digest of all live records: equal for equal contents, in whatever order they came."""
        for key in self._unsummed:
            part = self._parts[key] = self._conflicts.digest(*key, self.records[key])
            self._sum += part
        self._unsummed = {}
        self._sum %= 1 << 128
        return self._sum

    @property
    def number(self) -> int:
        """Number of the last change made here."""
        return self.vector.get(self.replica, 0)

    def change(self, kind: str, record: str, fields: Mapping[str, Any], wall_ms: int) -> State:
        """Change a record, or insert it. Raises `Full`."""
        before = self.records.get((kind, record))
        if self.full(kind, record):
            raise Full(f"this node holds {self.live[kind]} records of kind {kind}, the most there may be")
        problem = room_problem(self._conflicts, kind, before, fields)
        if problem is not None:
            raise Full(problem)
        return self._made(kind, record, self._conflicts.changed(before, kind, fields, self._dot(), wall_ms))

    def delete(self, kind: str, record: str, wall_ms: int) -> State | None:
        """Delete a record and return its tombstone state; None when there is nothing to delete."""
        before = self.records.get((kind, record))
        if before is None or not self._conflicts.live(before):
            return None
        return self._made(kind, record, self._conflicts.deleted(before, self._dot(), wall_ms))

    def join(self, kind: str, record: str, state: State, theirs: Vector = NOTHING) -> State | None:
        """Join a state of a holder whose vector is `theirs`. Returns the new state of the record, or None when the join changes nothing.

        This node has seen every change that its own vector covers. So if such a change is missing here, it was removed since, even if its tombstone
        is collected by now.
        """
        key = (kind, record)
        before = self.records.get(key)
        if before is None:
            after = self._conflicts.unseen(state, self.vector)
        else:
            after = self._conflicts.joined(before, state, self.vector, theirs)
        if after is None or after is before or after == before:
            return None
        self._put(key, after)
        return after

    def absent(self, sent: Mapping[Key, None], theirs: Vector) -> tuple[list[Item], list[Key]]:
        """Apply deletions after a complete answer of a peer: changes to records outside of `sent` that `theirs` covers were deleted at the peer.
        Returns the states that changed, and the keys that are gone.
        """
        changed: list[Item] = []
        gone: list[Key] = []
        for key in [key for key in self.records if key not in sent]:
            state = self.records[key]
            left = self._conflicts.unseen(state, theirs)
            if left is None:
                self._forget(key)
                gone.append(key)
            elif left is not state:
                self._put(key, left)
                changed.append((*key, left))
        return changed, gone

    def close(self, node: str) -> Vector:
        """Close the earlier incarnations of this node: no changes of theirs will come in addition to those that are here. Returns the entries of the
        vector that changed.
        """
        last: Vector = {}
        for state in self.records.values():
            for replica, number in state["c"].items():
                if replica != self.replica and replica.rpartition(".")[0].rpartition(".")[0] == node:
                    last[replica] = max(number, last.get(replica, 0))
        return self.advance(last)

    def full(self, kind: str, record: str) -> bool:
        """Return whether a change of this record would insert a new one although the limit is reached."""
        return self.live[kind] >= LIMITS[kind] and (kind, record) not in self._parts

    def conflicting(self, kind: str, record: str, state: State) -> bool:
        """Return whether `state` and the state here are concurrent: each has a change that the other has not seen."""
        before = self.records.get((kind, record))
        return before is not None and concurrent(before, state)

    def problem(self, item: Any) -> str | None:
        """Return why a value from a peer, which may be anything, is not a valid (kind, record, state); None when it is valid."""
        if not isinstance(item, (list, tuple)) or len(item) != 3:
            return f"{str(item)[:80]} is not a record"
        kind, record, state = item
        return record_problem(kind, record) or self._conflicts.problem(kind, state)

    def restore(self, kind: str, record: str, state: State) -> None:
        """Add a record from this node's own files. The vector is not consulted."""
        before = self.records.get((kind, record))
        self._put((kind, record), state if before is None else self._conflicts.joined(before, state))

    def shown(self, kind: str, record: str) -> dict[str, Any] | None:
        state = self.records.get((kind, record))
        return None if state is None or not self._conflicts.live(state) else self._conflicts.shown(kind, state)

    def ids(self, kind: str) -> list[str]:
        """Ids of live records."""
        return sorted(record for of, record in self._parts if of == kind)

    def oldest(self, kind: str) -> str | None:
        """Return the live record of this kind that was changed longest ago."""
        return next((record for of, record in self.records if of == kind and (of, record) in self._parts), None)

    def beyond(self, vector: Vector) -> Iterator[Key]:
        """Return the records with a change that `vector` does not cover."""
        if includes(vector, self.vector):
            # Between nodes that are in step, which is nearly always, nearly nothing has to be examined.
            self._stray = {key: None for key in self._stray if not includes(self.vector, known(self.records[key]))}
            yield from (key for key in self._stray if not includes(vector, known(self.records[key])))
            return
        for key, state in self.records.items():
            if not includes(vector, known(state)):
                yield key

    def advance(self, vector: Vector) -> Vector:
        """Record a complete sync: every change that `vector` covers is here. Returns the entries of the vector that changed."""
        moved = beyond(vector, self.vector)
        self.vector = joined(self.vector, moved)
        return moved

    def heard(self, replica: str, number: int) -> Vector:
        """Record that this single change is here. The vector moves if nothing before it is missing."""
        if number != self.vector.get(replica, 0) + 1:
            return {}
        self.vector[replica] = number
        return {replica: number}

    def collectable(self, vectors: list[Vector]) -> list[Key]:
        """Return the keys of the tombstones that all holders of these vectors have seen. Tombstones of records that came through the log stay,
        because the log would bring the record back.
        """
        common = met([self.vector, *vectors])
        contexts = ((key, self.records[key]["c"]) for key in self.tombstones)
        return [key for key, context in contexts if LOG not in context and includes(common, context)]

    def collect(self, key: Key, *, noted: bool = True) -> None:
        """Remove a tombstone. With `noted`, its context is joined into `floor`, by which an old state that comes back is recognised; under a flaw it
        is not.
        """
        if key in self.tombstones:
            if noted:
                self.floor = joined(self.floor, self.records[key]["c"])
            self._forget(key)

    def check(self) -> None:
        live = [key for key, state in self.records.items() if self._conflicts.live(state)]
        assert self.live == {kind: sum(of == kind for of, _ in live) for kind in KINDS}, self.live
        parts = [self._conflicts.digest(*key, self.records[key]) for key in live]
        assert self.digest == sum(parts) % (1 << 128)
        for key, state in self.records.items():
            assert key in self._stray or includes(self.vector, known(state)), key
        assert sorted(self.tombstones) == sorted(key for key in self.records if key not in self._parts)

    def _dot(self) -> tuple[str, int]:
        return self.replica, self.number + 1

    def _made(self, kind: str, record: str, state: State) -> State:
        self.vector[self.replica] = self.number + 1
        self._put((kind, record), state)
        return state

    def _forget(self, key: Key) -> None:
        del self.records[key]
        self.tombstones.pop(key, None)
        self._stray.pop(key, None)
        self._leave(key)

    def _put(self, key: Key, state: State) -> None:
        self.records.pop(key, None)
        self.records[key] = state
        if not includes(self.vector, known(state)):
            self._stray[key] = None
        self._leave(key)
        self.tombstones.pop(key, None)
        if self._conflicts.live(state):
            self._parts[key] = None
            self._unsummed[key] = None
            self.live[key[0]] += 1
        else:
            self.tombstones[key] = None

    def _leave(self, key: Key) -> None:
        """Remove it from the live records, if it was one."""
        if key in self._parts:
            self.live[key[0]] -= 1
            self._sum -= self._parts.pop(key) or 0
            self._unsummed.pop(key, None)


def known(state: State) -> Vector:
    """Return the context of a state without the changes that came through the log."""
    context: Vector = state["c"]
    return context if LOG not in context else {who: n for who, n in context.items() if who != LOG}
