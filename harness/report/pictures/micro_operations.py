"""The operations inside a transaction in words: `read x = [1 2]`, `append 5 to x`, `write 5 to x`. Pure."""

from __future__ import annotations

from typing import Any

from tribulation.checkers.base.wording import show

_LONGEST = 90
_MOST_ITEMS, _FIRST, _LAST = 9, 3, 5


def micro_operation(op: Any) -> str:
    """One micro-operation in words, from its form `[kind, key, value]`."""
    if not isinstance(op, list | tuple) or len(op) != 3:
        return _clipped(show(op))
    kind, key, value = op
    if kind == "r":
        return _clipped(f"read {show(key)}" + ("" if value is None else f" = {_read(value)}"))
    return _clipped(f"{'write' if kind == 'w' else show(kind)} {show(value)} to {show(key)}")


def transaction(ops: Any) -> str | None:
    """All micro-operations in one line; None if the value has another form."""
    if not isinstance(ops, list | tuple) or not all(isinstance(op, list | tuple) and len(op) == 3 for op in ops):
        return None
    return "; ".join(map(micro_operation, ops))


def _read(value: Any) -> str:
    if not isinstance(value, list | tuple):
        return show(value)
    shown = [show(one) for one in value]
    if len(shown) > _MOST_ITEMS:
        shown = [*shown[:_FIRST], "…", *shown[-_LAST:]]
    return "[" + " ".join(shown) + "]"


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
