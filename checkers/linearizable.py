"""Checker `linearizable`: each object by itself took every operation at one instant between its invocation and its return.

Keys are independent (linearizability is local), so each is judged alone, by the quickest way that is exact for it:

1. registers with unique written values: `zones`, O(n log n);
2. sets of unique elements: `set_order`, linear;
3. everything else that `models` knows: the general `search`, within the budget; `refute` gives it short proofs of violation.

Only operations of level `linearizable` (or without a level) count: a read that is marked stale is no evidence.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from histories import Operation, Type, hashable

from .budget import NOWHERE, Meter, OutOfBudget
from .configurations import Call, Problem, calls_of
from .models import Model, SetModel, model_for
from .proof_witness import anomaly_of_proof
from .refute import Found, WindowHook, prove
from .register_witness import anomaly_of, unwritten_or_early
from .result import Anomaly, Budget, CheckResult, RunRecord, Verdict
from .search import search
from .set_order import disorder, whole_set
from .set_witness import anomaly_of_disorder
from .wording import show
from .zones import register_of, violation

LEVEL = "linearizable"
_PROOF_S = 10.0


@dataclass(slots=True)
class KeyVerdict:
    """One object's verdict. `proven_to` is the history position up to which it was shown to be linearizable, when not to the end."""

    verdict: Verdict
    method: str
    operations: int
    anomaly: Anomaly | None = None
    reason: str | None = None
    proven_to: int | None = None


@dataclass(slots=True)
class _Tally:
    keys: dict[str, KeyVerdict] = field(default_factory=dict)
    peak_bytes: int = 0

    def of(self, verdict: Verdict) -> dict[str, KeyVerdict]:
        return {key: found for key, found in self.keys.items() if found.verdict is verdict}


class LinearizableChecker:
    name = "linearizable"

    def applies(self, record: RunRecord) -> bool:
        return bool(objects(record))

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        meter = Meter.of(budget)
        todo = objects(record)
        if not todo:
            return CheckResult(
                self.name,
                Verdict.UNKNOWN,
                reason="the history has no operation of level linearizable that a model knows",
            )
        tally = _Tally()
        # The small ones first: what they do not need of the budget is left to the large ones.
        for done, ((workload, key), ops) in enumerate(sorted(todo.items(), key=lambda item: len(item[1]))):
            share = meter.part(max(meter.left_s / (len(todo) - done), 0.001))
            name = show(key) if workload is None else f"{workload}/{show(key)}"
            tally.keys[name] = check_object(ops, key, share)
            tally.peak_bytes = max(tally.peak_bytes, share.peak_bytes)
        return _conclude(self.name, tally)


def objects(record: RunRecord) -> dict[tuple[str | None, Hashable], list[Operation]]:
    """The objects in the history: operations per workload and key. Transactions of a workload are one object."""
    found: dict[tuple[str | None, Hashable], list[Operation]] = {}
    for op in record.history.operations(level=LEVEL):
        found.setdefault((op.workload, hashable(op.key)), []).append(op)
    return {name: ops for name, ops in found.items() if _observed(ops) and model_for(ops) is not None}


def _observed(ops: Sequence[Operation]) -> bool:
    """Whether anything here has an outcome that can be judged."""
    return any(op.type is Type.OK for op in ops)


def check_object(ops: Sequence[Operation], key: Hashable = None, meter: Meter | None = None) -> KeyVerdict:
    """The verdict on the operations of one object, whose model is known by their names."""
    meter = meter or Meter.of(Budget())
    model = model_for(ops)
    if model is None:
        names = ", ".join(sorted({op.f for op in ops}))
        return KeyVerdict(Verdict.UNKNOWN, "none", len(ops), reason=f"no model knows the operations {names} together")
    if isinstance(model, SetModel):
        return _check_set(ops, key, model, meter)
    if model.name == "register":
        return _check_register(ops, key, model, meter)
    return _search(ops, calls_of(ops, model), model, key, meter, model.name)


