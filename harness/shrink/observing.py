"""Dependencies between operations of a history: which must stay as long as another one stays.

A history may only lose operations in ways that keep a legal history legal; otherwise an anomaly in the rest says nothing about the whole. Reads may
always go. A change may go when no kept operation saw it: each kept one then took place before it, or after another change. So the kept part
must include, with each operation, all the changes that it saw (`Links.closure`). Where every later answer reflects a change, as in counters,
every observer needs every change. Where one operation undoes another, as in queues, all operations on a value go together.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any

from tribulation.histories import Operation, Type, canonical

Item = tuple[Hashable, Hashable]

REGISTER_READS = frozenset({"read", "get", "r"})
REGISTER_WRITES = frozenset({"write", "put", "w"})
SWAPS = frozenset({"swap", "rmw"})
PUTS = frozenset({"enqueue", "offer", "push", "insert"})
TAKES = frozenset({"dequeue", "drain", "pop", "poll", "delete-min", "extract-min", "delete-max", "extract-max"})
LOCKS = frozenset({"acquire", "release"})
SUMS = frozenset({"increment", "inc", "decrement", "dec", "faa", "fetch-and-add", "get-and-add", "add-and-get"})

TRANSACTIONS = frozenset(
    {
        "list-append", "rw-register", "causal", "read-atomic", "read-committed", "session-guarantees", "sequential-keys",
        "long-fork", "write-skew", "causal-reverse",
    }
)  # fmt: skip
OBJECTS = frozenset({"linearizable", "queue", "stack", "priority-queue", "counter", "mutex", "fenced-mutex", "list"})
OTHERS = frozenset({"set", "set-full", "total-queue", "unique-ids", "counter-bounds", "bank"})
SUPPORTED = TRANSACTIONS | OBJECTS | OTHERS
"""Checkers whose anomalies remain valid when they are found in a part."""


class Links:
    """Links between operations: for each, by its position in `ops`, the others that must stay with it."""

    def __init__(self, ops: Sequence[Operation], pinned: Iterable[int] = ()) -> None:
        self._pinned = frozenset(pinned)
        self._needs: list[list[int]] = [[] for _ in ops]
        self._needs_all: list[list[Hashable]] = [[] for _ in ops]
        """Names of sets in `_sets`; all members of each are needed."""
        self._sets: dict[Hashable, list[int]] = {}
        self._link_seen(ops)
        self._link_summed(ops)
        self._link_together(ops)

    def closure(self, rows: Iterable[int]) -> frozenset[int]:
        """Return `rows` with everything that they need, and the pinned rows."""
        found: set[int] = set()
        taken: set[Hashable] = set()
        todo = [*rows, *self._pinned]
        while todo:
            row = todo.pop()
            if row in found:
                continue
            found.add(row)
            todo += self._needs[row]
            for name in self._needs_all[row]:
                if name not in taken:
                    taken.add(name)
                    todo += self._sets.get(name, ())
        return frozenset(found)

    def _link_seen(self, ops: Sequence[Operation]) -> None:
        writers: dict[Item, list[int]] = {}
        for row, op in enumerate(ops):
            for item in puts(op):
                writers.setdefault(item, []).append(row)
        for row, op in enumerate(ops):
            for item in sees(op):
                self._needs[row] += writers.get(item, ())

    def _link_summed(self, ops: Sequence[Operation]) -> None:
        """Link operations that need all changes of an object; for containers also all takes of unknown outcome, which may have taken any value."""
        summed = by_effect(ops)
        for row, op in enumerate(ops):
            where = _object(op)
            if not _pure(op):
                self._sets.setdefault(("changes", where), []).append(row)
            if op.f in TAKES and op.type is Type.INFO:
                self._sets.setdefault(("unknown", where), []).append(row)
            if _sees_all(op) or where in summed:
                self._needs_all[row].append(("changes", where))
            if op.f in PUTS | TAKES:
                self._needs_all[row].append(("unknown", where))

    def _link_together(self, ops: Sequence[Operation]) -> None:
        """Link operations of containers by value, of locks by turn: each needs the next, and the last the first."""
        turns: dict[Hashable, int] = {}
        groups: dict[Hashable, list[int]] = {}
        for row, op in enumerate(ops):
            for name in _bonds(op, turns):
                groups.setdefault(name, []).append(row)
        for rows in groups.values():
            for one, other in zip(rows, [*rows[1:], rows[0]], strict=True):
                self._needs[one].append(other)


def puts(op: Operation) -> Iterator[Item]:
    """The values that the operation adds, if it takes effect, each with its object."""
    if op.f == "txn":
        yield from (((op.workload, _key(k)), canonical(v)) for f, k, v in _micro(op.argument) if f in ("w", "append"))
        return
    where = _object(op)
    if op.f in REGISTER_WRITES | SWAPS | {"append", "add"}:
        yield where, canonical(op.argument)
    elif op.f == "delete":
        yield where, None
    elif op.f == "cas" and _is_pair(op.argument):
        yield where, canonical(op.argument[1])


def sees(op: Operation) -> Iterator[Item]:
    """The values in the operation's answer, each with its object."""
    if op.f == "cas" and _is_pair(op.argument) and op.type is not Type.FAIL:
        # With an unknown outcome it may have taken effect, and then it saw what it expected.
        yield _object(op), canonical(op.argument[0])
    if op.type is not Type.OK:
        return
    if op.f == "txn":
        for f, k, v in _micro(op.result):
            if f == "r":
                yield from (
                    ((op.workload, _key(k)), canonical(one)) for one in (v if isinstance(v, list | tuple) else [v])
                )
    elif op.f in REGISTER_READS | SWAPS:
        values = op.result if isinstance(op.result, list | tuple | set | frozenset) else [op.result]
        yield from ((_object(op), canonical(value)) for value in values)


