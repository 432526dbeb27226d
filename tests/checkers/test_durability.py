"""When an entry was on a node's disk, as far as its trace shows: each answer as a story of a few lines, with the moments at which it changes."""

from __future__ import annotations

import pytest

from tribulation.checkers.raft.structures.durability import Durable, DurableHistory, Moment, outside
from tribulation.checkers.traces.traces import Interval

HERE = "n1"


def at(ordinal: int, low_ns: int, high_ns: int | None = None, node: str = HERE) -> Moment:
    return Moment(node, ordinal, Interval(low_ns, low_ns if high_ns is None else high_ns))


def booted(index: int = 0, term: int = 0, torn: bool = False, low_ns: int = 0) -> DurableHistory:
    history = DurableHistory(HERE)
    history.booted(1, index, term, torn, at(0, low_ns), forgot=False)
    history.saw(at(0, low_ns))
    return history


def written(history: DurableHistory, *entries: tuple[int, int, int], durable: bool = False) -> DurableHistory:
    """(index, term, ns) each; a line each from ordinal 1 on."""
    for ordinal, (index, term, ns) in enumerate(entries, start=1):
        history.written(index, term, ns, ordinal)
        if durable:
            history.durable(index, term, ns, ordinal)
        history.saw(at(ordinal, ns))
    return history


@pytest.mark.parametrize(("moment_ns", "answer"), [(9, Durable.NO), (10, Durable.YES), (11, Durable.YES)])
def test_an_entry_is_there_from_the_line_that_says_so(moment_ns: int, answer: Durable) -> None:
    history = written(booted(), (1, 1, 10), durable=True)
    assert history.before(1, 1, outside(moment_ns)) is answer


def test_written_is_not_durable_yet() -> None:
    history = written(booted(), (1, 1, 10), (2, 1, 20))
    assert history.before(1, 1, outside(30)) is Durable.MAYBE
    assert history.before(1, 1, outside(9)) is Durable.NO
    assert history.before(3, 1, outside(19)) is Durable.NO, "it went on tracing until 20 without it"
    assert history.before(3, 1, outside(20)) is Durable.MAYBE, "its last line may be lost"


def test_lines_of_the_node_itself_are_ordered_by_place() -> None:
    history = written(booted(), (1, 1, 10), (2, 1, 10), durable=True)
    assert history.before(2, 1, at(1, 99)) is Durable.NO
    assert history.before(2, 1, at(2, 0)) is Durable.YES
    assert history.before(2, 1, at(1, 10, node="n2")) is Durable.YES


def test_a_later_term_or_a_longer_log_holds_it_too() -> None:
    history = written(booted(), (1, 1, 10), (5, 3, 20), durable=True)
    assert history.before(4, 2, outside(25)) is Durable.YES
    assert history.before(4, 2, outside(19)) is Durable.NO
    assert history.before(6, 3, outside(19)) is Durable.NO
    assert history.before(5, 4, outside(19)) is Durable.NO
    # A log of a smaller term again: what is asked for by a greater one is not in it.
    again = written(booted(), (3, 2, 10), (1, 3, 20), (4, 3, 30), durable=True)
    assert (again.before(2, 3, outside(29)), again.before(2, 3, outside(30))) == (Durable.NO, Durable.YES)


def test_what_a_boot_finds_was_there_since_some_time_after_the_line_before() -> None:
    history = written(booted(), (1, 1, 10))
    history.booted(2, 4, 1, False, at(2, 50), forgot=False)
    history.saw(at(2, 50))
    assert history.before(4, 1, outside(9)) is Durable.NO
    assert history.before(4, 1, outside(10)) is Durable.YES
    assert history.before(5, 1, outside(49)) is Durable.NO


@pytest.mark.parametrize(("moment_ns", "answer"), [(39, Durable.NO), (40, Durable.MAYBE), (45, Durable.MAYBE)])
def test_a_torn_boot_may_have_lost_it_from_then_on(moment_ns: int, answer: Durable) -> None:
    history = booted(torn=True, low_ns=40)
    written(history, (1, 1, 50))
    assert history.before(1, 1, outside(moment_ns)) is answer


def test_where_lines_are_missing_no_absence_counts() -> None:
    history = written(booted(), (1, 1, 10))
    history.incomplete = True
    assert history.before(1, 1, outside(5)) is Durable.MAYBE
