"""ddmin finds parts that fail and of which nothing can be left out, whatever the predicate, within its allowance."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.harness.failures.allowance import Allowance, SpentError
from tribulation.harness.failures.ddmin import ddmin


def test_two_culprits_are_found_among_many() -> None:
    found = ddmin(range(1000), lambda kept: 17 in kept and 801 in kept)
    assert found.items == (17, 801) and found.one_minimal
    assert found.tests < 80


def test_when_nothing_is_needed_one_test_says_so() -> None:
    found = ddmin("abcdef", lambda kept: True)
    assert (found.items, found.tests, found.one_minimal) == ((), 1, True)


def test_nothing_to_shrink() -> None:
    assert ddmin((), lambda kept: True).items == ()


def test_all_needed() -> None:
    assert ddmin(range(5), lambda kept: len(kept) == 5).items == (0, 1, 2, 3, 4)


def test_equal_items_are_distinguished() -> None:
    assert ddmin("aaaa", lambda kept: len(kept) >= 2).items == ("a", "a")


@given(st.integers(1, 60).flatmap(lambda size: st.tuples(st.just(size), st.sets(st.integers(0, size - 1)))))
def test_a_monotone_predicate_is_shrunk_to_its_cause(case: tuple[int, set[int]]) -> None:
    """Whatever contains the cause fails: then the cause is the only 1-minimal answer."""
    size, cause = case
    found = ddmin(range(size), lambda kept: cause <= set(kept))
    assert set(found.items) == cause and found.one_minimal


@st.composite
def predicates(draw: st.DrawFn) -> tuple[int, frozenset[frozenset[int]]]:
    """A number of items and the parts of them that fail, with no order among these; the whole is one."""
    size = draw(st.integers(1, 8))
    parts = draw(st.sets(st.frozensets(st.integers(0, size - 1)), max_size=40))
    return size, frozenset(parts | {frozenset(range(size))})


@given(predicates())
def test_a_predicate_that_is_not_monotone_is_shrunk_to_a_1_minimal_part(
    case: tuple[int, frozenset[frozenset[int]]],
) -> None:
    size, failing = case
    asked: list[tuple[int, ...]] = []

    def fails(kept: tuple[int, ...]) -> bool:
        asked.append(kept)
        return frozenset(kept) in failing

    found = ddmin(range(size), fails)
    kept = frozenset(found.items)
    assert kept in failing and found.one_minimal
    assert all(kept - {item} not in failing for item in kept)
    assert len(asked) == len(set(asked)) == found.tests
    assert list(found.items) == sorted(found.items)


@given(predicates(), st.integers(0, 20))
def test_within_an_allowance_the_best_so_far_still_fails(
    case: tuple[int, frozenset[frozenset[int]]], runs: int
) -> None:
    size, failing = case
    allowance = Allowance(runs=runs)
    found = ddmin(range(size), lambda kept: frozenset(kept) in failing, allowance)
    assert frozenset(found.items) in failing
    assert found.tests == allowance.spent_runs <= runs
    if found.one_minimal:
        assert all(frozenset(found.items) - {item} not in failing for item in found.items)


def test_time_is_an_allowance_too() -> None:
    """Each test takes a second of the clock; after three (nothing at all, a half, a quarter) there is no time for a fourth."""
    now = [0.0]

    def fails(kept: tuple[int, ...]) -> bool:
        now[0] += 1.0
        return len(kept) >= 10

    found = ddmin(range(64), fails, Allowance(time_s=3.0, clock=lambda: now[0]))
    assert found.tests == 3 and not found.one_minimal and len(found.items) == 16


def test_the_predicate_may_say_that_the_allowance_is_spent() -> None:
    def fails(kept: tuple[int, ...]) -> bool:
        if len(kept) < 5:
            raise SpentError
        return True

    found = ddmin(range(8), lambda kept: bool(kept) and fails(kept))
    assert len(found.items) >= 5 and not found.one_minimal


def test_progress_is_reported_after_every_test() -> None:
    listed: list[tuple[int, int]] = []
    found = ddmin(range(16), lambda kept: 3 in kept, progress=lambda left, tests: listed.append((left, tests)))
    assert [tests for _, tests in listed] == list(range(1, found.tests + 1))
    assert listed[-1][0] == 1


def test_an_allowance_refuses_when_it_is_spent() -> None:
    allowance = Allowance(runs=1)
    allowance.spend()
    assert not allowance.left
    with pytest.raises(SpentError):
        allowance.spend()
