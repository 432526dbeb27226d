"""The commands of sessions and of the key-value store, and their validation. A command is checked before it enters the log, and again before it is
applied.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

OPEN = "sessions.open"
TRANSACTION = "kv.tx"
COMMANDS = (OPEN, TRANSACTION)
LENGTHS = {"r": 2, "w": 3, "append": 3, "cas": 4}
"""Length of each micro-operation, including its name."""


def well_formed(command: Sequence[Any]) -> bool:
    """Return whether this is one of `COMMANDS`, in the shape that its application relies on. Total for any input."""
    if command[0] == OPEN:
        return len(command) == 1
    if command[0] != TRANSACTION or len(command) != 4:
        return False
    _, session, seq, ops = command
    return type(session) is int and type(seq) is int and isinstance(ops, (list, tuple)) and all(map(_is_op, ops))


def _is_op(op: Any) -> bool:
    good = isinstance(op, (list, tuple)) and len(op) >= 2 and isinstance(op[0], str) and isinstance(op[1], str)
    return good and LENGTHS.get(op[0]) == len(op)
