"""One record of agent memory as a mergeable state: changes made at the same time on different nodes all stay (docs/concepts/memory.md).

A join-semilattice in the manner of Almeida, Shoker, Baquero 2018, "Delta state replicated data types": an observed-remove map (section 7) of
multi-value registers, observed-remove sets, and counters with a cell for each replica. A state holds what its context `c` has seen, and nothing else.
If one context includes the other, its state is already the join of the two. Most joins are of that kind, and cost only a comparison of the contexts.

Only the owner of a counter cell increases it, so of two values of a cell the larger one is the later. A deletion cannot remove a value from a cell
that is joined by maximum. Instead it records the value that it saw (the reset), which is subtracted when the cell is read.

States are values: functions return new ones, which share what did not change. They are canonical, lists and keys sorted: equal states are equal JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from . import vector
from .schema import COUNT, FIELDS, INTEGER, SCORE, SET, TEXT, TRITS, WRITTEN, thousandths
from .vector import Dot, Vector

State = Mapping[str, Any]
NOTHING: Vector = {}
CONTEXT, COUNTS, SCORES, SETS, TEXTS = ("c", "n", "q", "s", "t")
_EMPTY: State = {CONTEXT: {}}


def changed(state: State | None, kind: str, fields: Mapping[str, Any], dot: Dot) -> State:
    """Return the state after `fields` are changed under a new dot; from None: a new record. The change must be valid (`schema.change_problem`)."""
    before = state or _EMPTY
    types = FIELDS[kind]
    parts = {part: dict(before[part]) for part in _JOINS if part in before}
    for field, value in fields.items():
        part, write = _WRITES[types[field]]
        held = parts.setdefault(part, {})
        held[field] = write(held.get(field), value, dot)
    after: dict[str, Any] = {CONTEXT: vector.stepped(before[CONTEXT], dot)}
    for part in _JOINS:
        if part in parts:
            after[part] = dict(sorted(parts[part].items()))
    return after


def deleted(state: State, dot: Dot) -> State:
    """Return the tombstone: only the context of what was seen remains."""
    after: dict[str, Any] = {CONTEXT: vector.stepped(state[CONTEXT], dot)}
    for part in (COUNTS, SCORES):
        if part in state:
            after[part] = {
                field: {name: _reset(cell) for name, cell in cells.items()} for field, cells in state[part].items()
            }
    return after


def joined(a: State, b: State, a_seen: Vector = NOTHING, b_seen: Vector = NOTHING) -> State:
    """Return the least state that includes both. It is `a` or `b` itself when that one has seen everything of the other.

    `a_seen` and `b_seen` are the vectors of their holders: what these have seen of all records. They matter where a tombstone was collected and the
    record created again. Its context is short then, and an old state that arrives late must not bring back what was deleted.
    """
    if vector.includes(a[CONTEXT], b[CONTEXT]) and not _doubtful(a, b[CONTEXT], b_seen):
        return a
    if vector.includes(b[CONTEXT], a[CONTEXT]) and not _doubtful(b, a[CONTEXT], a_seen):
        return b
    return _Join(a, b, a_seen, b_seen).state()


def unseen(state: State, seen: Vector) -> State | None:
    """Return the part of a state that is new to a holder with the vector `seen` that does not have the record. The holder lacks the record because it
    is new, or because it was deleted and its tombstone collected. None: nothing is new.
    """
    if not any(replica in seen for replica in state[CONTEXT]):
        return state
    if vector.includes(seen, state[CONTEXT]):
        return None
    if not any(seen.get(replica, 0) >= number for replica, number in _dots(state)):
        return state
    return _Join(_EMPTY, state, seen, NOTHING).state()


def live(state: State) -> bool:
    """Return whether anything is left of the record; if not, it is a tombstone."""
    if TEXTS in state or SETS in state:
        return True
    return any(
        _counts(cell)
        for part in (COUNTS, SCORES)
        for cells in state.get(part, NOTHING).values()
        for cell in cells.values()
    )


def shown(kind: str, state: State) -> dict[str, Any]:
    """Return `{"fields": …, "conflicts": {field: values}}`: a conflict lists the different values that were written concurrently, the one in `fields`
    last.
    """
    fields: dict[str, Any] = {}
    conflicts: dict[str, list[Any]] = {}
    for field, type_ in FIELDS[kind].items():
        held = state.get(_WRITES[type_][0], NOTHING).get(field)
        if held is None:
            continue
        if type_ in WRITTEN:
            fields[field] = held[-1][2]
            values = list(dict.fromkeys(value for _, _, value in reversed(held)))
            if len(values) > 1:
                conflicts[field] = values[::-1]
        elif type_ == SET:
            fields[field] = sorted(held)
        else:
            value = _read(type_, held)
            if value is not None:
                fields[field] = value
    return {"fields": fields, "conflicts": conflicts}


def visible(state: State) -> State:
    """Return the state without the parts that only joins need: the context and, in cells, the resets. It is equal on all nodes that have seen the
    same changes, whether they collected tombstones or not.
    """
    out: dict[str, Any] = {part: state[part] for part in (SETS, TEXTS) if part in state}
    for part in (COUNTS, SCORES):
        fields = {field: _left(cells) for field, cells in state.get(part, NOTHING).items()}
        fields = {field: cells for field, cells in fields.items() if cells}
        if fields:
            out[part] = fields
    return out


def overwritten(state: State) -> State:
    """Keep one version of each text, that of the largest dot: a wrong multi-value register (a flaw)."""
    if all(len(versions) == 1 for versions in state.get(TEXTS, NOTHING).values()):
        return state
    return {**state, TEXTS: {field: versions[-1:] for field, versions in state[TEXTS].items()}}


def doubled(a: State, b: State, state: State) -> State:
    """Add up the cells of a count that both sides have and that differ: a wrong counter (a flaw)."""
    if state is a or state is b or COUNTS not in state:
        return state
    counts = {field: dict(cells) for field, cells in state[COUNTS].items()}
    for field, cells in counts.items():
        mine, theirs = (side.get(COUNTS, NOTHING).get(field, NOTHING) for side in (a, b))
        cells.update({n: list(map(int.__add__, mine[n], theirs[n])) for n in cells if mine.get(n) and theirs.get(n)})
    return {**state, COUNTS: counts}


def concurrent(a: State, b: State) -> bool:
    """Return whether each has seen a change that the other has not."""
    return vector.concurrent(a[CONTEXT], b[CONTEXT])


class _Join:
    """Join of two states of which neither has seen all of the other. `known`: up to where each has seen the replicas of the other."""

    def __init__(self, a: State, b: State, a_seen: Vector, b_seen: Vector) -> None:
        self.a, self.b = a, b
        self.known_a = {who: max(a[CONTEXT].get(who, 0), a_seen.get(who, 0)) for who in b[CONTEXT]}
        self.known_b = {who: max(b[CONTEXT].get(who, 0), b_seen.get(who, 0)) for who in a[CONTEXT]}

    def state(self) -> State:
        out: dict[str, Any] = {CONTEXT: vector.joined(self.a[CONTEXT], self.b[CONTEXT])}
        for part, join in _JOINS.items():
            mine, theirs = self.a.get(part, NOTHING), self.b.get(part, NOTHING)
            fields = {field: join(self, mine.get(field), theirs.get(field)) for field in sorted({**mine, **theirs})}
            fields = {field: held for field, held in fields.items() if held}
            if fields:
                out[part] = fields
        return out

    def versions(self, mine: list[Any] | None, theirs: list[Any] | None) -> list[Any]:
        """Return, of things with dots, those that both have and those that the other one has not seen."""
        mine, theirs = mine or [], theirs or []
        kept = [one for one in mine if _among(theirs, one) or self.known_b[one[0]] < one[1]]
        kept += [one for one in theirs if not _among(mine, one) and self.known_a[one[0]] < one[1]]
        return sorted(kept, key=_dot)

    def elements(self, mine: dict[str, Any] | None, theirs: dict[str, Any] | None) -> dict[str, Any]:
        mine, theirs = mine or {}, theirs or {}
        kept = {
            element: self.versions(mine.get(element), theirs.get(element)) for element in sorted({**mine, **theirs})
        }
        return {element: dots for element, dots in kept.items() if dots}

    def cells(self, mine: dict[str, Any] | None, theirs: dict[str, Any] | None) -> dict[str, Any]:
        """Join the cells. A cell that one side lacks stays if the other has it from a later change of its owner than that side has seen.

        A side that has seen all of them, and lacks the cell, has collected it. Otherwise the owner may have increased a cell that was opened before,
        so its name proves nothing.
        """
        mine, theirs = mine or {}, theirs or {}
        kept = {}
        for name in sorted({**mine, **theirs}):
            one, other, owner = mine.get(name), theirs.get(name), _owner(name)
            if one is not None and other is not None:
                kept[name] = one if one == other else list(map(max, one, other))
            elif one is not None and self.known_b[owner] < self.a[CONTEXT][owner]:
                kept[name] = one
            elif other is not None and self.known_a[owner] < self.b[CONTEXT][owner]:
                kept[name] = other
        return kept


_JOINS: Mapping[str, Callable[[_Join, Any, Any], Any]] = {
    COUNTS: _Join.cells,
    SCORES: _Join.cells,
    SETS: _Join.elements,
    TEXTS: _Join.versions,
}
"""The parts of a state, in their order in it."""


def _doubtful(state: State, context: Vector, seen: Vector) -> bool:
    """Return whether the state contains something that a holder of the other has seen only by its vector: it may be missing there because it was
    collected.
    """
    return bool(seen) and any(
        context.get(replica, 0) < number <= seen.get(replica, 0) for replica, number in _dots(state)
    )


def _dots(state: State) -> Iterator[Dot]:
    """Return the dot of everything in it; of a cell, the last that its owner may have increased it with."""
    for versions in state.get(TEXTS, NOTHING).values():
        for replica, number, _ in versions:
            yield replica, number
    for elements in state.get(SETS, NOTHING).values():
        for dots in elements.values():
            for replica, number in dots:
                yield replica, number
    for part in (COUNTS, SCORES):
        for cells in state.get(part, NOTHING).values():
            for name in cells:
                owner = _owner(name)
                yield owner, state[CONTEXT][owner]


def _among(things: list[Any], one: list[Any]) -> bool:
    return any(thing[1] == one[1] and thing[0] == one[0] for thing in things)


def _dot(thing: list[Any]) -> Dot:
    return thing[0], thing[1]


def _owner(name: str) -> str:
    """Return the owner of a cell, by its name."""
    return name.rpartition(":")[0]


def _written(held: Any, value: Any, dot: Dot) -> list[Any]:
    """Write a field: all versions seen so far are replaced."""
    return [[*dot, value]]


def _added(held: dict[str, Any] | None, elements: list[str], dot: Dot) -> dict[str, Any]:
    """Add to a set. An element that is there already gets the new dot for the old ones, so that it survives a deletion that has not seen this change."""
    return dict(sorted({**(held or {}), **{element: [[*dot]] for element in elements}}.items()))


def _counted(held: dict[str, Any] | None, more: int, dot: Dot) -> dict[str, Any]:
    return _increased(held or {}, [more], dot)


def _rated(held: dict[str, Any] | None, score: float, dot: Dot) -> dict[str, Any]:
    return _increased(held or {}, [thousandths(score), 1], dot)


def _increased(cells: dict[str, Any], more: list[int], dot: Dot) -> dict[str, Any]:
    """Increase a count. The replica's own cell goes on, also after a deletion; of several, which collection may leave behind, the one opened last."""
    replica, number = dot
    own = max(
        (name for name in cells if _owner(name) == replica), key=lambda name: int(name.rpartition(":")[2]), default=None
    )
    if own is None:
        return dict(sorted({**cells, f"{replica}:{number}": [*more, *(0 for _ in more)]}.items()))
    added, reset = _halves(cells[own])
    return {**cells, own: [*map(int.__add__, added, more), *reset]}


