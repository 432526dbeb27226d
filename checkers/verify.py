"""Verification of checkers' claims, independent of how they were found: a legal order of one object's operations, or that there is none.

verify_order(operations, order, "queue")       None, or what is wrong with the order (history indices of invocations)
verify_witness(operations, "register")         None, or a legal order of these few operations: then they prove nothing by themselves"""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any

from tribulation.histories import MISMATCH, Operation, Type, canonical, same

ANY, SILENT, IMPOSSIBLE = object(), object(), object()
START: dict[str, Any] = {"register": [None], "text": [""], "counter": [0], "mutex": [False], "set": set()}


def answer(model: str, state: Any, f: str, value: Any) -> Any:
    """Apply the operation to `state` and return its answer: `SILENT` where nothing is promised, `IMPOSSIBLE` where it cannot happen."""
    match f:
        case "read" | "get":
            return state if model in ("list", "set") else state[0]
        case "write" | "put":
            state[:] = value if model == "list" else [value]
        case "cas" | "acquire" | "release" | "elect" | "resign":
            expected, new = value if f == "cas" else ((free := f in ("release", "resign")), not free)
            before, state[0] = state[0], new
            return SILENT if before == expected else IMPOSSIBLE
        case "increment" | "decrement" | "add" | "append" if model in ("counter", "text"):
            state[0] += (1 if value is None else value) * (-1 if f == "decrement" else 1)
        case "add" | "remove" | "contains":
            return value in state if f == "contains" else (state.add if f == "add" else state.discard)(value) or SILENT
        case "enqueue" | "offer" | "push" | "insert" | "append":
            state.append(value)
        case _:
            if model == "priority-queue":
                state.sort(reverse="min" not in f)
            return state.pop(-1 if model == "stack" else 0) if state else None
    return SILENT


def applies(model: str, state: Any, op: Operation) -> bool:
    """Apply `op` to `state`. Returns whether it can have happened there with its outcome."""
    if op.type is Type.FAIL:
        return op.f == "cas" and op.error == MISMATCH and not same(state[0], op.argument[0])
    got = answer(model, state, op.f, canonical(op.argument))
    if got is SILENT or got is IMPOSSIBLE or op.type is Type.INFO:
        return got is not IMPOSSIBLE
    whole = frozenset(map(canonical, op.result or ())) if model == "set" and op.f == "read" else op.result
    return same(got, whole) or (model in ("list", "text") and not got and not whole)


def verify_order(operations: Iterable[Operation], order: Sequence[int], model: str) -> str | None:
    """Return None if `order` (invocation indices) is a legal order of the operations, else why it is not."""
    by_index, state, latest = {op.invoke_index: op for op in operations}, deepcopy(START.get(model, [])), -1
    missing = {index for index, op in by_index.items() if op.type is Type.OK} - set(order)
    if missing or len(set(order)) < len(order):
        return f"operation {min(missing)} is missing" if missing else "an operation occurs in it twice"
    for index in order:
        op, latest = by_index[index], max(latest, index)
        if op.complete_index is not None and op.complete_index < latest:
            return f"operation {index} returned before {latest} began, but is placed after it"
        if not applies(model, state, op):
            return f"operation {index} ({op.f}) cannot have happened there"
    return None


def verify_witness(operations: Iterable[Operation], model: str, initial: Any = ANY) -> list[int] | None:
    """Return a legal order of the operations (invocation indices) from `initial`, by default a new object; None: they prove a violation."""
    ops = [op for op in operations if op.type is not Type.FAIL or op.error == MISMATCH]
    todo: list[Any] = [(START.get(model, []) if initial is ANY else initial, ())]
    while todo:
        state, order = todo.pop()
        left = [op for op in ops if op.invoke_index not in order]
        if all(op.type is Type.INFO for op in left):
            return list(order)
        ends = min(op.complete_index for op in left if op.complete_index is not None)
        for op in left:
            after = deepcopy(state)
            if op.invoke_index < ends and applies(model, after, op):
                todo.append((after, (*order, op.invoke_index)))
    return None
