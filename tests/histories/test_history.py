"""Pairing: what makes an operation, and which histories no correct recorder can have written."""

from __future__ import annotations

import pytest

from tribulation.histories import Event, History, HistoryError, Type, pair, parse


def event(index: int, process: int | str, kind: str, f: str = "write", **more: object) -> Event:
    return Event(index, index * 10, process, Type(kind), f, **more)  # type: ignore[arg-type]


def test_an_operation_joins_its_invocation_and_its_completion():
    """Fields of both, positions and times; what is not named goes into extra."""
    invoke = event(4, 1, "invoke", value=7, key="k", workload="register", level="linearizable", node="n1")
    ok = event(9, 1, "ok", value=7, key="k", node="n2", extra={"log_index": 31})
    (op,) = pair([invoke, ok])
    assert (op.process, op.f, op.type, op.argument, op.result) == (1, "write", Type.OK, 7, 7)
    assert (op.invoke_index, op.complete_index, op.invoke_ns, op.complete_ns) == (4, 9, 40, 90)
    assert (op.key, op.workload, op.level, op.node, op.extra) == (
        "k",
        "register",
        "linearizable",
        "n2",
        {"log_index": 31},
    )


def test_a_completion_may_leave_out_what_its_invocation_names():
    (op,) = pair([event(0, 1, "invoke", key="k", workload="a", level="stale"), event(1, 1, "ok")])
    assert (op.key, op.workload, op.level) == ("k", "a", "stale")


def test_unknown_operations_never_complete():
    """An info or a missing completion is no end; the info shows when the client gave up."""
    gone, given_up = pair([event(0, 1, "invoke"), event(1, 2, "invoke"), event(2, 2, "info", error="timeout")])
    assert (gone.type, gone.complete_index, gone.complete_ns) == (Type.INFO, None, None)
    assert (given_up.type, given_up.complete_index, given_up.complete_ns) == (Type.INFO, None, 20)
    assert given_up.error == "timeout"


def test_operations_come_in_order_of_invocation():
    ops = parse("p0[w1 p1[w2 p1] p0]").operations()
    assert [op.process for op in ops] == [0, 1]


def test_the_nemesis_is_no_operation():
    events = [event(0, "nemesis", "info", "cut"), event(1, 0, "invoke"), event(2, 0, "ok")]
    assert len(pair(events)) == 1


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([event(0, 1, "ok")], "completes 'write' (ok) that it never invoked"),
        ([event(0, 1, "invoke"), event(1, 1, "invoke")], "while its 'write' of index 0 is open"),
        (
            [event(0, 1, "invoke"), event(1, 1, "ok", "read")],
            "completes 'read', but its open operation (index 0) is 'write'",
        ),
        ([event(0, 1, "invoke", key="a"), event(1, 1, "ok", key="b")], "'write' of key 'b'"),
        (
            [event(0, 1, "invoke", "read"), event(1, 1, "ok", "read", level="stale")],
            "completes 'read' of level 'stale', but its open operation (index 0) is 'read'",
        ),
        (
            [event(0, 1, "invoke", workload="a", key="k"), event(1, 1, "ok", workload="b")],
            "completes 'write' of workload 'b', but its open operation (index 0) is 'write' of key 'k' of workload 'a'",
        ),
        ([event(0, 1, "invoke"), event(1, 1, "info"), event(2, 1, "invoke")], "ended in info at index 1"),
        ([event(3, 1, "invoke"), event(3, 1, "ok")], "index 3 follows index 3"),
    ],
)
def test_impossible_histories_are_refused_with_the_place(events, message):
    with pytest.raises(HistoryError) as caught:
        History(events, source="some.jsonl").operations()
    assert message in str(caught.value)
    assert str(caught.value).startswith("some.jsonl: event ")
    assert "\n\nhint: " in str(caught.value)


def test_selection_by_workload_and_level():
    """An operation that names no level or workload passes every selection."""
    events = [
        event(0, 0, "invoke", workload="a", level="stale"),
        event(1, 1, "invoke", workload="b", level="linearizable"),
        event(2, 2, "invoke"),
    ]
    history = History(events)
    assert [op.process for op in history.operations(workload="a")] == [0, 2]
    assert [op.process for op in history.operations(level="linearizable")] == [1, 2]
    assert history.workloads == ["a", "b"]


def test_views_by_key_keep_the_order_of_first_use():
    views = parse("p0 b:w1 p1 a:w2 p0 b:r1").by_key()
    assert {key: len(ops) for key, ops in views.items()} == {"b": 2, "a": 1}
    assert list(views) == ["b", "a"]


def test_keys_that_are_lists_can_be_distinguished():
    events = [event(0, 0, "invoke", key=["x", 1]), event(1, 1, "invoke", key=["x", 2])]
    assert list(History(events).by_key()) == [("x", 1), ("x", 2)]
