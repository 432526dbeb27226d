"""One equality of values: that of JSON, in which true is no number and 1 and 1.0 are one."""

from __future__ import annotations

import json
import pickle
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.histories import canonical, same
from tribulation.histories.model.answers import answers
from tribulation.histories.model.interning import Interner

SCALARS = st.sampled_from(
    [None, True, False, 0, 1, 2, -1, 0.0, 1.0, -0.0, 1.5, "", "0", "1", "True", "nan", 2**60, 2.0**60]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.sampled_from(["a", "b", "1"]), inner, max_size=2)
    ),
    max_leaves=6,
)


def oracle(one: Any, other: Any) -> bool:
    """Equality of JSON values, part by part."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(oracle, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(oracle(one[key], other[key]) for key in one)
    return type(one) not in (list, tuple, dict) and bool(one == other)


@given(VALUES, VALUES)
def test_forms_are_equal_where_json_values_are(one, other):
    expected = oracle(one, other)
    assert (canonical(one) == canonical(other)) is expected
    assert (canonical(one) != canonical(other)) is not expected
    assert (len({canonical(one), canonical(other)}) == 1) is expected
    assert same(one, other) is expected
    assert answers("write", one, other) is (expected or one is None or other is None)


@given(st.lists(VALUES, max_size=6))
def test_interned_ids_are_equal_where_forms_are_one_by_one_and_all_at_once(values):
    at_once, one_by_one = Interner(), Interner()
    ids = at_once.many(values).tolist()
    assert ids == [one_by_one.one(value) for value in values]
    for i, one in enumerate(values):
        assert same(at_once.table()[ids[i]], one)
        assert [ids[i] == ids[j] for j in range(len(values))] == [oracle(one, other) for other in values]


@given(VALUES)
def test_a_form_is_its_own_form_hashable_json_and_survives_copies(value):
    form = canonical(value)
    assert canonical(form) == form and hash(canonical(form)) == hash(form)
    json.dumps(form)
    assert deepcopy(form) == form and pickle.loads(pickle.dumps(form)) == form


def test_what_python_confuses():
    assert not same(True, 1) and not same(False, 0) and not same("True", True)
    assert not same({"a": 1}, [["a", 1]]) and not same({"a": 1}, {"a": True}) and not same([1], [True])
    assert same(float("nan"), float("nan")) and not same(float("nan"), "nan")
    assert same({True, 2}, frozenset({2.0, True})) and not same({1}, {True})
    assert {"True": 1}.get(canonical(True)) is None and {canonical(True): 1}.get("True") is None


@pytest.mark.parametrize("value", [True, False, 1, 1.0, None, "x", [True, {"a": False}], float("nan")])
def test_a_form_prints_as_its_value_and_is_as_true_as_that(value):
    shown = {1.0: "1"}.get(value, str(value)) if isinstance(value, float) else str(value)
    if not isinstance(value, list):
        assert str(canonical(value)) == shown
    assert bool(canonical(value)) == bool(value)
