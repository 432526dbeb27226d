"""The general search for one object, within a budget: verdict, readable proof, and how far it got if it did not end."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from tribulation.histories import Operation

from ..base.budget import NOWHERE, Meter, OutOfBudget
from ..base.result import Verdict
from ..models.model import Model
from .registers.plain import unwritten_or_early, without_unobserved
from .registers.view import register_of
from .search.key_verdict import KeyVerdict
from .search.problem import Call, Problem, calls_of
from .search.refutation import Found, WindowHook, prove
from .search.search import search
from .search.witness import anomaly_of_proof

_PROOF_S = 10.0


def judge_register(ops: Sequence[Operation], model: Model, key: Hashable, meter: Meter) -> KeyVerdict:
    """Check registers whose values are not unique: first by direct evidence of the values, then by the search."""
    plain = unwritten_or_early(register_of(ops), key)
    if plain is not None:
        return KeyVerdict(Verdict.INVALID, "values", len(ops), plain)
    return judge_calls(without_unobserved(calls_of(ops, model), model), len(ops), model, key, meter)


def judge_operations(ops: Sequence[Operation], model: Model, key: Hashable, meter: Meter) -> KeyVerdict:
    return judge_calls(calls_of(ops, model), len(ops), model, key, meter)


def judge_calls(calls: list[Call], operations: int, model: Model, key: Hashable, meter: Meter) -> KeyVerdict:
    window = None
    try:
        outcome = search(Problem(calls, model, meter), meter, hook=WindowHook(calls, model, meter))
        if outcome.legal:
            return KeyVerdict(Verdict.VALID, "search", operations)
        stuck_at = outcome.stuck_at or 0
    except Found as found:
        window, stuck_at = found.window, found.position
    except OutOfBudget as error:
        return _undecided(error, operations)
    # The proof is for people; the verdict stands without it, so the proof has a time budget of its own.
    proof = prove(calls, model, stuck_at, Meter(_PROOF_S, 1024), window)
    return KeyVerdict(Verdict.INVALID, "search", operations, anomaly_of_proof(proof, model.name, key))


def _undecided(error: OutOfBudget, operations: int) -> KeyVerdict:
    proven = error.position != NOWHERE
    reached = (
        f"the operations before history index {error.position} are linearizable"
        if proven
        else "no part of the history was decided yet"
    )
    return KeyVerdict(
        Verdict.UNKNOWN,
        "search",
        operations,
        reason=f"{error}; {reached}",
        proven_to=error.position if proven else None,
    )
