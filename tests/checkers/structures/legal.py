"""Sequential objects for the oracle, in the plainest Python: `apply(state, operation)` is the state after, or WRONG."""

from __future__ import annotations

from typing import Any

from tribulation.histories import Operation, Type

from ..oracle import WRONG


def _took(state: tuple[Any, ...], op: Operation, at: int) -> Any:
    """The state without the item at `at`, if that is what `op` answered."""
    if not state:
        return state if op.type is Type.INFO or op.result is None else WRONG
    if op.type is not Type.INFO and op.result != state[at]:
        return WRONG
    return state[:at] + state[at + 1 :]


def queue(state: Any, op: Operation) -> Any:
    return (*state, op.argument) if op.f == "enqueue" else _took(state, op, 0)


def stack(state: Any, op: Operation) -> Any:
    return (*state, op.argument) if op.f == "push" else _took(state, op, max(len(state) - 1, 0))


def priority_queue(state: Any, op: Operation) -> Any:
    return tuple(sorted((*state, op.argument))) if op.f == "insert" else _took(state, op, max(len(state) - 1, 0))


def counter(state: Any, op: Operation) -> Any:
    known = op.type is not Type.INFO
    if op.f == "read":
        return WRONG if known and op.result is not None and state != op.result else state
    if op.f == "faa":
        return WRONG if known and op.result != state else state + op.argument
    return state + op.argument


def elements(state: Any, op: Operation) -> Any:
    """`add`, `remove`, `contains` answer true or false, or echo the element; `read` answers the whole."""
    known = op.type is not Type.INFO
    if op.f == "read":
        return WRONG if known and frozenset(op.result or ()) != state else state
    inside = op.argument in state
    if op.f == "contains":
        return WRONG if known and op.result is not inside else state
    changes = inside if op.f == "remove" else not inside
    if known and type(op.result) is bool and op.result != changes:
        return WRONG
    return state - {op.argument} if op.f == "remove" else state | {op.argument}


def mutex(state: Any, op: Operation) -> Any:
    wanted = op.f == "release"
    return (not wanted) if state == wanted else WRONG


def fencing(state: Any, op: Operation) -> Any:
    last, held = state
    if op.f == "acquire":
        if op.type is Type.INFO:
            return WRONG  # its token was never returned, so nothing can depend on it; it may as well be left out
        return WRONG if held or op.result <= last else (op.result, True)
    return (last, False) if held and op.argument == last else WRONG


def unnamed(state: Any, op: Operation) -> Any:
    """Fencing where a release names no token: it is of the token that its process was given last, and so must be by the holder."""
    last, holder = state
    if op.f == "acquire":
        if op.type is Type.INFO:
            return WRONG
        return WRONG if holder is not None or op.result <= last else (op.result, op.process)
    return (last, None) if holder is not None and holder == op.process else WRONG


def appended(state: Any, op: Operation) -> Any:
    if op.f == "append":
        return (*state, op.argument)
    if op.f == "put":
        return tuple(op.argument)
    return WRONG if op.type is not Type.INFO and tuple(op.result or ()) != state else state
