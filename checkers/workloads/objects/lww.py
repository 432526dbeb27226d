"""Checker `lww`: which writes a last-writer-wins register lost, and whether it was allowed to.

The completions of `write` and `delete` carry `ts`, the timestamp that the write got; timestamps are numbers, or lists that compare element by element
(`[wall, counter, node]`). Losses are of three kinds. A *concurrent* write with a larger timestamp won, which is the purpose of such registers. A
write that began after another had returned got no larger timestamp and lost to it, as with skewed clocks. Or the survivor is not the write with the
largest timestamp, a bug of the register itself.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tribulation.histories import Operation, Type, canonical

from ...base.conclusion import all_of, conclude, sentence
from ...base.findings import Findings
from ...base.result import Budget, CheckResult, RunRecord
from ...base.selection import Bool, by_object, names
from ...base.wording import describe, indices, ms_between, on_key, show
from ..overtaking import overtaken

CHANGES, READS = ("write", "delete"), ("read", "get")
Stamp = Any


class LwwChecker:
    name = "lww"
    operations = frozenset({*CHANGES, *READS})

    def applies(self, record: RunRecord) -> bool:
        replies = None if record.history.loaded else record.history.columns.replies
        if "write" not in names(record) or (replies is not None and not replies.timed):
            return False
        return any(op.f in CHANGES and stamp_of(op) is not None for op in record.history.operations())

    def judged(self, record: RunRecord) -> Bool:
        """Return the operations of registers whose changes carry timestamps."""
        stamped = [ops for ops in by_object(record).values() if _register(ops, None).stamped]
        mine = [op.invoke_index for ops in stamped for op in ops if op.f in self.operations]
        return np.isin(record.history.columns.invoke, mine)

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        findings = Findings()
        stats = dict.fromkeys(("registers", "changes", "concurrent_overwrites", "skewed", "final_reads"), 0)
        quiet_ns = record.phases.get("quiet_end")
        for (_, key), ops in by_object(record).items():
            register = _register(ops, quiet_ns)
            if not register.stamped:
                continue
            stats["registers"] += 1
            stats["changes"] += len(register.stamped)
            stats["final_reads"] += len(register.final)
            stats["concurrent_overwrites"] += _concurrent(register)
            for pair in overtaken(register.stamped, equal=True):
                stats["skewed"] += 1
                _report_skewed(key, *pair, findings)
            _ties(key, register, findings)
            _survivors(key, register, findings)
        doubts = []
        if not stats["changes"]:
            doubts.append("no acknowledged write carries a timestamp")
        elif quiet_ns is None or not stats["final_reads"]:
            doubts.append("no read after the quiet period shows which writes survived")
        return conclude(self.name, findings, stats, all_of(doubts))


@dataclass(slots=True)
class Register:
    """`stamped` are acknowledged changes with timestamps, `loose` those that may have happened without one; both in order of invocation."""

    stamped: list[tuple[Operation, Stamp]] = field(default_factory=list)
    loose: list[Operation] = field(default_factory=list)
    final: list[Operation] = field(default_factory=list)


def stamp_of(op: Operation) -> Stamp:
    """Return a comparable form of its timestamp, or None."""
    stamp = op.extra.get("ts")
    return None if stamp is None or isinstance(stamp, str) else canonical(stamp)


def _register(ops: Sequence[Operation], quiet_ns: int | None) -> Register:
    found = Register()
    for op in ops:
        if op.f in CHANGES and op.type is not Type.FAIL:
            stamp = stamp_of(op)
            if op.type is Type.OK and stamp is not None:
                found.stamped.append((op, stamp))
            else:
                found.loose.append(op)
        elif op.f in READS and op.type is Type.OK and quiet_ns is not None and op.invoke_ns >= quiet_ns:
            found.final.append(op)
    return found


def _concurrent(register: Register) -> int:
    """Return how many acknowledged changes lost to a concurrent one, the one with the largest timestamp; skewed ones are counted separately."""
    best = max(register.stamped, key=lambda item: item[1])
    skewed = {id(after) for _, after in overtaken(register.stamped, equal=True)}
    return sum(
        not _before(op, best[0]) and op is not best[0] and id(op) not in skewed for op, stamp in register.stamped
    )


def _before(one: Operation, other: Operation) -> bool:
    return one.complete_index is not None and one.complete_index < other.invoke_index


def _report_skewed(key: Hashable, before: Operation, after: Operation, findings: Findings) -> None:
    text = (
        f"{describe(after)} began {ms_between(before, after):g} ms after {describe(before)} had returned and got the timestamp {_ts(after)}, "
        f"which is not above {_ts(before)}: the later write is lost to the earlier one"
    )
    _add(findings, "skewed-lost-update", key, [before, after], text, {"ts": [before.extra["ts"], after.extra["ts"]]})


def _ts(op: Operation) -> str:
    return show(op.extra.get("ts"))


def _effect(op: Operation) -> Hashable:
    """Return what a register holds when this change is the last one."""
    return None if op.f == "delete" else canonical(op.argument)


def _ties(key: Hashable, register: Register, findings: Findings) -> None:
    first: dict[Stamp, Operation] = {}
    for op, stamp in register.stamped:
        other = first.setdefault(stamp, op)
        if other is not op and _effect(other) != _effect(op):
            text = f"two writes of different values got the same timestamp {_ts(op)}, so that nothing says which is last: {describe(other)}; {describe(op)}"
            _add(findings, "equal-timestamps", key, [other, op], text, {"ts": op.extra["ts"]})


def _survivors(key: Hashable, register: Register, findings: Findings) -> None:
    """Judge that after the quiet period every read shows the change with the largest timestamp, or one whose timestamp is unknown."""
    best, stamp = max(register.stamped, key=lambda item: item[1])
    allowed = {_effect(best), *(_effect(op) for op, other in register.stamped if other == stamp)}
    allowed.update(map(_effect, register.loose))
    writer: dict[Hashable, Operation] = {}
    for op, _ in register.stamped:
        writer.setdefault(_effect(op), op)
    for read in register.final:
        value = canonical(read.result)
        if value in allowed or read.invoke_index < (best.complete_index or 0):
            continue
        survivor = writer.get(value)
        witness = [best, read] if survivor is None else [survivor, best, read]
        if survivor is None and value is not None:
            kind, why = "thin-air", "no client ever tried to write it"
        elif best.f == "delete":
            kind, why = "resurrection", f"{describe(best)} has the larger timestamp {_ts(best)}"
        else:
            kind, why = "not-the-last-write", f"{describe(best)} has the largest timestamp, {_ts(best)}"
        since = "" if survivor is None else f" with the timestamp {_ts(survivor)}"
        text = f"{describe(read)} after the quiet period shows {show(read.result)}{since}, but {why}"
        _add(findings, kind, key, witness, text, {"survived": read.result, "after_ms": ms_between(best, read)})


def _add(
    findings: Findings, kind: str, key: Hashable, ops: Sequence[Operation], text: str, details: Mapping[str, Any]
) -> None:
    findings.add(kind, sentence(on_key(key) + text), ops=indices(ops), details={"key": key, **details})
