"""Validation of a state from a peer or a disk. The input may be anything; every state that a node itself makes is valid.

Each check examines each value once, relies only on values already checked, and never raises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .schema import COUNT, FIELDS, SCORE, SET, WRITTEN, element_problem, short, written_problem
from .vector import Vector, number_fine, replica_fine, vector_problem

SUM_LIMIT = 1 << 104
"""No replica makes more than 2^63 changes, none of which counts more than 2^40."""
_PARTS = {"n": (COUNT,), "q": (SCORE,), "s": (SET,), "t": WRITTEN}
Check = Callable[[Vector, str, Any], "str | None"]


def state_problem(kind: str, state: Any) -> str | None:
    """Return why a value is not the state of a record under `conflicts: merge`; None when it is one."""
    problem = context_problem(state)
    if problem is not None:
        return problem
    for part, fields in state.items():
        if part == "c":
            continue
        if part not in _PARTS:
            return f"the state has {short(part)}; its parts are c, n, q, s and t"
        if not isinstance(fields, dict) or not fields:
            return f"{part} is {short(fields)}, not an object of fields, left out when empty"
        for field, held in fields.items():
            type_ = FIELDS[kind].get(field)
            if type_ not in _PARTS[part]:
                return f"{part} has the field {short(field)}, which is not one of its type in kind {kind}"
            problem = _CHECKS[part](state["c"], type_, held)
            if problem is not None:
                return f"{field}: {problem}"
    return None


def context_problem(state: Any) -> str | None:
    """Check the common part of all states: an object whose `c` is a version vector that is not empty."""
    if not isinstance(state, dict):
        return f"the state is {short(state)}, not an object"
    context = state.get("c")
    return vector_problem(context) or (None if context else "the state has seen nothing: c has no replica")


def _versions_problem(context: Vector, type_: str, held: Any) -> str | None:
    problem = _dots_problem(context, held, 3)
    if problem is not None:
        return problem
    for _, _, value in held:
        problem = written_problem(type_, value)
        if problem is not None:
            return f"a version is {short(value)}, {problem}"
    return None


def _elements_problem(context: Vector, type_: str, held: Any) -> str | None:
    if not isinstance(held, dict) or not held:
        return f"{short(held)} is not an object of elements"
    for element, dots in held.items():
        problem = element_problem(element)
        if problem is not None:
            return f"the element {short(element)} is {problem}"
        problem = _dots_problem(context, dots, 2)
        if problem is not None:
            return problem
    return None


def _dots_problem(context: Vector, held: Any, length: int) -> str | None:
    """Check lists of replica, number and perhaps more. A replica occurs at most once, since its later change has replaced its earlier one."""
    if not isinstance(held, list) or not held:
        return f"{short(held)} is not a list of things with dots"
    last = ""
    for thing in held:
        if (
            not isinstance(thing, list)
            or len(thing) != length
            or not replica_fine(thing[0])
            or not number_fine(thing[1])
        ):
            return f"{short(thing)} in it is not a replica and a number{' and a value' if length == 3 else ''}"
        if thing[0] <= last:
            return f"its dots are not sorted with one of each replica, at {short(thing[0])}"
        last = thing[0]
        if context.get(last, 0) < thing[1]:
            return f"the dot {short(last)} {thing[1]} is not in the context"
    return None


def _cells_problem(context: Vector, type_: str, held: Any) -> str | None:
    if not isinstance(held, dict) or not held:
        return f"{short(held)} is not an object of cells"
    half = 1 if type_ == COUNT else 2
    for name, cell in held.items():
        replica, _, number = name.rpartition(":") if isinstance(name, str) else ("", "", "")
        if not _opened(context, replica, number):
            return f"the cell {short(name)} is not named by a replica, a colon, and a number in the context"
        if not isinstance(cell, list) or len(cell) != 2 * half or not all(map(_amount, cell)):
            return f"the cell {name} is not a list of {2 * half} integers 0..2^104"
        if cell[half - 1] == 0 or any(reset > added for added, reset in zip(cell[:half], cell[half:], strict=True)):
            return f"the cell {name} counts nothing, or more was reset than was added"
    return None


def _opened(context: Vector, replica: str, number: str) -> bool:
    """Return whether the context contains such a dot, written as in a cell's name."""
    if not number.isascii() or not number.isdigit() or len(number) > 19 or number[0] == "0":
        return False
    return context.get(replica, 0) >= int(number)


def _amount(value: Any) -> bool:
    return type(value) is int and 0 <= value < SUM_LIMIT


_CHECKS: dict[str, Check] = {"n": _cells_problem, "q": _cells_problem, "s": _elements_problem, "t": _versions_problem}
