"""Linearizability of small histories of one key, by keeping every configuration that explains what was seen so far.

A configuration is (state, operations that took effect but have not returned). Independent of the product's checkers on purpose.
"""

from __future__ import annotations

from typing import Any

State = Any


def explain(events: list[tuple[str, int, tuple[Any, ...], Any]], limit: int = 200_000) -> str | None:
    """`events`: ("invoke" | "ok" | "fail", operation id, operation, result) in real-time order; unknown operations only invoke.

    Operations: ("r",) ("w", v) ("append", v) ("cas", a, b). Returns the first completion that nothing explains, or None.
    """
    operations: dict[int, tuple[Any, ...]] = {}
    results: dict[int, Any] = {event[1]: (event[0], event[3]) for event in events if event[0] != "invoke"}
    configurations: set[tuple[State, frozenset[int]]] = {(None, frozenset())}
    pending: set[int] = set()
    for kind, number, operation, result in events:
        if kind == "invoke":
            outcome = results.get(number)
            if (outcome is None and operation[0] == "r") or (outcome is not None and outcome == ("fail", None)):
                continue
            operations[number] = operation
            pending.add(number)
            continue
        if number not in operations:
            continue
        configurations = _return(configurations, operations, results, pending, number)
        pending.discard(number)
        if not configurations:
            return f"operation {number} {operation} returned {kind} {result!r}, which nothing explains"
        assert len(configurations) < limit, "too many configurations: make the test smaller"
    return None


def _return(
    configurations: set[tuple[State, frozenset[int]]],
    operations: dict[int, tuple[Any, ...]],
    results: dict[int, Any],
    pending: set[int],
    returning: int,
) -> set[tuple[State, frozenset[int]]]:
    seen, todo, kept = set(configurations), list(configurations), set()
    while todo:
        state, done = todo.pop()
        if returning in done:
            kept.add((state, done - {returning}))
            continue
        for number in pending - done:
            after = _apply(state, operations[number], results.get(number))
            if after is not None:
                following = (after[0], done | {number})
                if following not in seen:
                    seen.add(following)
                    todo.append(following)
    return kept


def _apply(state: State, operation: tuple[Any, ...], outcome: Any) -> tuple[State] | None:
    """The state after it, or None when it cannot have had this outcome here. Lists are tuples."""
    kind = operation[0]
    if kind == "r":
        return (state,) if outcome == ("ok", state) else None
    if kind == "w":
        return (operation[1],)
    if kind == "append":
        after = (*(state or ()), operation[1])
        return (after,) if outcome is None or outcome == ("ok", after) else None
    matches = state == operation[1]
    if outcome is not None and outcome[0] == "fail":
        return (state,) if not matches and outcome[1] == [state] else None
    if outcome is None and not matches:
        return (state,)
    return (operation[2],) if matches else None
