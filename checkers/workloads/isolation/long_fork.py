"""Checker `long-fork`: two readers saw two independent writes in opposite orders.

Transactions either write (keys that are written once in the whole history) or read several keys. A key is then at its first version or at its second,
and any two reads must be comparable: if one has the new x and the old y, no other may have the old x and the new y. Parallel snapshot isolation
allows that; snapshot isolation and everything stronger does not.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tribulation.histories import Operation, Type, canonical
from tribulation.histories.model.columns import ABSENT, FAIL, OK, READ, WRITE, Columns

from ...base.budget import Meter, OutOfBudget
from ...base.conclusion import all_of, conclude, sentence
from ...base.findings import Findings
from ...base.result import Budget, CheckResult, RunRecord
from ...base.selection import Bool, names
from ...base.wording import describe, indices, ms_between, show
from ...transactions.table.apart import inside_objects
from ...transactions.table.table import TRANSACTIONS, are_transactions

PAIRWISE_KEYS = 16
"""Reads of up to this many keys are compared key pair by key pair, so that reads of different keys meet; larger ones only with reads of the same keys."""

Vector = Mapping[Hashable, Hashable]


class LongForkChecker:
    name = "long-fork"
    operations = TRANSACTIONS

    def applies(self, record: RunRecord) -> bool:
        return "txn" in names(record) and _written_once_and_read_together(record.history.columns)

    def judged(self, record: RunRecord) -> Bool:
        return are_transactions(record.history.columns)

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        meter = Meter.of(budget)
        findings = Findings()
        doubts: list[str] = []
        stats = {"writes": 0, "reads": 0, "keys_written_once": 0, "forks": 0}
        for workload in {op.workload: None for op in record.history.operations()}:
            found = _workload([op for op in record.history.operations() if op.workload == workload and op.f == "txn"])
            stats["writes"] += len(found.writer)
            stats["reads"] += len(found.reads)
            stats["keys_written_once"] += len(found.writer)
            try:
                _unwritten(found, findings)
                stats["forks"] += _forks(found, findings, meter)
            except OutOfBudget as error:
                doubts.append(str(error))
        if not stats["reads"] or not stats["keys_written_once"]:
            doubts.append(
                f"{stats['keys_written_once']} keys were written once and {stats['reads']} reads of several of them ended ok: nothing to compare"
            )
        return conclude(self.name, findings, stats, all_of(doubts))


def _written_once_and_read_together(columns: Columns) -> bool:
    """Return whether every key was written at most once, and some transaction only read, several keys."""
    columns = inside_objects(columns)
    txns = columns.txns
    if txns is None:
        return False
    asked = columns.argument_txn[(columns.argument_txn != ABSENT) & (columns.type != FAIL)].astype(np.int64)
    size = np.diff(txns.offsets)
    mine = np.repeat(np.isin(np.arange(len(size)), asked), size)
    written = txns.key[mine & (txns.kind != READ)]
    if not len(written) or len(np.unique(written)) != len(written) or np.any(txns.kind[mine] > WRITE):
        return False
    answered = columns.result_txn[(columns.result_txn != ABSENT) & (columns.type == OK)].astype(np.int64)
    writes = np.add.reduceat(np.concatenate([txns.kind != READ, [0]]), txns.offsets[:-1])
    return bool(np.any((size[answered] > 1) & (writes[answered] == 0)))


@dataclass(slots=True)
class Found:
    """One workload. `writer`: key → the one transaction that may have written it. `reads`: what each read saw of such keys."""

    writer: dict[Hashable, tuple[Operation, Hashable]] = field(default_factory=dict)
    refused: dict[tuple[Hashable, Hashable], Operation] = field(default_factory=dict)
    reads: list[tuple[Operation, Vector]] = field(default_factory=list)


def _workload(ops: Sequence[Operation]) -> Found:
    found = Found()
    twice: set[Hashable] = set()
    for op in ops:
        for kind, key, value in _micro(op, op.argument):
            if kind == "r":
                continue
            if op.type is Type.FAIL:
                found.refused.setdefault((key, value), op)
            elif key in found.writer:
                twice.add(key)
            else:
                found.writer[key] = (op, value)
    for key in twice:
        del found.writer[key]
    for op in ops:
        micro = list(_micro(op, op.result)) if op.type is Type.OK else []
        if len(micro) > 1 and all(kind == "r" for kind, _, _ in micro):
            vector = {key: value for _, key, value in micro if key not in twice}
            if len(vector) > 1:
                found.reads.append((op, vector))
    return found


def _micro(op: Operation, value: Any) -> Iterator[tuple[str, Hashable, Hashable]]:
    """Yield (kind, key, value) of each micro-operation. The value of a cas is what it would have written. Keys are inside the operation's own `key`, if
    it has one.
    """
    for kind, inner, *operands in value or ():
        key = canonical(inner if op.key is None else [op.key, inner])
        yield ("r" if kind in ("r", "read") else kind), key, canonical(operands[-1] if operands else None)


def _unwritten(found: Found, findings: Findings) -> None:
    for read, vector in found.reads:
        for key, value in vector.items():
            if value is None or (key in found.writer and found.writer[key][1] == value):
                continue
            refused = found.refused.get((key, value))
            where = f"{show(value)} at key {show(key)}"
            if refused is not None:
                text = f"{where} was read although its write was refused: {describe(refused)}; {describe(read)}"
                findings.add("aborted-read", sentence(text), ops=indices([refused, read]), details={"keys": [key]})
            else:
                text = f"{where} was read, which no client ever tried to write: {describe(read)}"
                findings.add("thin-air", sentence(text), ops=indices([read]), details={"keys": [key]})


def _forks(found: Found, findings: Findings, meter: Meter) -> int:
    """Report reads that saw two writes in opposite orders; return how many."""
    forks = 0
    order: dict[tuple[Hashable, Hashable], Operation] = {}
    large: dict[frozenset[Hashable], list[tuple[Operation, frozenset[Hashable]]]] = {}
    for read, vector in found.reads:
        new = [key for key, value in vector.items() if value is not None]
        if len(vector) > PAIRWISE_KEYS:
            large.setdefault(frozenset(vector), []).append((read, frozenset(new)))
            continue
        old = [key for key, value in vector.items() if value is None]
        meter.charge(80 * len(new) * len(old), read.invoke_index)
        for one in new:
            for other in old:
                order.setdefault((one, other), read)
        clash = next(((a, b) for a in new for b in old if (b, a) in order), None)
        if clash is not None:
            forks += 1
            _fork(found, clash[0], clash[1], read, order[clash[1], clash[0]], findings)
    for group in large.values():
        forks += _chain(found, group, findings)
    return forks


def _chain(found: Found, group: list[tuple[Operation, frozenset[Hashable]]], findings: Findings) -> int:
    """Judge that reads of the same keys, sorted by how many are new, grow by inclusion; return how many do not."""
    forks = 0
    group.sort(key=lambda item: len(item[1]))
    before, known = group[0]
    for read, new in group[1:]:
        if known <= new:
            before, known = read, new
            continue
        forks += 1
        one, other = min(new - known, key=repr), min(known - new, key=repr)
        _fork(found, one, other, read, before, findings)
    return forks


def _fork(found: Found, one: Hashable, other: Hashable, read: Operation, before: Operation, findings: Findings) -> None:
    """Report that `read` saw the write of `one` and not that of `other`, and `before` the reverse."""
    if not findings.wants("long-fork"):
        findings.count("long-fork")
        return
    writers = [found.writer[key][0] for key in (one, other) if key in found.writer]
    apart = ms_between(before, read)
    text = (
        f"two reads saw two writes in opposite orders: {describe(before)} has the write of {show(other)} and not that of {show(one)}, "
        f"{describe(read)} has that of {show(one)} and not that of {show(other)}"
    )
    if apart is not None and apart >= 0:
        text += f", {apart:g} ms later"
    findings.add(
        "long-fork",
        sentence(text),
        ops=indices([*writers, before, read]),
        details={"keys": [one, other], "apart_ms": apart},
    )
