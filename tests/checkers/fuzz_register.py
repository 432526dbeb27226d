"""Random small registers judged in four ways, which must agree: trying all orders, the arrays, the same rules on objects, the general search.

    python -m tests.checkers.fuzz_register 100000 1        number of histories, first seed

Legal orders that the arrays give are replayed.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from random import Random

from tribulation.checkers import Budget, RunRecord, Verdict, checker
from tribulation.checkers.base.budget import Meter
from tribulation.checkers.linearizability.registers.judge import Judged, judge
from tribulation.checkers.linearizability.registers.view import register_of
from tribulation.checkers.linearizability.search.by_key import objects_of
from tribulation.checkers.linearizability.search.problem import Problem, calls_of
from tribulation.checkers.linearizability.search.search import search
from tribulation.checkers.models.registers import RegisterModel
from tribulation.histories import History, Operation, Type
from tribulation.histories.model.rows import operation

from . import oracle, random_histories
from .fuzz import main
from .object_zones import violation
from .witnesses import assert_proves

SHAPES: tuple[random_histories.Fill, ...] = (
    random_histories.unique_register,
    random_histories.linked_register,
    random_histories.unique_register,
    random_histories.small_register,
)


def compare(seed: int, seen: Counter[str]) -> str | None:
    """What disagrees on the history of this seed; None when all agree."""
    random = Random(seed)
    fill = SHAPES[seed % len(SHAPES)]
    history = random_histories.history(random, random.randrange(2, 10), random.randrange(1, 5), fill)
    ops = history.operations()
    expected = oracle.linearizable(ops, oracle.register)
    seen["legal" if expected else "illegal"] += 1
    if _searched(ops) != expected:
        return f"the search says {not expected}"
    if not any(op.type is Type.OK for op in ops):
        return None
    return _arrays(history, expected, seen) or _checker(history, expected)


def _searched(ops: Sequence[Operation]) -> bool:
    meter, model = Meter.of(Budget(time_s=20)), RegisterModel()
    return search(Problem(calls_of(ops, model), model, meter), meter).legal


def _arrays(history: History, expected: bool, seen: Counter[str]) -> str | None:
    judged = judge(objects_of(history.columns, "linearizable"), certificate=True)
    if judged.repeated:
        seen["repeated"] += 1
        return None
    register = register_of(history.operations())
    legal = not judged.broken
    if legal != (violation(register) is None) and not register.silent_mismatches:
        return f"objects say {not legal}"
    if judged.in_doubt:
        seen["in doubt"] += 1
        return None
    if legal != expected:
        return f"arrays say {legal}"
    return _replay(history, judged) if legal else None


def _replay(history: History, judged: Judged) -> str | None:
    """Whether the order that the arrays give is one: complete, in real time, and legal for a plain register."""
    from tribulation.checkers.linearizability.registers.fast_path import order_of_register

    ops = [operation(history.columns, row) for row in order_of_register(0, judged)]
    taken = {op.invoke_index for op in ops}
    if len(taken) != len(ops):
        return "the order repeats an operation"
    missing = [
        op
        for op in history.operations()
        if op.invoke_index not in taken and (op.type is Type.OK or op.error == "mismatch")
    ]
    if missing:
        return f"the order lacks {missing}"
    latest, state = -1, None
    for op in ops:
        if op.complete_index is not None and op.complete_index < latest:
            return f"the order breaks real time at {op}"
        latest = max(latest, op.invoke_index)
        state = oracle.register(state, op)
        if state is oracle.WRONG:
            return f"the order is illegal at {op}"
    return None


def _checker(history: History, expected: bool) -> str | None:
    found = checker("linearizable").check(RunRecord(history=history, options={"exact": True}), Budget())
    if (found.verdict is Verdict.VALID) != expected:
        return f"the checker says {found.verdict.value}: {found.reason}"
    ops = history.operations()
    for anomaly in found.anomalies:
        assert_proves(anomaly, ops, oracle.register, None, f"{anomaly}\n{ops}")
    return None


def case(seed: int) -> str:
    seen: Counter[str] = Counter()
    wrong = compare(seed, seen)
    assert wrong is None, wrong
    return "legal" if seen["legal"] else "illegal"


FUZZ = {"registers": case}

if __name__ == "__main__":
    sys.exit(main([__spec__.name]))
