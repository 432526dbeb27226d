"""Latest-wins: the latest change replaces the whole record, as the published design joins records. It converges, and it loses updates; it is here for
comparison.

A state is `{"c": context, "w": [wall_ms, replica, n], "f": {field: value} | null}`. A set's value is a sorted list, a score's is `[total, ratings]`
in thousandths; null means deleted. The state with the larger `w` wins. So a concurrent write on the other side is lost, and so is a write by a node
whose clock is behind. Such a write is lost at once, even on the node that acknowledges it. The reason: if a replica dropped the winning state, it
would come back from the others (as a write with an old timestamp is lost in Cassandra).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import vector
from .record import NOTHING, State
from .schema import COUNT, FIELDS, SCORE, SET, WRITTEN, element_problem, short, thousandths, written_problem
from .shape import SUM_LIMIT, context_problem
from .vector import Dot, Vector

WALL_LIMIT_MS = 1 << 53


def changed(
    state: State | None, kind: str, fields: Mapping[str, Any], dot: Dot, wall_ms: int, *, tie: bool = False
) -> State:
    """Return the state after a write of the whole record at `wall_ms`: the record as this node has it, with these fields changed."""
    values = dict((state or {}).get("f") or {})
    for field, value in fields.items():
        values[field] = _increased(FIELDS[kind][field], values.get(field), value)
    return _at(state, dict(sorted(values.items())), dot, wall_ms, tie)


def deleted(state: State, dot: Dot, wall_ms: int, *, tie: bool = False) -> State:
    return _at(state, None, dot, wall_ms, tie)


def joined(a: State, b: State, *, tie: bool = False) -> State:
    """Return the join: the later state wins, and at equal times the larger replica and number. With `tie` (the flaw `lww-tie`) the left state wins at
    equal times, so two nodes keep different states forever.
    """
    later = b["w"][0] > a["w"][0] if tie else b["w"] > a["w"]
    winner = b if later else a
    if vector.includes(winner["c"], a["c"]) and vector.includes(winner["c"], b["c"]):
        return winner
    return {**winner, "c": vector.joined(a["c"], b["c"])}


def unseen(state: State, seen: Vector) -> State | None:
    """Return the part of a state that is new to a holder without the record, as `record.unseen` does. A write that this holder has seen was
    overwritten there by a deletion.
    """
    if vector.includes(seen, state["c"]):
        return None
    _, replica, number = state["w"]
    if state["f"] is not None and vector.covers(seen, replica, number):
        return {**state, "f": None}
    return state


def live(state: State) -> bool:
    return state["f"] is not None


def shown(kind: str, state: State) -> dict[str, Any]:
    """Return the record as `record.shown` does. There are never conflicts, because all but one of the concurrent changes are lost."""
    held = state["f"] or NOTHING
    fields = {field: _read(type_, held[field]) for field, type_ in FIELDS[kind].items() if field in held}
    return {"fields": fields, "conflicts": {}}


def visible(state: State) -> State:
    return {"f": state["f"], "w": state["w"]}


def state_problem(kind: str, state: Any) -> str | None:
    """Return what is wrong with a state from a peer or a disk; None when nothing is."""
    problem = context_problem(state)
    if problem is not None:
        return problem
    if state.keys() != {"c": 0, "w": 0, "f": 0}.keys():
        return f"the state is {short(state)}, which does not have the parts c, f and w and no others"
    written, values = state["w"], state["f"]
    if (
        not isinstance(written, list)
        or len(written) != 3
        or not vector.replica_fine(written[1])
        or not vector.number_fine(written[2])
    ):
        return f"w is {short(written)}, not a list of wall_ms, replica and number"
    if type(written[0]) is not int or not 0 <= written[0] < WALL_LIMIT_MS:
        return f"w has the time {short(written[0])}, not an integer of ms 0..{WALL_LIMIT_MS - 1}"
    if not vector.covers(state["c"], written[1], written[2]):
        return f"w has the dot {written[1]} {written[2]}, which is not in the context"
    if values is None:
        return None
    if not isinstance(values, dict) or not values:
        return f"f is {short(values)}, not an object of fields, or null"
    for field, value in values.items():
        type_ = FIELDS[kind].get(field)
        if type_ is None:
            return f"f has {short(field)}, which is not a field of kind {kind}"
        problem = _value_problem(type_, value)
        if problem is not None:
            return f"{field} is {short(value)}, {problem}"
    return None


def _at(state: State | None, values: dict[str, Any] | None, dot: Dot, wall_ms: int, tie: bool) -> State:
    after: State = {"c": vector.stepped(state["c"] if state else NOTHING, dot), "f": values, "w": [wall_ms, *dot]}
    return after if state is None else joined(state, after, tie=tie)


def _increased(type_: str, before: Any, value: Any) -> Any:
    if type_ in WRITTEN:
        return value
    if type_ == COUNT:
        return (before or 0) + value
    if type_ == SCORE:
        total, ratings = before or (0, 0)
        return [total + thousandths(value), ratings + 1]
    return sorted(dict.fromkeys([*(before or ()), *value]))


def _read(type_: str, value: Any) -> Any:
    if type_ != SCORE:
        return value
    total, ratings = value
    return (2 * total + ratings) // (2 * ratings) / 1000


def _value_problem(type_: str, value: Any) -> str | None:
    if type_ in WRITTEN:
        return written_problem(type_, value)
    if type_ == COUNT:
        return None if _amount(value) and value > 0 else "not an integer 1..2^104"
    if type_ == SCORE:
        good = isinstance(value, list) and len(value) == 2 and all(map(_amount, value)) and value[1] > 0
        return None if good else "not a list of total and ratings"
    assert type_ == SET
    if not isinstance(value, list) or not value:
        return "not a list of elements"
    last = ""
    for element in value:
        if element_problem(element) is not None or element <= last:
            return f"not a sorted list of elements, at {short(element)}"
        last = element
    return None


def _amount(value: Any) -> bool:
    return type(value) is int and 0 <= value < SUM_LIMIT
