"""The outbox holds what waits for operations that are not issued yet, for each log by itself."""

from __future__ import annotations

from tribulation.node.core.interface.effects import Fsync, Trace, trace_number
from tribulation.node.core.interface.messages import TimeoutNow
from tribulation.node.core.interface.outbox import HELD_LIMIT, Outbox
from tribulation.node.core.storage.group_commit import GroupCommit


def names(out: Outbox) -> list[str]:
    return [effect.event if isinstance(effect, Trace) else type(effect).__name__ for effect in out.take()]


def test_each_log_lets_go_of_its_own_when_its_batch_is_issued() -> None:
    out = Outbox()
    one, other = out.next_op(), out.next_op()
    out.reserve(one)
    out.reserve(other)
    for event, after in (("a1", one), ("b1", other), ("a2", one), ("now", None)):
        out.trace(event, after)
    assert names(out) == ["now"]
    out.store(Fsync(other, "b"))
    out.issued(other)
    assert names(out) == ["Fsync", "b1"]
    out.trace("b2", other)
    out.issued(one)
    assert names(out) == ["b2", "a1", "a2"]


def test_beyond_the_limit_the_oldest_are_dropped_of_the_log_that_is_slow() -> None:
    out = Outbox()
    slow, other = out.next_op(), out.next_op()
    out.reserve(slow)
    out.reserve(other)
    out.trace("kept", other)
    for number in range(HELD_LIMIT + 2):
        out.trace(str(number), slow)
    out.issued(slow)
    reported, *kept = out.take()
    assert reported == Trace("dropped", {"count": 2, "where": "held"}, (slow,))
    assert [effect.event for effect in kept] == [str(number) for number in range(2, HELD_LIMIT + 2)]
    out.issued(other)
    assert names(out) == ["kept"]
    assert out.dropped == {"messages": 0, "replies": 0, "traces": 2}


def test_a_message_that_is_dropped_is_counted_and_leaves_no_gap_in_the_trace() -> None:
    out = Outbox()
    op = out.next_op()
    out.reserve(op)
    out.send("n2", TimeoutNow(1), op)
    out.reply("c1", {"id": 1}, op)
    for number in range(HELD_LIMIT):
        out.trace(str(number), op)
    out.issued(op)
    assert len(out.take()) == HELD_LIMIT
    assert out.dropped == {"messages": 1, "replies": 1, "traces": 0}


def test_a_line_that_was_dropped_has_used_up_its_number() -> None:
    """So a reader sees the gap in the numbers and, by the event, how many lines it is about."""
    lines, following = [], 0
    for event, fields in (("start", {}), ("dropped", {"count": 3, "where": "held"}), ("append", {})):
        number = trace_number(following, event, fields)
        lines.append((number, event))
        following = number + 1
    assert lines == [(0, "start"), (4, "dropped"), (5, "append")]


def test_a_batch_has_its_operation_before_it_is_issued_and_one_is_under_way_at_a_time() -> None:
    out = Outbox()
    commit = GroupCommit(out)
    assert commit.gate is None and not commit.ready
    commit.reserve()
    first = commit.gate
    commit.reserve()
    assert commit.gate == first and commit.ready
    assert commit.issue() == first and commit.issued == first and not commit.ready
    commit.reserve()
    second = commit.gate
    assert first is not None and second is not None and second != first
    assert commit.pending(first) and commit.pending(second) and not commit.ready
    assert not commit.done(second) and commit.done(first) and commit.ready
    assert not commit.pending(first) and commit.issue() == second
