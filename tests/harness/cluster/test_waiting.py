"""Waiting says what it waited for, and looks once more when the time is over."""

from __future__ import annotations

import pytest

from tribulation.harness.cluster.waiting import Missed, expect, until


def test_what_is_found_is_given_back() -> None:
    answers = iter([None, 0, "leader"])
    assert until("a leader", lambda: next(answers), 10.0) == "leader"


def test_what_was_not_found_is_named_with_what_was_seen_last() -> None:
    with pytest.raises(Missed, match=r"^waited 0 s for n2 to be FAILED; last seen: \{'n2': 'ACTIVE'\}$"):
        until("n2 to be FAILED", lambda: False, 0.0, seen=lambda: {"n2": "ACTIVE"})


def test_it_is_looked_again_after_the_time_is_over() -> None:
    """A look that takes longer than there is time must not be the last one: what it asked may have become so meanwhile."""
    answers = iter([False, True])
    assert until("the second look", lambda: next(answers), 0.0)


def test_what_must_be_so_and_is_not_is_reported_in_a_sentence() -> None:
    expect(True, "never reported")
    with pytest.raises(Missed, match=r"^the task ran on n3$"):
        expect(False, "the task ran on n3")
