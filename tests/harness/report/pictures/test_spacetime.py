"""The space-time diagram of an operation: its arrows, what is lost, its bounds, and the same as a list."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tribulation.harness.report.nodes.lines import Line
from tribulation.harness.report.nodes.messages import Message, keep_messages, read_messages
from tribulation.harness.report.pictures.spacetime import MOST_ARROWS, MOST_LANES, diagram, window_ns
from tribulation.histories import Operation, Type

MS = 1_000_000
NODES = ["n1", "n2", "n3"]


def read(begun_ms: int = 100, took_ms: int | None = 4, **extra: Any) -> Operation:
    end = None if took_ms is None else (begun_ms + took_ms) * MS
    return Operation(
        process=7,
        f="read",
        type=Type.INFO if took_ms is None else Type.OK,
        invoke_index=0,
        complete_index=None if end is None else 1,
        invoke_ns=begun_ms * MS,
        complete_ns=end,
        key="x",
        node="n2",
        extra=extra,
    )


def test_arrows_go_from_lane_to_lane_and_a_lost_message_ends_between_them() -> None:
    messages = [
        Message(100 * MS, 101 * MS, "n2", "n1", "heartbeat", "term 1"),
        Message(101 * MS, None, "n2", "n3", "heartbeat", "term 1"),
        Message(102 * MS, 900 * MS, "n1", "n2", "append", "term 2, 1 entry"),
        Message(500 * MS, 501 * MS, "n1", "n2", "append", ""),
    ]
    drawn = diagram(read(), "read x", NODES, messages, [])
    assert drawn is not None
    assert [lane.name for lane in drawn.lanes] == ["process 7", "n2", "n1", "n3"]
    lane = {one.name: one.y for one in drawn.lanes}
    assert [arrow.state for arrow in drawn.arrows] == ["arrived", "lost", "late"]
    first, lost, late = drawn.arrows
    assert (first.y1, first.y2) == (lane["n2"], lane["n1"]) and first.x1 < first.x2
    assert lane["n2"] < lost.y2 < lane["n3"]
    assert late.x2 == max(arrow.x2 for arrow in drawn.arrows)
    assert ("0.1010 s", "n2 → n3", "heartbeat (term 1), never arrived") in drawn.listed
    assert ("0.1000 s", "n2 → n1", "heartbeat (term 1), arrived 1 ms later") in drawn.listed
    assert "3 messages between nodes, 1 of them lost" in drawn.alternative


def test_the_answer_is_the_line_of_the_same_log_index() -> None:
    lines = [
        Line("n2", at * MS, "info", "trace", f"answered {index}", "ack", {"index": index})
        for at, index in ((101, 8), (103, 9))
    ]
    drawn = diagram(read(log_index=9), "read x", NODES, [], lines)
    assert drawn is not None and drawn.answered is not None
    marks = {mark.text: mark.x for mark in drawn.marks}
    assert drawn.answered == (marks["n2 answered 9"], drawn.lanes[1].y)


def test_without_messages_and_traces_there_is_no_diagram() -> None:
    assert diagram(read(), "read x", NODES, [], [Line("n1", 101 * MS, "info", "x.log", "hello")]) is None


def test_the_end_of_a_long_operation_is_drawn() -> None:
    from_ns, until_ns = window_ns(read(0, 5000))
    assert until_ns > 5000 * MS and until_ns - from_ns < 600 * MS
    from_ns, until_ns = window_ns(read(100, None))
    assert from_ns < 100 * MS < until_ns < 300 * MS


names = st.sampled_from([f"n{number}" for number in range(14)])
times = st.integers(0, 300 * MS)


@given(
    st.lists(st.builds(Message, times, st.none() | times, names, names, st.just("append"), st.just("")), max_size=90)
)
def test_whatever_the_messages_everything_lies_inside_and_is_bounded(messages: list[Message]) -> None:
    drawn = diagram(read(100, 20), "read x", NODES, messages, [])
    if drawn is None:
        return
    assert len(drawn.lanes) <= MOST_LANES + 1 and len(drawn.arrows) <= MOST_ARROWS
    for arrow in drawn.arrows:
        assert 0 <= arrow.x1 <= drawn.width and 0 <= arrow.x2 <= drawn.width
        assert 0 <= arrow.y1 <= drawn.height and 0 <= arrow.y2 <= drawn.height
    assert drawn.hidden >= 0


def test_messages_of_witnesses_are_kept_and_read_again(tmp_path: Path) -> None:
    line = {"sent_ns": 5, "arrived_ns": None, "from": "n1", "to": "n2", "kind": "append", "about": "term 1"}
    keep_messages(tmp_path, lambda spans: iter([line]), [])
    assert read_messages(tmp_path, []) == [] and not list(tmp_path.iterdir())
    keep_messages(tmp_path, lambda spans: iter([line] * 2), [(0, 9)])
    with (tmp_path / "messages.jsonl").open("a") as file:
        file.write(json.dumps({**line, "sent_ns": "5"}) + "\n[]\nnot json\n")
    notes: list[str] = []
    assert read_messages(tmp_path, notes) == [Message(5, None, "n1", "n2", "append", "term 1")] * 2
    assert notes == ["messages.jsonl: 3 of 5 lines are not messages."]
