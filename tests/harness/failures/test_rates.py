"""Rates of repeated runs: Wilson's interval against its definition, and what the runs come to together."""

from __future__ import annotations

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.harness.failures.rates import (
    ERROR,
    Rate,
    Repeat,
    Z,
    chance_of_none,
    exit_code,
    failure_rates,
    rates,
    to_json,
    wilson,
)

counts = st.integers(1, 500).flatmap(lambda runs: st.tuples(st.integers(0, runs), st.just(runs)))


@given(counts)
def test_the_bounds_are_the_rates_from_which_the_count_is_just_so_far_away(found: tuple[int, int]) -> None:
    """The score test: |count/runs - p| is z standard deviations of p, at both bounds."""
    count, runs = found
    low, high = wilson(count, runs)
    assert 0 <= low <= count / runs <= high <= 1 and low < high
    for bound in (low, high):
        if 0 < bound < 1:
            assert abs(count / runs - bound) == pytest.approx(Z * sqrt(bound * (1 - bound) / runs), abs=1e-9)


@given(counts)
def test_the_interval_of_the_opposite_is_the_opposite(found: tuple[int, int]) -> None:
    count, runs = found
    low, high = wilson(count, runs)
    assert wilson(runs - count, runs) == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize(
    ("count", "runs", "wanted"), [(81, 263, (0.2553, 0.3662)), (15, 148, (0.0624, 0.1605)), (0, 20, (0, 0.1611))]
)
def test_published_values(count: int, runs: int, wanted: tuple[float, float]) -> None:
    """Newcombe 1998, table I, method 3."""
    assert wilson(count, runs) == pytest.approx(wanted, abs=6e-5)


@pytest.mark.parametrize(("count", "runs"), [(0, 0), (3, 2), (-1, 2)])
def test_what_is_no_rate_is_refused(count: int, runs: int) -> None:
    with pytest.raises(ValueError, match=f"{count} of {runs}"):
        wilson(count, runs)


def test_outcomes_and_failures_are_counted_by_runs() -> None:
    found = [
        Repeat(1, "invalid", 1, "runs/a", ("set/lost-write", "linearizable/lost-write")),
        Repeat(2, "valid", 0, "runs/b"),
        Repeat(3, "invalid", 1, "runs/c", ("set/lost-write",)),
        Repeat(4, ERROR, 4, None, (), "no host"),
    ]
    assert {name: (rate.count, rate.runs) for name, rate in rates(found).items()} == {
        "invalid": (2, 4),
        "valid": (1, 4),
        ERROR: (1, 4),
    }
    assert failure_rates(found)["set/lost-write"] == Rate(2, 4)
    document = to_json(found)
    assert [run["seed"] for run in document["runs"]] == [1, 2, 3, 4] and document["rates"]["valid"]["count"] == 1
    assert str(Rate(3, 20)) == "3 of 20 (15%; 95% interval 5% to 36%)"


@pytest.mark.parametrize(
    ("codes", "together"), [([0, 0], 0), ([0, 3], 3), ([3, 4, 0], 4), ([4, 70, 3], 70), ([70, 1, 4], 1), ([], 3)]
)
def test_the_exit_code_is_the_worst_of_all(codes: list[int], together: int) -> None:
    assert exit_code([Repeat(seed, "", code) for seed, code in enumerate(codes)]) == together


def test_runs_that_pass_say_little_of_a_failure_that_is_rare() -> None:
    assert chance_of_none(Rate(5, 5), 5) == pytest.approx((1 - wilson(5, 5)[0]) ** 5)
    assert chance_of_none(Rate(5, 5), 5) < 0.02 < 0.5 < chance_of_none(Rate(1, 5), 5)
    assert chance_of_none(Rate(0, 5), 5) == 1.0