_WRITES: Mapping[str, tuple[str, Callable[[Any, Any, Dot], Any]]] = {
    TEXT: (TEXTS, _written),
    INTEGER: (TEXTS, _written),
    TRITS: (TEXTS, _written),
    COUNT: (COUNTS, _counted),
    SCORE: (SCORES, _rated),
    SET: (SETS, _added),
}
"""By type: the part of a state that its fields are in, and how one is changed."""


def _halves(cell: list[int]) -> tuple[list[int], list[int]]:
    """Return the increase, and how much of it was reset."""
    half = len(cell) // 2
    return cell[:half], cell[half:]


def _reset(cell: list[int]) -> list[int]:
    added, _ = _halves(cell)
    return added + added


def _counts(cell: list[int]) -> bool:
    """Return whether more was added than reset: of a score the ratings decide, because the total may be 0."""
    return cell[len(cell) // 2 - 1] > cell[-1]


def _left(cells: dict[str, Any]) -> dict[str, list[int]]:
    """Return by cell what was added and not reset, where there is any."""
    return {name: list(map(int.__sub__, *_halves(cell))) for name, cell in cells.items() if _counts(cell)}


def _read(type_: str, cells: dict[str, Any]) -> int | float | None:
    """Return the sum, or the mean to the nearest thousandth; None when nothing is left."""
    totals = list(map(sum, zip(*_left(cells).values(), strict=True)))
    if not totals:
        return None
    if type_ == COUNT:
        return int(totals[0])
    total, ratings = totals
    return (2 * total + ratings) // (2 * ratings) / 1000
