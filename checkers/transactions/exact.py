"""Serializability of registers by search, where the order of versions is unknown: requested by `--exact`.

The problem is NP-complete (Papadimitriou 1979), so this is for histories of few concurrent transactions; a budget ends it as unknown. Strict
serializability is linearizability of one object. The other two levels are the same question with other intervals: all transactions overlap, and under
strong session serializability each waits for the one before it in its process.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tribulation.histories import History, Operation, Type

from ..base.budget import Meter
from ..linearizability.general import judge_calls
from ..linearizability.search.key_verdict import KeyVerdict
from ..linearizability.search.problem import Call
from ..models.model import ILLEGAL, Illegal, Step
from ..models.transactions import TransactionModel
from .table.table import WRITE, Table

SEARCHED = ("serializable", "strong-session-serializable", "strict-serializable")


def order_is_whole(table: Table) -> bool:
    """Return whether every write follows a read of its key in its own transaction: then versions form one sequence, and all are known."""
    read: set[int] = set()
    before = -1
    for txn, kind, key in zip(table.txn.tolist(), table.kind.tolist(), table.key.tolist(), strict=True):
        if txn != before:
            read, before = set(), txn
        if kind == WRITE and key not in read:
            return False
        read.add(key)
    return True


def search_order(history: History, level: str, meter: Meter) -> KeyVerdict:
    """Return whether the transactions have an order that `level`, one of `SEARCHED`, allows."""
    ops = [op for op in history.operations() if op.f == "txn"]
    model = _InSessions() if level == "strong-session-serializable" else TransactionModel()
    calls = list(_calls(ops, model, level == "strict-serializable"))
    return judge_calls(calls, len(ops), model, None, meter)


def _calls(ops: list[Operation], model: TransactionModel, realtime: bool) -> Iterable[Call]:
    for place, op in enumerate(ops):
        step = model.step(op)
        if step is None or (op.type is Type.INFO and step.pure):
            continue
        start, end = (op.invoke_index, op.complete_index) if realtime else (place, len(ops) + place)
        yield Call(op, step, start, None if op.type is Type.INFO else end)


@dataclass
class _InSessions(TransactionModel):
    """Transactions in the order of their sessions: the state also counts those of each process. One of unknown outcome is the last of its process."""

    _sessions: dict[Hashable, int] = field(default_factory=dict)
    _done: dict[Hashable, int] = field(default_factory=dict)

    def init(self) -> Hashable:
        return ((), super().init())

    def step(self, op: Operation) -> Step | None:
        found = super().step(op)
        if found is None:
            return None
        session = self._sessions.setdefault(op.process, len(self._sessions))
        number = self._done.get(op.process, 0)
        self._done[op.process] = number + 1
        return Step("txn", found.value, (session, number), False, True)

    def apply(self, state: Any, step: Step) -> Hashable | Illegal:
        counts, values = state
        turn: Any = step.extra
        session, number = turn
        counts = counts + (0,) * (session + 1 - len(counts))
        if counts[session] != number:
            return ILLEGAL
        after = super().apply(values, step)
        return (
            ILLEGAL if isinstance(after, Illegal) else ((*counts[:session], number + 1, *counts[session + 1 :]), after)
        )

    def removable(self, step: Step, others: Any) -> bool:
        return False
