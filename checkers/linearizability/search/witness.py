"""Anomalies from a proof of `tribulation.checkers.linearizability.search.refutation`: a few operations without a legal order, and the best known name
for it.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from ...base.result import Anomaly
from ...base.wording import describe, indices, listing, ms_between, on_key
from .problem import Call
from .refutation import Proof


def anomaly_of_proof(proof: Proof, model: str, key: Hashable) -> Anomaly:
    kind, reason, details = _classify(proof, model)
    ops = [call.op for call in proof.calls]
    state = "from its initial state" if proof.from_start else f"whatever the {model} held before"
    text = f"{reason}no order of these {len(ops)} operations is legal, {state}: {listing(ops)}."
    sentence = on_key(key) + text
    return Anomaly(
        kind, indices(ops), sentence[0].upper() + sentence[1:], {"key": key, "minimal": proof.minimal, **details}
    )


def _classify(proof: Proof, model: str) -> tuple[str, str, dict[str, Any]]:
    required = [call for call in proof.calls if call.end is not None]
    if model == "mutex":
        acquires = sum(call.step.value is False for call in required)
        return "double-acquire" if acquires > 1 and _last(required).step.value is False else "bad-release", "", {}
    observers = [call for call in required if call.step.conditional]
    if not observers:
        return "not-linearizable", "", {}
    late = _last(observers)
    if late.step.kind == "differs":
        return (
            "false-mismatch",
            f"{describe(late.op)} failed although nothing but the expected value can have been there, and ",
            {},
        )
    newer = [call for call in required if _replaces(call, late) and call.end is not None and call.end < late.start]
    if newer:
        latest = max(newer, key=lambda call: call.end or 0)
        kind = "lost-update" if late.step.kind == "cas" else "stale-read"
        stale_ms = ms_between(latest.op, late.op)
        reason = f"{describe(late.op)} did not see what was there when {describe(latest.op)} returned, and "
        return kind, reason, {"staleness_ms": stale_ms}
    earlier = [call for call in observers if call.end is not None and call.end < late.start and _differs(call, late)]
    return ("non-monotonic-read" if earlier else "not-linearizable"), "", {}


def _last(calls: list[Call]) -> Call:
    return max(calls, key=lambda call: call.start)


def _replaces(call: Call, late: Call) -> bool:
    """Return whether `call` left another value than `late` saw."""
    if call.step.kind == "cas":
        return call.step.extra != late.step.value
    if call.step.kind == "append":
        grown, seen = call.step.value, late.step.value
        return not (grown in seen if isinstance(grown, str) and isinstance(seen, str) else _has(seen, grown))
    return call.step.kind == "write" and call.step.value != late.step.value


def _has(seen: Hashable, part: Hashable) -> bool:
    return isinstance(seen, tuple) and isinstance(part, tuple) and part[0] in seen


def _differs(one: Call, other: Call) -> bool:
    return one.step.value != other.step.value
