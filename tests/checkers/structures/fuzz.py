"""Every structure against the oracle on random small histories: `python -m tests.checkers.structures.fuzz N SEED [CASE]`.

Verdicts must be equal; the operations of a witness must be without a legal order by themselves (`witnesses`); orders given
for valid histories must respect real time and be what the object does. A case `busy …` has more operations and clients than the oracle can bear, and no
answer is altered: the history is legal, and must be judged so.
"""

from __future__ import annotations

import sys
from random import Random
from unittest.mock import patch

import numpy as np

from tribulation.checkers.base.budget import Meter
from tribulation.checkers.base.result import Verdict
from tribulation.checkers.linearizability.structures.dispatch import STRUCTURES, judge
from tribulation.checkers.linearizability.structures.parts.view import View
from tribulation.histories import History, Operation

from ..fuzz import Case, main
from ..oracle import WRONG, linearizable
from ..witnesses import assert_proves
from . import objects, worlds
from .objects import CASES

BUSY = sorted(set(CASES) - {case for case in CASES if case.startswith(("mutex", "fencing"))})
"""Cases of objects that do the operations in the order in which they happen. Clients of a lock may break its rules, so those histories are not all legal."""


def agree(case: str, seed: int) -> tuple[bool, str]:
    """Whether the history is legal, and how that was found. Raises `AssertionError` where the checker is wrong."""
    structure_name, make, apply, initial = CASES[case]
    history = make(Random(seed))
    ops = history.operations()
    expected = linearizable(ops, apply, initial)
    view = View(history.columns, np.arange(len(history.columns)))
    structure = STRUCTURES[structure_name]
    judged = judge(view, structure, None, Meter(20, 2000))
    story = f"case {case} seed {seed}: {judged}\n" + "\n".join(map(str, ops))
    assert judged.verdict is (Verdict.VALID if expected else Verdict.INVALID), story
    if not expected:
        assert judged.anomaly is not None, story
        assert_proves(judged.anomaly, ops, apply, initial, story)
    elif judged.method == structure_name:
        assert_order(history, view, structure.order(view, {}).tolist(), apply, initial, story)
    return expected, judged.method


def assert_order(history: History, view: View, order: list[int], apply: object, initial: object, story: str) -> None:
    """The order has every acknowledged operation once, and is legal."""
    ops = history.operations()
    missing = {place for place in range(len(view)) if view.ok[place]} - set(order)
    # Reads of unknown answer say nothing, so they need no place.
    assert len(order) == len(set(order)), f"twice in {order}: {story}"
    assert not missing, f"{missing} missing from {order}: {story}"
    latest, state = -1, initial
    for place in order:
        op: Operation = ops[place]
        assert op.complete_index is None or latest < op.complete_index, (
            f"{order} is against real time at {place}: {story}"
        )
        latest = max(latest, op.invoke_index)
        state = apply(state, op)  # type: ignore[operator]
        assert state is not WRONG, f"{order} is illegal at {place}: {story}"


def busy(case: str, seed: int) -> str:
    """How a longer history of what happened was judged. Raises `AssertionError` where it was not found to be legal."""
    structure_name, make, _, _ = CASES[case]
    larger = {
        "sized": lambda random, most: (random.randrange(15, 40), random.randrange(4, 8)),
        "finished": lambda random, listed, answer: History(listed),
    }
    with patch.multiple(worlds, **larger), patch.multiple(objects, **larger):
        columns = make(Random(seed)).columns
    judged = judge(View(columns, np.arange(len(columns))), STRUCTURES[structure_name], None, Meter(60, 2000))
    assert judged.verdict is Verdict.VALID, f"case busy {case} seed {seed}: {judged}"
    return f"valid by {judged.method}"


def busy_case_of(case: str) -> Case:
    return lambda seed: busy(case, seed)


def case_of(case: str) -> Case:
    def judged(seed: int) -> str:
        legal, method = agree(case, seed)
        return f"{'valid' if legal else 'invalid'} by {method}"

    return judged


FUZZ = {case: case_of(case) for case in CASES} | {f"busy {case}": busy_case_of(case) for case in BUSY}

if __name__ == "__main__":
    sys.exit(main([__spec__.name]))
