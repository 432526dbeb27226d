"""What checkers find with arrays is what one finds by looking at each operation."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.full import examples
from tribulation.checkers import RunRecord, check
from tribulation.checkers.base import acknowledged
from tribulation.checkers.base.logged import of_operations
from tribulation.checkers.raft.structures.durability import OUTSIDE, Durable, DurableHistory, Moment, Moments
from tribulation.checkers.soundness.vacuity import _concurrency
from tribulation.checkers.traces.traces import Interval
from tribulation.histories import History, Operation, Type, canonical

from .test_logged import histories

MARKS = st.integers(0, 6)


@given(st.lists(st.tuples(MARKS, st.none() | MARKS, st.sampled_from([None, "a", "b"])), max_size=8))
def test_most_open_at_once(rows: list[tuple[int, int | None, Any]]) -> None:
    ops = [
        Operation(place, "read", Type.OK, 2 * place, 2 * place + 1, at, None if took is None else at + took, key=key)
        for place, (at, took, key) in enumerate(rows)
    ]
    points = [(op.invoke_ns, 1, op.key) for op in ops]
    points += [(op.complete_ns, -1, op.key) for op in ops if op.complete_ns is not None]
    now = most = 0
    open_: Counter[Any] = Counter()
    contended = set()
    for _, change, key in sorted(points, key=lambda point: point[:2]):
        now += change
        open_[key] += change
        most = max(most, now)
        contended |= {key} if open_[key] > 1 else set()
    assert _concurrency(of_operations(ops)) == (most, len(contended), len({canonical(op.key) for op in ops}))


@given(histories())
@settings(max_examples=examples(200), deadline=None)
def test_a_read_that_saw_less_than_was_acknowledged_before_it(events: list[Any]) -> None:
    ops = History(events).operations()
    stale = set()
    for read in ops:
        if read.type is not Type.OK or acknowledged.is_write(read) or acknowledged.is_stale(read):
            continue
        index = acknowledged.log_index(read)
        before = [
            acknowledged.log_index(op) or 0
            for op in ops
            if op.complete_index is not None
            and op.complete_index < read.invoke_index
            and acknowledged.ran(op)
            and not acknowledged.is_stale(op)
        ]
        if index is not None and index < max(before, default=0):
            stale.add(read.invoke_index)
    result = check(RunRecord(History(events)), ["split-brain"])["split-brain"]
    found = [anomaly.ops[1] for anomaly in result.anomalies if anomaly.kind == "SB4-stale-read"]
    assert found == sorted(stale)[:5]
    if result.stats:
        assert result.stats["SB4"]["violations"] == len(stale)


LINES = st.lists(
    st.tuples(st.sampled_from(["written", "durable", "boot", "torn"]), st.integers(0, 4), st.integers(0, 2)), max_size=8
)
ASKED = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 3), st.sampled_from(["here", "there", ""]), st.integers(-1, 9), MARKS),
    max_size=6,
)


def columns_of(moments: list[Moment]) -> Moments:
    names = {"here": 0, "there": 1}
    nodes = [names.get(moment.node, OUTSIDE) for moment in moments]
    ordinals, high_ns = [moment.ordinal for moment in moments], [moment.at.high_ns for moment in moments]
    return Moments(np.array(nodes, np.int64), np.array(ordinals, np.int64), np.array(high_ns, np.int64), names)


@given(LINES, ASKED, st.booleans())
@settings(max_examples=examples(300), deadline=None)
def test_entries_on_a_disk_before_many_moments(lines: Any, asked: Any, incomplete: bool) -> None:
    history = DurableHistory("here")
    history.incomplete = incomplete
    for ordinal, (what, index, term) in enumerate(lines):
        moment = Moment("here", ordinal, Interval(ordinal, ordinal + 2))
        if what in ("boot", "torn"):
            history.booted(1, index, term, what == "torn", moment, forgot=False)
        elif what == "written":
            history.written(index, term, ordinal, ordinal)
        else:
            history.durable(index, term, ordinal, ordinal)
        history.saw(moment)
    moments = [Moment(node, ordinal, Interval(high_ns - 1, high_ns)) for _, _, node, ordinal, high_ns in asked]
    one_by_one = [history.before(index, term, moment) for (index, term, *_), moment in zip(asked, moments, strict=True)]
    index, term = (np.array([one[place] for one in asked], np.int64) for place in (0, 1))
    absent, present = history.before_each(index, term, columns_of(moments))
    assert absent.tolist() == [durable is Durable.NO for durable in one_by_one]
    assert present.tolist() == [durable is Durable.YES for durable in one_by_one]
