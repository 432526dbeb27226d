"""Version vectors: an order, of which joining is the least upper bound and meeting the greatest lower."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.node.core.memory.records.vector import (
    beyond,
    concurrent,
    covers,
    includes,
    joined,
    met,
    stepped,
    vector_problem,
)

vectors = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 5))


def test_a_story() -> None:
    one, other = {"a": 3, "b": 1}, {"a": 2, "c": 4}
    assert covers(one, "a", 3) and not covers(one, "a", 4) and covers(one, "z", 0) and not covers(one, "z", 1)
    assert concurrent(one, other) and joined(one, other) == {"a": 3, "b": 1, "c": 4} and met([one, other]) == {"a": 2}
    assert beyond(one, other) == {"a": 3, "b": 1}
    assert stepped(one, ("a", 9)) == {"a": 9, "b": 1} and list(stepped({"b": 1}, ("a", 1))) == ["a", "b"]
    assert met([]) == {}


@given(vectors, vectors, vectors)
def test_the_order(a: dict[str, int], b: dict[str, int], c: dict[str, int]) -> None:
    both = joined(a, b)
    assert (
        includes(both, a) and includes(both, b) and both == joined(b, a) and joined(both, c) == joined(a, joined(b, c))
    )
    assert joined(a, a) == a and includes(a, a) and not concurrent(a, both)
    assert (includes(c, a) and includes(c, b)) == includes(c, both), "the least"
    low = met([a, b, c])
    assert all(includes(each, low) for each in (a, b, c))
    assert (includes(a, c) and includes(b, c)) == includes(met([a, b]), c), "the greatest"
    assert includes(a, b) == (beyond(b, a) == {}) == (joined(a, b) == a) == (met([a, b]) == b)
    assert list(both) == sorted(both) and list(low) == sorted(low)


@pytest.mark.parametrize(
    ("vector", "words"),
    [
        (None, "not an object"),
        ([], "not an object"),
        ({"": 1}, "not a replica"),
        ({"a\n": 1}, "not a replica"),
        ({"a" * 161: 1}, "not a replica"),
        ({"a": 0}, "not an integer"),
        ({"a": True}, "not an integer"),
        ({"a": 1.0}, "not an integer"),
        ({"a": 1 << 63}, "not an integer"),
        ({"a": "1"}, "not an integer"),
    ],
)
def test_what_is_no_vector(vector: Any, words: str) -> None:
    assert words in str(vector_problem(vector))


def test_what_is_one() -> None:
    assert vector_problem({}) is None and vector_problem({"n1.7.3fb2": 1, "log": (1 << 63) - 1}) is None
