"""Wording of operations in sentences for people, and figures that go with them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from tribulation.histories import Operation, Type
from tribulation.histories.printable import in_a_line

MOST_SHOWN = 6


def describe(op: Operation) -> str:
    """Describe an operation: `read of 5 by process 3 at n2 (index 17 to 20, 1.034 s to 1.041 s)`."""
    what = _what(op)
    place = f" at {op.node}" if op.node else ""
    end = "to ?" if op.complete_index is None else f"to {op.complete_index}"
    until = "?" if op.complete_ns is None or op.type is Type.INFO else seconds(op.complete_ns)
    outcome = {
        Type.OK: "",
        Type.INFO: ", outcome unknown",
        Type.FAIL: f", failed: {op.error}" if op.error else ", failed",
    }[op.type]
    return f"{what} by process {op.process}{place} (index {op.invoke_index} {end}, {seconds(op.invoke_ns)} to {until}{outcome})"


def _what(op: Operation) -> str:
    if op.f in ("read", "get"):
        return f"{op.f} of {show(op.result)}" if op.type is Type.OK else op.f
    if op.f == "cas" and isinstance(op.argument, (list, tuple)) and len(op.argument) == 2:
        return f"cas from {show(op.argument[0])} to {show(op.argument[1])}"
    return op.f if op.argument is None else f"{op.f} of {show(op.argument)}"


def show(value: object) -> str:
    """Format a value as people write JSON, shortened where it is long."""
    text = "null" if value is None else str(list(value) if isinstance(value, tuple) else value)
    return in_a_line(text if len(text) <= 80 else text[:77] + "…")


def seconds(time_ns: int) -> str:
    return f"{time_ns / 1e9:.3f} s"


def ms_between(earlier: Operation | None, later: Operation | None) -> float | None:
    """Time from the completion of one to the invocation of the other, in ms; None where a time is missing."""
    if earlier is None or later is None or earlier.complete_ns is None:
        return None
    return round((later.invoke_ns - earlier.complete_ns) / 1e6, 3)


def indices(ops: Iterable[Operation]) -> tuple[int, ...]:
    """The history indices of `ops`, by invocation, each once."""
    return tuple(sorted({op.invoke_index for op in ops}))


def listing(ops: Sequence[Operation]) -> str:
    """List the first few in order of invocation."""
    ordered = sorted(ops, key=lambda op: op.invoke_index)
    shown = "; ".join(describe(op) for op in ordered[:MOST_SHOWN])
    return shown if len(ordered) <= MOST_SHOWN else f"{shown}; and {len(ordered) - MOST_SHOWN} more"


def on_key(key: Hashable) -> str:
    return "" if key is None else f"On key {show(key)}, "
