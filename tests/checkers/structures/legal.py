"""Sequential objects for the oracle, in the plainest Python: `apply(state, operation)` is the state after, or WRONG."""

from __future__ import annotations

from typing import Any

from histories import Operation, Type

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
