"""Which operations overtook one that had ended before they began: the sweep against the definition."""

from __future__ import annotations

from random import Random

from tribulation.checkers.workloads.overtaking import overtaken
from tribulation.histories import Type, parse

from ..random_histories import history


def ops(text):
    return parse(text).operations()


def pairs(text, *ranks, equal=False):
    found = overtaken(list(zip(ops(text), ranks, strict=True)), equal=equal)
    return [(before.invoke_index, after.invoke_index) for before, after in found]


def test_overtaken():
    assert pairs("p0 w1 p0 w2 p0 w3", 1, 3, 2) == [(2, 4)]
    assert pairs("p0 w1 p0 w2 p0 w3", 3, 1, 2) == [(0, 2), (0, 4)]
    assert pairs("p0 w1 p0 w2", 1, 1) == []
    assert pairs("p0 w1 p0 w2", 1, 1, equal=True) == [(0, 2)]
    assert pairs("p0 w1 p0 w2 p0 w3", 2, 2, 1) == [(0, 4)]  # of equals the first is shown


def test_who_overlaps_or_never_ended_is_not_overtaken():
    assert pairs("p0 w1 | p1 w2", 2, 1) == []
    assert pairs("p0 w1? p1 w2", 2, 1) == []
    assert pairs("p0 w1 p1 w2? p2 w3?", 2, 1, 3) == [(0, 2)]


def _fill(random, number):
    return "write", number, number, random.choice([Type.OK, Type.OK, Type.INFO]), None


def test_the_definition():
    random = Random(2)
    for _ in range(400):
        ranked = [(op, random.randrange(5)) for op in history(random, random.randrange(1, 9), 3, _fill).operations()]
        for equal in (False, True):
            found = list(overtaken(ranked, equal))
            wanted = {
                id(b): max(
                    rank
                    for one, rank in ranked
                    if one.complete_index is not None and one.complete_index < b.invoke_index
                )
                for a, high in ranked
                for b, low in ranked
                if a.complete_index is not None
                and a.complete_index < b.invoke_index
                and (low < high or (equal and low == high))
            }
            rank_of = {id(op): rank for op, rank in ranked}
            assert {id(after): rank_of[id(before)] for before, after in found} == wanted
