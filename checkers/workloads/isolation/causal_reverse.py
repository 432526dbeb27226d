"""Checker `causal-reverse`: a read that shows a write must show every write that had been acknowledged before that one began.

Operations are `write` (a unique value) and `read`, whose result is the list of all values. Strict serializability forbids this anomaly, plain
serializability allows it: there the later write may be ordered first. Reads are examined one at a time: their order plays no part.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from tribulation.histories import Operation, Type, canonical
from tribulation.histories.model.columns import ABSENT, OK

from ...base.budget import Meter, OutOfBudget
from ...base.conclusion import all_of, conclude, sentence
from ...base.findings import Findings
from ...base.result import Budget, CheckResult, RunRecord
from ...base.selection import by_object, judges, names, of
from ...base.wording import describe, indices, ms_between, on_key, show


class CausalReverseChecker:
    name = "causal-reverse"
    operations = judges("write", "read")

    def applies(self, record: RunRecord) -> bool:
        if names(record) != {"write", "read"}:
            return False
        columns = record.history.columns
        lists = columns.result_list[of(columns, "read") & (columns.type == OK)] != ABSENT
        return bool(lists.any()) and not (columns.argument_list[of(columns, "write")] != ABSENT).any()

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        findings = Findings()
        meter = Meter.of(budget)
        stats = {"writes": 0, "acknowledged": 0, "reads": 0, "unreadable": 0}
        doubts: list[str] = []
        try:
            for (_, key), ops in by_object(record).items():
                _judge(key, ops, findings, meter, stats)
        except OutOfBudget as error:
            doubts.append(str(error))
        if not stats["acknowledged"] or not stats["reads"]:
            doubts.append(
                f"{stats['acknowledged']} writes were acknowledged and {stats['reads']} reads ended ok: nothing to compare"
            )
        if stats["unreadable"]:
            doubts.append(f"{stats['unreadable']} reads returned no list")
        return conclude(self.name, findings, stats, all_of(doubts))


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple, set, frozenset))


def _judge(key: Hashable, ops: Sequence[Operation], findings: Findings, meter: Meter, stats: dict[str, int]) -> None:
    writes: dict[Hashable, Operation] = {}
    refused: dict[Hashable, Operation] = {}
    for op in ops:
        if op.f == "write":
            (refused if op.type is Type.FAIL else writes).setdefault(canonical(op.argument), op)
    finished = sorted(
        ((op.complete_index, value) for value, op in writes.items() if op.complete_index is not None),
        key=lambda item: item[0],
    )
    stats["writes"] += len(writes) + len(refused)
    stats["acknowledged"] += len(finished)
    for read in ops:
        if read.f != "read" or read.type is not Type.OK:
            continue
        if read.result is not None and not _is_list(read.result):
            stats["unreadable"] += 1
            continue
        stats["reads"] += 1
        seen = {canonical(value) for value in read.result or ()}
        meter.charge(0, read.invoke_index)
        for value in seen - writes.keys():
            _unwritten(key, read, value, refused.get(value), findings)
        # The first acknowledged write that the read lacks: one look-up for each that it has.
        missing = next((value for _, value in finished if value not in seen), None)
        shown = [writes[value] for value in seen if value in writes]
        if missing is None or not shown:
            continue
        last = max(shown, key=lambda op: op.invoke_index)
        if last.invoke_index > (writes[missing].complete_index or 0):
            _reversed(key, read, writes[missing], last, findings)


def _reversed(key: Hashable, read: Operation, before: Operation, after: Operation, findings: Findings) -> None:
    gap_ms = ms_between(before, after)
    text = (
        f"{describe(read)} shows {show(after.argument)} and not {show(before.argument)}, although {describe(before)} "
        f"had returned {gap_ms:g} ms before {describe(after)} began"
    )
    details = {"key": key, "gap_ms": gap_ms, "missing": before.argument, "shown": after.argument}
    findings.add("causal-reverse", sentence(on_key(key) + text), ops=indices([before, after, read]), details=details)


def _unwritten(key: Hashable, read: Operation, value: Hashable, refused: Operation | None, findings: Findings) -> None:
    if refused is None:
        text = f"{show(value)} was read, which no client ever tried to write: {describe(read)}"
        findings.add("thin-air", sentence(on_key(key) + text), ops=indices([read]), details={"key": key})
        return
    text = f"{show(value)} was read although its write was refused: {describe(refused)}; {describe(read)}"
    findings.add("aborted-read", sentence(on_key(key) + text), ops=indices([refused, read]), details={"key": key})
