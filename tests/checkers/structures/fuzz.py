"""Every structure against the oracle on random small histories: `python -m tests.checkers.structures.fuzz N SEED [CASE]`.

N histories of each case from seed SEED on. Verdicts must be equal; witnesses must be of the history, and alone without a legal order where their kind
promises that; orders given for valid histories must respect real time and be what the object does.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from random import Random

import numpy as np

from checkers.budget import Meter
from checkers.result import Verdict
from checkers.structures.dispatch import STRUCTURES, judge
from checkers.structures.view import View
from histories import History, Operation

from ..oracle import WRONG, linearizable
from .objects import CASES


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
        assert judged.anomaly is not None and judged.anomaly.ops, story
        assert set(judged.anomaly.ops) <= {op.invoke_index for op in ops}, story
        assert judged.anomaly.explanation, story
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


def run(count: int, first: int, cases: list[str]) -> bool:
    good = True
    for case in cases:
        began = time.monotonic()
        seen: Counter[tuple[bool, str]] = Counter()
        for seed in range(first, first + count):
            try:
                seen[agree(case, seed)] += 1
            except Exception as error:
                good = False
                print(
                    f"{case}: python -m tests.checkers.structures.fuzz 1 {seed} {case}\n{type(error).__name__}: {error}",
                    flush=True,
                )
                break
        told = ", ".join(
            f"{'valid' if legal else 'invalid'} by {method} {n}" for (legal, method), n in sorted(seen.items())
        )
        print(f"{case}: {sum(seen.values())} histories in {time.monotonic() - began:.0f} s: {told}", flush=True)
    return good


if __name__ == "__main__":
    chosen = sys.argv[3:] or list(CASES)
    sys.exit(0 if run(int(sys.argv[1]), int(sys.argv[2]), chosen) else 1)
