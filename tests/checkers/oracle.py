"""The oracle: linearizability by its definition, trying every order. Nothing of it is shared with the checkers.

An operation is (f, argument, result, type, start, end). An order is legal when it respects real time and a plain
Python object of the given kind would have answered so. Unknown operations may be anywhere after their start, or nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tribulation.histories import Operation, Type

WRONG = object()


def register(state: Any, op: Operation) -> Any:
    """The state after, or WRONG."""
    if op.type is Type.FAIL:
        seen = op.result if op.result != op.argument else None
        if state == op.argument[0] or (seen is not None and state != seen):
            return WRONG
        return state
    if op.f == "write":
        return op.argument
    if op.f == "read":
        return state if op.type is Type.INFO or state == op.result else WRONG
    if op.f == "swap":
        return op.argument if op.type is Type.INFO or state == op.result else WRONG
    return op.argument[1] if state == op.argument[0] else WRONG


def mutex(state: Any, op: Operation) -> Any:
    wanted = op.f == "release"
    return (not wanted) if bool(state) == wanted else WRONG


def sequence(state: Any, op: Operation) -> Any:
    state = state or ()
    if op.f == "append":
        return (*state, op.argument)
    if op.f == "write":
        return tuple(op.argument)
    return state if op.type is Type.INFO or state == tuple(op.result or ()) else WRONG


def whole_set(state: Any, op: Operation) -> Any:
    state = state or frozenset()
    if op.f == "add":
        return state | {op.argument}
    return state if op.type is Type.INFO or state == frozenset(op.result) else WRONG


def linearizable(ops: Sequence[Operation], apply: Callable[[Any, Operation], Any], initial: Any = None) -> bool:
    """Whether some legal order of `ops` exists. Exponential; for a dozen operations at most."""
    relevant = [op for op in ops if op.type is not Type.FAIL or op.error == "mismatch"]
    required = frozenset(i for i, op in enumerate(relevant) if op.type is not Type.INFO)
    seen: set[tuple[frozenset[int], Any]] = set()

    def explore(done: frozenset[int], state: Any) -> bool:
        if required <= done:
            return True
        if (done, state) in seen:
            return False
        seen.add((done, state))
        waiting = [relevant[i].complete_index for i in required - done]
        horizon = min(end for end in waiting if end is not None)
        for i, op in enumerate(relevant):
            if i not in done and op.invoke_index < horizon:
                after = apply(state, op)
                if after is not WRONG and explore(done | {i}, after):
                    return True
        return False

    return explore(frozenset(), initial)
