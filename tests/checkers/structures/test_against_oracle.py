"""A sample of the fuzz (`fuzz`): every structure against trying all orders, on random small histories. Fixed seeds; a failure names the one to repeat."""

from __future__ import annotations

from collections import Counter

import pytest

from .fuzz import BUSY, agree, busy
from .objects import CASES


@pytest.mark.parametrize("case", CASES)
def test_verdicts_and_orders_equal_the_oracles(case: str) -> None:
    seen: Counter[bool] = Counter()
    for seed in range(100):
        legal, _ = agree(case, seed)
        seen[legal] += 1
    assert min(seen[True], seen[False]) >= 2, f"all alike proves nothing: {seen}"


@pytest.mark.parametrize("case", BUSY)
def test_what_many_clients_saw_of_a_correct_object_is_valid(case: str) -> None:
    for seed in range(8):
        busy(case, seed)