def by_effect(ops: Sequence[Operation]) -> frozenset[Hashable]:
    """Objects whose answers are sums or texts, or from which things are removed: no answer shows which changes it saw.

    The same holds for locks that one process takes and another one releases: nothing shows whose turn that ended.
    """
    names: dict[Hashable, set[str]] = {}
    plain: set[Hashable] = set()
    for op in ops:
        names.setdefault(_object(op), set()).add(op.f)
        if op.f in REGISTER_READS and op.type is Type.OK and not isinstance(op.result, list | tuple | set | frozenset):
            plain.add(_object(op))
    return _shared_locks(ops) | frozenset(
        where
        for where, found in names.items()
        if found & (SUMS | {"remove"})
        or ("add" in found and (where in plain or not found & REGISTER_READS))
        or ("append" in found and (where in plain or found & REGISTER_WRITES))
    )


def _shared_locks(ops: Sequence[Operation]) -> frozenset[Hashable]:
    held: dict[Hashable, bool] = {}
    shared: set[Hashable] = set()
    for op in ops:
        if op.f in LOCKS and op.type is not Type.FAIL:
            mine = (_object(op), op.process)
            if op.f == "release" and not held.get(mine):
                shared.add(_object(op))
            held[mine] = op.f == "acquire"
    return frozenset(shared)


def _bonds(op: Operation, turns: dict[Hashable, int]) -> Iterator[Hashable]:
    where = _object(op)
    if op.f in PUTS:
        yield where, "value", canonical(op.argument)
    elif op.f in TAKES and op.type is Type.OK:
        values = op.result if isinstance(op.result, list | tuple) else [op.result]
        yield from ((where, "value", canonical(value)) for value in values if value is not None)
    elif op.f in LOCKS and op.type is not Type.FAIL:
        turn = turns.get((where, op.process), 0) + (op.f == "acquire")
        turns[where, op.process] = turn
        yield where, op.process, turn


def _pure(op: Operation) -> bool:
    if op.f == "txn":
        return all(f == "r" for f, _, _ in _micro(op.argument))
    return op.f in REGISTER_READS or op.f == "contains"


def _sees_all(op: Operation) -> bool:
    """Return whether the answer depends on everything that was done: balances, and refusals that say what a value was not."""
    if op.f == "cas" and op.type is Type.FAIL:
        return True
    return op.f in REGISTER_READS and op.type is Type.OK and isinstance(op.result, dict)


def _object(op: Operation) -> Hashable:
    return op.workload, _key(op.key)


def _key(key: Any) -> Hashable:
    found: Hashable = canonical(key)
    return found


def _micro(parts: Any) -> Iterator[tuple[Any, Any, Any]]:
    if isinstance(parts, list | tuple):
        yield from ((part[0], part[1], part[2]) for part in parts if isinstance(part, list | tuple) and len(part) == 3)


def _is_pair(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2