def _check_register(ops: Sequence[Operation], key: Hashable, model: Model, meter: Meter) -> KeyVerdict:
    register = register_of(ops)
    if register.unique:
        broken = violation(register)
        if broken is not None:
            return KeyVerdict(Verdict.INVALID, "zones", len(ops), anomaly_of(broken, register, key))
        if not register.silent_mismatches:
            return KeyVerdict(Verdict.VALID, "zones", len(ops))
    else:
        plain = unwritten_or_early(register, key)
        if plain is not None:
            return KeyVerdict(Verdict.INVALID, "values", len(ops), plain)
    return _search(ops, _without_unobserved(calls_of(ops, model), model), model, key, meter, model.name)


def _without_unobserved(calls: list[Call], model: Model) -> list[Call]:
    """Drops writes of unknown outcome whose value nobody observed; they are optional, and without effect on anything seen."""
    if any(call.step.kind == "differs" for call in calls):
        return calls
    while True:
        seen = {call.step.value for call in calls if call.step.conditional}
        kept = [call for call in calls if call.end is not None or model.gives(call.step) in seen]
        if len(kept) == len(calls):
            return calls
        calls = kept


def _check_set(ops: Sequence[Operation], key: Hashable, model: Model, meter: Meter) -> KeyVerdict:
    found = whole_set(ops)
    if found.repeated:
        return _search(ops, calls_of(ops, model), model, key, meter, model.name)
    wrong = disorder(found)
    if wrong is None:
        return KeyVerdict(Verdict.VALID, "set-order", len(ops))
    return KeyVerdict(Verdict.INVALID, "set-order", len(ops), anomaly_of_disorder(wrong, found, key))


def _search(
    ops: Sequence[Operation], calls: list[Call], model: Model, key: Hashable, meter: Meter, name: str
) -> KeyVerdict:
    window = None
    try:
        outcome = search(Problem(calls, model, meter), meter, hook=WindowHook(calls, model, meter))
        if outcome.legal:
            return KeyVerdict(Verdict.VALID, "search", len(ops))
        stuck_at = outcome.stuck_at or 0
    except Found as found:
        window, stuck_at = found.window, found.position
    except OutOfBudget as error:
        proven = error.position != NOWHERE
        told = (
            f"the operations before history index {error.position} are linearizable"
            if proven
            else "nothing was shown yet"
        )
        return KeyVerdict(
            Verdict.UNKNOWN, "search", len(ops), reason=f"{error}; {told}", proven_to=error.position if proven else None
        )
    # The proof is for people; the verdict stands without it, so it gets some time of its own.
    proof = prove(calls, model, stuck_at, Meter(_PROOF_S, 1024), window)
    return KeyVerdict(Verdict.INVALID, "search", len(ops), anomaly_of_proof(proof, name, key))


def _conclude(name: str, tally: _Tally) -> CheckResult:
    invalid, unknown = tally.of(Verdict.INVALID), tally.of(Verdict.UNKNOWN)
    judged = list(tally.keys.values())
    stats: dict[str, Any] = {
        "keys": len(tally.keys),
        "operations": sum(found.operations for found in judged),
        "methods": {
            method: sum(found.method == method for found in judged) for method in sorted({f.method for f in judged})
        },
        "peak_mb": round(tally.peak_bytes / 1e6, 1),
    }
    if invalid or unknown:
        stats["verdicts"] = {key: found.verdict.value for key, found in tally.keys.items()}
    anomalies = tuple(found.anomaly for found in invalid.values() if found.anomaly is not None)
    reason = None
    if unknown:
        stats["proven_to"] = {key: found.proven_to for key, found in unknown.items() if found.proven_to is not None}
        first, example = next(iter(unknown.items()))
        reason = f"{len(unknown)} of {len(tally.keys)} keys undecided, {len(tally.of(Verdict.VALID))} valid; {first}: {example.reason}"
    if anomalies:
        return CheckResult(name, Verdict.INVALID, anomalies, stats, reason)
    if unknown:
        return CheckResult(name, Verdict.UNKNOWN, (), stats, reason)
    return CheckResult(name, Verdict.VALID, (), stats)
