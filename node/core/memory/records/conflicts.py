"""The two rules for concurrent changes of a record, behind one interface: `merge` keeps them all, `latest-wins` keeps one.

    rule = conflicts_of("merge", Flaws())
    mine = rule.changed(None, "fact", {"concept": "fire", "times_used": 1}, ("n1.1.a", 1), wall_ms)
    rule.joined(mine, theirs)

Everything is deterministic: `wall_ms` comes from the caller, and only `latest-wins` uses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ....flaws.switch import Flaws
from ...records.change_sum import number_of
from . import latest, record
from .record import NOTHING, State
from .schema import ELEMENTS_LIMIT, FIELDS, SET
from .shape import state_problem
from .vector import Dot, Vector

__all__ = ["Conflicts", "LatestWins", "Merge", "State", "conflicts_of", "room_problem"]


class Conflicts(Protocol):
    def changed(self, state: State | None, kind: str, fields: Mapping[str, Any], dot: Dot, wall_ms: int) -> State:
        """Return the state after these fields are changed here; from None: a new record."""
        ...

    def deleted(self, state: State, dot: Dot, wall_ms: int) -> State:
        """Return the tombstone."""
        ...

    def joined(self, a: State, b: State, a_seen: Vector = NOTHING, b_seen: Vector = NOTHING) -> State:
        """Join two states; see `record.joined`: `a` or `b` itself when that one has seen all of the other."""
        ...

    def unseen(self, state: State, seen: Vector) -> State | None:
        """Return the part that is new to a holder with this vector that does not have the record."""
        ...

    def live(self, state: State) -> bool:
        """Return whether the record exists; False for a tombstone."""
        ...

    def shown(self, kind: str, state: State) -> dict[str, Any]:
        """Return `{"fields": …, "conflicts": …}`, for clients."""
        ...

    def problem(self, kind: str, state: Any) -> str | None:
        """Return why a value, which may be anything, is not a valid state; None when it is valid."""
        ...

    def digest(self, kind: str, name: str, state: State) -> int:
        """Return a 128-bit digest of the visible part of a record, with its dots; 0 for a tombstone. It is equal on nodes that have seen the same
        changes, even if some of them collected tombstones.
        """
        ...


class Merge:
    def __init__(self, flaws: Flaws) -> None:
        self._flaws = flaws

    def changed(self, state: State | None, kind: str, fields: Mapping[str, Any], dot: Dot, wall_ms: int) -> State:
        return record.changed(state, kind, fields, dot)

    def deleted(self, state: State, dot: Dot, wall_ms: int) -> State:
        return record.deleted(state, dot)

    def joined(self, a: State, b: State, a_seen: Vector = NOTHING, b_seen: Vector = NOTHING) -> State:
        state = record.joined(a, b, a_seen, b_seen)
        if self._flaws.texts_overwrite:
            return record.overwritten(state)
        if self._flaws.counter_added_on_join:
            return record.doubled(a, b, state)
        if self._flaws.deletion_beats_concurrent_change and record.concurrent(a, b):
            return state if record.live(a) and record.live(b) else {record.CONTEXT: state[record.CONTEXT]}
        return state

    def unseen(self, state: State, seen: Vector) -> State | None:
        return record.unseen(state, seen)

    def live(self, state: State) -> bool:
        return record.live(state)

    def shown(self, kind: str, state: State) -> dict[str, Any]:
        return record.shown(kind, state)

    def problem(self, kind: str, state: Any) -> str | None:
        return state_problem(kind, state)

    def digest(self, kind: str, name: str, state: State) -> int:
        return _digest(kind, name, record.visible(state)) if record.live(state) else 0


class LatestWins:
    def __init__(self, flaws: Flaws) -> None:
        self._flaws = flaws

    def changed(self, state: State | None, kind: str, fields: Mapping[str, Any], dot: Dot, wall_ms: int) -> State:
        return latest.changed(state, kind, fields, dot, wall_ms, tie=self._flaws.lww_tie)

    def deleted(self, state: State, dot: Dot, wall_ms: int) -> State:
        return latest.deleted(state, dot, wall_ms, tie=self._flaws.lww_tie)

    def joined(self, a: State, b: State, a_seen: Vector = NOTHING, b_seen: Vector = NOTHING) -> State:
        return latest.joined(a, b, tie=self._flaws.lww_tie)

    def unseen(self, state: State, seen: Vector) -> State | None:
        return latest.unseen(state, seen)

    def live(self, state: State) -> bool:
        return latest.live(state)

    def shown(self, kind: str, state: State) -> dict[str, Any]:
        return latest.shown(kind, state)

    def problem(self, kind: str, state: Any) -> str | None:
        return latest.state_problem(kind, state)

    def digest(self, kind: str, name: str, state: State) -> int:
        return _digest(kind, name, latest.visible(state)) if latest.live(state) else 0


def conflicts_of(rule: str, flaws: Flaws) -> Conflicts:
    """Return the rule by its name in the configuration."""
    return Merge(flaws) if rule == "merge" else LatestWins(flaws)


def room_problem(rule: Conflicts, kind: str, state: State | None, fields: Mapping[str, Any]) -> str | None:
    """Return why a change would make a set too large; None when it would not. A join may exceed the limit: a change that a peer acknowledged is not
    refused.
    """
    if state is None:
        return None
    held = rule.shown(kind, state)["fields"]
    for field, value in fields.items():
        if FIELDS[kind].get(field) == SET and field in held:
            size = len(dict.fromkeys([*held[field], *value]))
            if size > max(ELEMENTS_LIMIT, len(held[field])):
                return f"{field} would have {size} elements, and may have {ELEMENTS_LIMIT}"
    return None


def _digest(kind: str, name: str, seen: State) -> int:
    # States are canonical, so equal ones have one text; `ascii` costs half of what JSON does. (`repr` escapes by the tables of the
    # interpreter, so nodes with different Pythons had different digests of one state.)
    text = ascii((kind, name, seen))
    return number_of(text)
