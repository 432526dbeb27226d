"""The general search on operations of a view, where a fast method does not apply or cannot decide."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

from tribulation.histories import Operation, Type

from ...base.budget import NOWHERE, Meter, OutOfBudget
from ...base.result import Anomaly, Verdict
from ...models.model import Model
from ...models.operation_names import TAKES
from ..search.problem import Problem, calls_of
from ..search.refutation import Found, WindowHook, prove
from ..search.search import search
from ..search.witness import anomaly_of_proof
from .parts.view import View

_PROOF_S = 5.0


@dataclass(frozen=True, slots=True)
class Judged:
    """One object's verdict, how it was reached, and for a violation its witness. `proven_to`: the position up to which it is known to be legal."""

    verdict: Verdict
    method: str
    operations: int
    anomaly: Anomaly | None = None
    reason: str | None = None
    proven_to: int | None = None


def judge_by_search(view: View, model: Model, key: Hashable, meter: Meter) -> Judged:
    """Return the verdict of the search within the meter."""
    ops = view.operations(range(len(view)))
    return judge_operations(list(_one_by_one(ops)) if view.called("drain").any() else ops, model, key, meter)


def _one_by_one(ops: Sequence[Operation]) -> Iterator[Operation]:
    """Return the operations with each drain as removals of one value, in no order, within its time. One that took nothing says nothing.

    One of unknown outcome may have taken all that no other removal took.
    """
    puts = sum(op.f not in TAKES and op.type is not Type.FAIL for op in ops)
    taken = sum(len(_drained(op)) if op.f == "drain" else op.result is not None for op in ops if _took(op))
    for op in ops:
        if op.f != "drain" or op.type is Type.FAIL:
            yield op
        elif op.type is Type.INFO:
            yield from [op] * max(puts - taken, 0)
        else:
            yield from (replace(op, result=value) for value in _drained(op))


def _took(op: Operation) -> bool:
    return op.f in TAKES and op.type is Type.OK


def _drained(op: Operation) -> Sequence[object]:
    if isinstance(op.result, (list, tuple)):
        return op.result
    return [] if op.result is None else [op.result]


def judge_operations(ops: Sequence[Operation], model: Model, key: Hashable, meter: Meter) -> Judged:
    calls = calls_of(ops, model)
    window = None
    try:
        outcome = search(Problem(calls, model, meter), meter, hook=WindowHook(calls, model, meter))
        if outcome.legal:
            return Judged(Verdict.VALID, "search", len(ops))
        stuck_at = outcome.stuck_at or 0
    except Found as found:
        window, stuck_at = found.window, found.position
    except OutOfBudget as error:
        proven = error.position != NOWHERE
        reached = (
            f"the operations before history index {error.position} are linearizable"
            if proven
            else "nothing was shown yet"
        )
        place = error.position if proven else None
        return Judged(Verdict.UNKNOWN, "search", len(ops), reason=f"{error}; {reached}", proven_to=place)
    proof = prove(calls, model, stuck_at, Meter(_PROOF_S, 1024), window)
    return Judged(Verdict.INVALID, "search", len(ops), anomaly_of_proof(proof, model.name, key))
