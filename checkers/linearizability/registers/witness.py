"""Anomalies of registers: from a broken rule to the known name of the anomaly, its few operations and one sentence."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tribulation.histories import Operation

from ...base.result import Anomaly
from ...base.wording import describe, indices, ms_between, on_key, show
from .view import Access, Register, Violation


def anomaly_of(violation: Violation, register: Register, key: Hashable) -> Anomaly:
    match violation.kind:
        case "thin-air" | "aborted-read":
            return _unwritten(violation, register, key)
        case "false-mismatch":
            op = _op(violation.accesses[0])
            text = f"a cas failed for a mismatch although it saw the value that it expected, {show(violation.values[0])}: {describe(op)}."
            return _anomaly("false-mismatch", key, [op], text)
        case "impossible-mismatch":
            return _impossible_mismatch(violation, key)
        case "lost-update":
            return _lost_update(violation, key)
        case "cas-cycle":
            ops = [_op(access) for access in violation.accesses]
            text = "cas operations expect each other's results in a circle, so none can have been first: " + "; ".join(
                describe(op) for op in ops
            )
            return _anomaly("cas-cycle", key, ops, text + ".")
        case "future-read":
            early, late = (_op(access) for access in violation.accesses)
            text = f"{show(violation.values[0])} was seen before its write had begun: {describe(early)}, but only then {describe(late)}."
            return _anomaly("future-read", key, [early, late], text)
        case "chain-order":
            return _chain_order(violation, key)
        case _:
            return _crossed(violation, register, key)


def shown_by(anomaly: Anomaly, observers: Sequence[Operation]) -> Anomaly:
    """Add the operations that show that those of unknown outcome in it happened."""
    if not observers:
        return anomaly
    ops = tuple(sorted({*anomaly.ops, *indices(observers)}))
    said = f" Those of unknown outcome there happened, as {'; '.join(describe(op) for op in observers)} shows."
    return replace(anomaly, ops=ops, explanation=anomaly.explanation + said)


def _unwritten(violation: Violation, register: Register, key: Hashable) -> Anomaly:
    reader, value = _op(violation.accesses[0]), violation.values[0]
    failed = register.failed.get(value)
    if failed is None:
        text = f"{show(value)} was seen, which no client ever tried to write: {describe(reader)}."
        return _anomaly("thin-air", key, [reader], text)
    text = f"{show(value)} was seen although its write was refused and so must never take effect: {describe(failed)}; {describe(reader)}."
    return _anomaly("aborted-read", key, [failed, reader], text)


def _impossible_mismatch(violation: Violation, key: Hashable) -> Anomaly:
    early, late = violation.accesses[0], violation.accesses[-1]
    value, ops = violation.values[0], [access.op for access in violation.accesses if access.op is not None]
    failed = _op(violation.accesses[1])
    text = (
        f"{describe(failed)} failed although the register was {show(value)} all the while: it was so before ({_named(early, value)}) and "
        f"after ({_named(late, value)}), and {show(value)} was written only once."
    )
    return _anomaly("false-mismatch", key, ops, text)


def _lost_update(violation: Violation, key: Hashable) -> Anomaly:
    one, other = (_op(access) for access in violation.accesses)
    text = (
        f"two cas both replaced the same {show(violation.values[0])}, which was written once; one of the two updates is lost: "
        f"{describe(one)}; {describe(other)}."
    )
    return _anomaly("lost-update", key, [one, other], text)


def _chain_order(violation: Violation, key: Hashable) -> Anomaly:
    """The last two accesses are the early one, which shows the newer value, and the late one, of the older value."""
    early, late = _op(violation.accesses[-2]), _op(violation.accesses[-1])
    old, new = violation.values
    ops = [access.op for access in violation.accesses if access.op is not None]
    if violation.accesses[-1].writes:
        text = (
            f"{show(new)}, which a cas made from {show(old)}, was there before the write of {show(old)} had begun: "
            f"{describe(early)}; then {describe(late)}."
        )
        return _anomaly("future-read", key, ops, text)
    stale_ms = ms_between(early, late)
    text = (
        f"{show(old)} had been replaced by {show(new)} when {describe(early)} returned, but {describe(late)}, which began{_later(stale_ms)}, "
        f"still saw {show(old)}."
    )
    return _anomaly("stale-read", key, ops, text, {"staleness_ms": stale_ms})


def _crossed(violation: Violation, register: Register, key: Hashable) -> Anomaly:
    """a1 (of A) returned before b2 (of B) began, and b1 (of B) before a2 (of A) began: each would have to be written after the other."""
    a1, a2, b1, b2 = violation.accesses
    old, new = violation.values
    writers = {value: access for access in register.accesses for value in access.writes}
    first, second = writers.get(old), writers.get(new)
    if second is not None and a1.end < second.start:
        return _stale(a1, a2, b1, b2, old, new, first, second, register, key)
    if first is not None and b1.end < first.start:
        return _stale(b1, b2, a1, a2, new, old, second, first, register, key)
    ops = [access.op for access in (first, second, a1, a2, b1, b2) if access is not None and access.op is not None]
    text = (
        f"the values {show(old)} and {show(new)}, each written once, alternate: {_named(a1, old)} came before {_named(b2, new)}, and "
        f"{_named(b1, new)} before {_named(a2, old)}, so that each would have to be written after the other."
    )
    return _anomaly("non-monotonic-read", key, ops, text, {"values": [old, new]})


def _stale(
    a1: Access,
    a2: Access,
    b1: Access,
    b2: Access,
    old: Hashable,
    new: Hashable,
    first: Access | None,
    second: Access,
    register: Register,
    key: Hashable,
) -> Anomaly:
    """Describe a stale read: `new` was written after `old` was there, and was there when b1 returned; then a2 began and saw `old`."""
    # a1 matters only if it alone shows that `old` came first; usually the writer of `old` does.
    before = first if first is not None and first.end < second.start else a1
    after = second if second.end < a2.start else b1
    late = _op(a2)
    ops = [access.op for access in (before, first, second, after, a2) if access is not None and access.op is not None]
    stale_ms = ms_between(after.op, late)
    kind = _stale_kind(a2, new, after, register)
    story = {
        "lost-update": f"replaced {show(old)} as if the acknowledged {show(new)} had never been; that update is lost",
        "lost-write": f"saw {show(old)} again, and no client ever saw {show(new)}: the acknowledged write is lost",
        "stale-read": f"still saw {show(old)}",
    }[kind]
    shown = "" if after is second else f"; {describe(_op(after))} showed it"
    text = f"{show(new)} replaced {show(old)} by {describe(_op(second))}{shown}. But {describe(late)}, which began{_later(stale_ms)}, {story}."
    return _anomaly(kind, key, ops, text, {"staleness_ms": stale_ms, "values": [old, new]})


def _stale_kind(late: Access, new: Hashable, after: Access, register: Register) -> str:
    if late.writes:
        return "lost-update"
    readers = [access for access in register.accesses if new in access.reads]
    if readers or after.op is None:
        return "stale-read"
    old = late.reads[0]
    reads_after = [access for access in register.accesses if access.reads and access.start > after.end]
    again = sum(1 for access in reads_after if access.reads == (old,))
    # One old answer among newer ones is a stale node; only old answers mean that the write is lost.
    return "lost-write" if again == len(reads_after) else "stale-read"


def _named(access: Access, value: Hashable) -> str:
    return f"the initial {show(value)}" if access.op is None else describe(access.op)


def _later(ms: float | None) -> str:
    return " afterwards" if ms is None else f" {ms:g} ms later"


def _op(access: Access) -> Operation:
    assert access.op is not None, "only the virtual write of the initial value has no operation, and it is never late"
    return access.op


def _anomaly(
    kind: str, key: Hashable, ops: list[Operation], text: str, details: Mapping[str, Any] | None = None
) -> Anomaly:
    sentence = on_key(key) + text
    return Anomaly(kind, indices(ops), sentence[0].upper() + sentence[1:], {"key": key, **(details or {})})
