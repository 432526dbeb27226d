"""Intervals against their plain definitions, on small random ones: what touches is what goes wrong first."""

from __future__ import annotations

from itertools import combinations
from random import Random

import numpy as np
import pytest

from tribulation.checkers.linearizability.structures.parts.intervals import (
    coverage,
    covered_wholly,
    greatest_over,
    least_within,
    thinnest_cover,
    unmet,
)

GAPS = 8


def drawn(random: Random) -> list[tuple[int, int]]:
    """Some are empty, and many touch."""
    return [tuple(sorted(random.choices(range(GAPS + 1), k=2))) for _ in range(random.randrange(7))]  # type: ignore[misc]


def arrays(intervals: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([a for a, _ in intervals], np.int64), np.array([b for _, b in intervals], np.int64)


def gaps(*intervals: tuple[int, int]) -> set[int]:
    return {gap for first, last in intervals for gap in range(first, last)}


@pytest.mark.parametrize("seed", range(150))
def test_the_thinnest_cover_has_as_few_as_any(seed: int) -> None:
    random = Random(seed)
    intervals = drawn(random)
    target = (random.randrange(GAPS), GAPS - random.randrange(3))
    wanted = gaps(target)
    least = next(
        (
            count
            for count in range(len(intervals) + 1)
            if any(wanted <= gaps(*some) for some in combinations(intervals, count))
        ),
        None,
    )
    found = thinnest_cover(target, *arrays(intervals))
    assert (found is None) == (least is None)
    if found is not None:
        assert len(found) == least and wanted <= gaps(*(intervals[place] for place in found))


@pytest.mark.parametrize("seed", range(60))
def test_what_covers_each_gap(seed: int) -> None:
    random = Random(seed)
    intervals = drawn(random)
    first, last = arrays(intervals)
    over = [[place for place, one in enumerate(intervals) if gap in gaps(one)] for gap in range(GAPS)]
    cover = coverage(first, last, GAPS)
    assert cover.tolist() == [len(some) for some in over]
    weight = np.array(random.sample(range(50), len(intervals)), np.int64)
    assert greatest_over(first, last, weight, GAPS).tolist() == [
        max((int(weight[place]) for place in some), default=-1) for some in over
    ]
    assert covered_wholly(first, last, cover).tolist() == [all(cover[gap] for gap in gaps(one)) for one in intervals]


@pytest.mark.parametrize("seed", range(60))
def test_the_least_within_each_slice(seed: int) -> None:
    random = Random(seed)
    values = [random.randrange(20) for _ in range(random.randint(1, 20))]
    slices = [sorted(random.sample(range(len(values) + 1), 2)) for _ in range(6)]
    found = least_within(np.array(values, np.int64), *arrays([(a, b) for a, b in slices]))
    assert found.tolist() == [min(values[a:b]) for a, b in slices]


@pytest.mark.parametrize("seed", range(60))
def test_deadlines_that_cannot_be_met(seed: int) -> None:
    """The i-th deadline needs i + 1 that are available before it."""
    random = Random(seed)
    places = random.sample(range(30), 12)
    deadlines, available = sorted(places[: random.randrange(6)]), sorted(places[6 : 6 + random.randrange(7)])
    short = [i for i, end in enumerate(deadlines) if sum(one < end for one in available) < i + 1]
    assert unmet(np.array(deadlines, np.int64), np.array(available, np.int64)) == (short[0] if short else None)
