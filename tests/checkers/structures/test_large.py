"""Tens of thousands of operations: valid histories raise nothing and have an order, planted violations are found with few operations."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from tribulation.checkers.base.budget import Meter
from tribulation.checkers.base.result import Verdict
from tribulation.checkers.linearizability.compiled import compiled
from tribulation.checkers.linearizability.structures.containers import peel
from tribulation.checkers.linearizability.structures.dispatch import STRUCTURES, judge
from tribulation.checkers.linearizability.structures.parts.view import View
from tribulation.histories.model.columns import Columns

from . import large
from .objects import CASES

OPERATIONS = 12_000
BOXES = {
    "queue": ("enqueue", "dequeue", lambda items: items.pop(0), lambda items, value: items.append(value)),
    "stack": ("push", "pop", lambda items: items.pop(), lambda items, value: items.append(value)),
    "priority-queue": (
        "insert",
        "poll",
        lambda items: items.pop(),
        lambda items, value: (items.append(value), items.sort()),
    ),
}


def _history(name: str, seed: int) -> tuple[Columns, str]:
    put, take, pick, add = BOXES[name]
    return large.columns(large.container(put, take, pick, add, seed), OPERATIONS, clients=12, seed=seed), take


def _judged(name: str, history: Columns):
    return judge(View(history, np.arange(len(history))), STRUCTURES[name], None, Meter(20, 2000))


@pytest.mark.parametrize("name", BOXES)
def test_a_valid_history_has_an_order(name: str):
    history, _ = _history(name, 3)
    found = _judged(name, history)
    assert (found.verdict, found.method) == (Verdict.VALID, name), found
    view = View(history, np.arange(len(history)))
    order = STRUCTURES[name].order(view, {})
    assert len(set(order.tolist())) == len(order) >= int(view.ok.sum())
    assert (np.maximum.accumulate(view.start[order]) <= view.end[order]).all()
    _, _, apply, state = CASES[name]
    for place in order.tolist():
        state = apply(state, view.operation(place))


@pytest.mark.parametrize("name", BOXES)
@pytest.mark.parametrize("apart", [60, 900])
def test_planted_swaps_are_found(name: str, apart: int):
    history, take = _history(name, 4)
    found = _judged(name, large.swapped_answers(history, take, Random(apart).random() / 2 + 0.2, apart))
    assert found.verdict is Verdict.INVALID
    assert found.anomaly is not None and 1 <= len(found.anomaly.ops) <= 6, found.anomaly


def test_an_acknowledged_put_that_is_said_to_have_failed_is_found():
    history, _ = _history("queue", 5)
    taken = set(history.result[history.type == 0].tolist())
    row = next(row for row in range(4000, len(history)) if history.f[row] == 0 and int(history.argument[row]) in taken)
    found = _judged("queue", large.refused(history, row))
    assert found.anomaly is not None and found.anomaly.kind == "aborted-read"


def test_compiled_loops_do_what_the_plain_ones_do():
    random = np.random.default_rng(1)
    start = np.sort(random.integers(0, 500, 300))
    push, pop = (start, start + 1 + random.integers(0, 9, 300)), (start + 10, start + 11 + random.integers(0, 9, 300))
    plain = peel.peel(*push, *pop, 540)
    quick = compiled(peel._peel, *peel.CALLED)
    assert quick is not peel._peel, "numba is there to be tested"
    original, peel._peel = peel._peel, quick
    try:
        again = peel.peel(*push, *pop, 540)
    finally:
        peel._peel = original
    assert (plain.turn == again.turn).all() and (plain.freed == again.freed).all()
