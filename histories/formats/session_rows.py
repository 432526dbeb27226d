"""Transactions of sessions without a clock, as collected by the readers of AWDIT's and IsoVista's text.

Positions order a session's transactions. Between sessions they have no meaning; `invoke_ns == NO_CLOCK` throughout marks that. A value that is read
but was never written is left for a checker to find; 0, unless written, is the initial state.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from ..model.columns import ABSENT, OK, READ, WRITE, Columns, Txns

SHOWN = 200
"""Characters of a line in an error."""

NO_CLOCK = -1
"""`invoke_ns` and `complete_ns` of every operation of a history without a clock."""


@dataclass(slots=True)
class SessionRows:
    """Committed transactions as they are read, and the columns that they make."""

    session: list[int] = field(default_factory=list)
    begins: list[int] = field(default_factory=list)
    kind: list[int] = field(default_factory=list)
    key: list[int] = field(default_factory=list)
    value: list[int] = field(default_factory=list)

    def begin(self, session: int) -> None:
        self.session.append(session)
        self.begins.append(len(self.kind))

    def add(self, word: str, key: int, value: int) -> None:
        self.kind.append(READ if word == "r" else WRITE)
        self.key.append(key)
        self.value.append(value)

    def columns(self) -> Columns:
        written = {
            (key, value) for kind, key, value in zip(self.kind, self.key, self.value, strict=True) if kind == WRITE
        }
        read = [
            None if kind == READ and value == 0 and (key, value) not in written else value
            for kind, key, value in zip(self.kind, self.key, self.value, strict=True)
        ]
        values, value_ids = _interned([None, *read])
        keys, key_ids = _interned(self.key)
        sessions, session_ids = _interned(self.session)
        count = len(self.session)
        absent = np.full(count, ABSENT, np.int32)
        zeros = np.zeros(count, np.uint8)
        row = np.arange(count, dtype=np.int32)
        timeless = np.full(count, NO_CLOCK, np.int64)
        txns = Txns(
            offsets=np.array([*self.begins, len(self.kind)], np.int64),
            kind=np.array(self.kind, np.uint8),
            key=np.array(key_ids, np.int32),
            value=np.array(value_ids[1:], np.int32),
            list=np.full(len(self.kind), ABSENT, np.int32),
        )
        return Columns(
            process=np.array(session_ids, np.int32),
            type=np.full(count, OK, np.uint8),
            f=zeros,
            key=absent,
            invoke=2 * np.arange(count, dtype=np.int64),
            complete=2 * np.arange(count, dtype=np.int64) + 1,
            invoke_ns=timeless,
            complete_ns=timeless,
            argument=absent,
            result=absent,
            argument_list=absent,
            result_list=absent,
            argument_txn=row,
            result_txn=row,
            mismatch=np.zeros(count, bool),
            level=zeros,
            workload=zeros,
            f_names=("txn",),
            processes=sessions,
            keys=keys,
            values=values,
            txns=txns,
        )


def _interned(items: Iterable[int | None]) -> tuple[list[int | None], list[int]]:
    ids: dict[int | None, int] = {}
    found = [ids.setdefault(item, len(ids)) for item in items]
    return list(ids), found
