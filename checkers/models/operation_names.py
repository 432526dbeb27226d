"""Names of operations on structures: Jepsen's, and those that libraries use."""

from __future__ import annotations

ENQUEUES = ("enqueue", "offer")
DEQUEUES = ("dequeue", "drain")
PUSHES = ("push",)
POPS = ("pop",)
INSERTS = ("insert", "enqueue", "push", "offer")
POLLS = ("poll", "delete-min", "extract-min", "delete-max", "extract-max", "dequeue", "pop")
LEAST_FIRST = frozenset({"delete-min", "extract-min"})
TAKES = frozenset({*DEQUEUES, *POPS, *POLLS})

DELTAS: dict[str, tuple[int, str | None]] = {
    "add": (1, None),
    "increment": (1, None),
    "inc": (1, None),
    "decrement": (-1, None),
    "dec": (-1, None),
    "faa": (1, "old"),
    "fetch-and-add": (1, "old"),
    "get-and-add": (1, "old"),
    "add-and-get": (1, "new"),
}
"""Operation → (sign of its argument, which sum it returns)."""

FETCHES = tuple(name for name, (_, answers) in DELTAS.items() if answers)
"""Operations that return a sum."""

QUEUE = frozenset({*ENQUEUES, *DEQUEUES})
STACK = frozenset({*PUSHES, *POPS})
PRIORITY_QUEUE = frozenset({*INSERTS, *POLLS})
COUNTER = frozenset({*DELTAS, "read"})
SET = frozenset({"add", "remove", "contains", "read"})
ACQUIRES = ("acquire", "elect")
RELEASES = ("release", "resign")
LOCK = frozenset({*ACQUIRES, *RELEASES})
LIST = frozenset({"append", "put", "write", "get", "read"})
