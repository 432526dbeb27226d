"""Columns say what events say, whether they are built from objects or from lines; what makes no sense is refused with the same words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.full import examples
from tribulation.histories import (
    NEMESIS,
    Event,
    History,
    HistoryError,
    Operation,
    Type,
    pair,
    parse,
    read_history,
    write_history,
)
from tribulation.histories.files import files
from tribulation.histories.files.building import columns_of_events
from tribulation.histories.files.reading import read_columns
from tribulation.histories.files.writing import write_columns
from tribulation.histories.model.columns import ABSENT, NONE_ID, OPEN, Columns
from tribulation.histories.model.rows import events, history_of_columns, operation, row_of

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3)
)
VALUES = (
    SCALARS
    | st.lists(SCALARS | st.lists(st.integers(0, 3), max_size=2), max_size=4)
    | st.dictionaries(st.text(max_size=2), st.integers(), max_size=2)
)
MICRO = st.tuples(
    st.sampled_from(["r", "w", "append"]),
    st.integers(0, 2) | st.text(max_size=1),
    SCALARS | st.lists(st.integers(0, 4), max_size=3),
)


@st.composite
def histories(draw: Any, loose: bool = False) -> list[Event]:
    """Events of up to four processes, in any legal order, with every outcome. `loose`: ok completions need not answer their invocation."""
    found: list[Event] = []
    open_ops: dict[int, Event] = {}
    names = list(range(4))
    index = draw(st.integers(0, 3))
    for _ in range(draw(st.integers(0, 14))):
        place = draw(st.integers(0, 3))
        process = names[place]
        if process in open_ops:
            event = _completion(draw, open_ops.pop(process), index, loose)
            if event.type is Type.INFO:
                names[place] += 4
        else:
            event = _invocation(draw, process, index)
            open_ops[process] = event
        found.append(event)
        index += draw(st.integers(1, 3))
    return found


def _invocation(draw: Any, process: int, index: int) -> Event:
    f = draw(st.sampled_from(["read", "write", "cas", "txn", "add"]))
    value = [list(op) for op in draw(st.lists(MICRO, max_size=3))] if f == "txn" else draw(VALUES)
    key = draw(st.none() | st.sampled_from(["a", "b", 1, True]))
    level = draw(st.sampled_from([None, "stale", "linearizable"]))
    return Event(
        index, index * 10, process, Type.INVOKE, f, value, key, draw(st.sampled_from([None, "w1", "w2"])), level
    )


def _completion(draw: Any, asked: Event, index: int, loose: bool) -> Event:
    kind = draw(st.sampled_from([Type.OK, Type.OK, Type.FAIL, Type.INFO]))
    value: Any = [list(op) for op in draw(st.lists(MICRO, max_size=3))] if asked.f == "txn" else draw(VALUES)
    if kind is Type.OK and (not loose or draw(st.booleans())):
        value = draw(st.none() | st.just(_answer(draw, asked))) if asked.f in ("txn", "write", "cas") else value
    error = "mismatch" if kind is Type.FAIL and asked.f == "cas" and draw(st.booleans()) else None
    return Event(
        index, index * 10, asked.process, kind, asked.f, value, asked.key, asked.workload, asked.level, None, error
    )


def _answer(draw: Any, asked: Event) -> Any:
    """What was asked for, done: a transaction's reads say what they saw."""
    if asked.f != "txn":
        return asked.value
    return [[kind, key, draw(MICRO)[2] if kind == "r" else value] for kind, key, value in asked.value]


def like(one: Operation, other: Operation) -> bool:
    """Equal as far as columns go: 1.0 is 1, True is not; what a transaction that did not commit read is nothing."""
    known = (
        "process",
        "f",
        "type",
        "invoke_index",
        "complete_index",
        "invoke_ns",
        "complete_ns",
        "key",
        "workload",
        "level",
        "error",
    )
    return all(getattr(one, name) == getattr(other, name) for name in known) and all(
        _plain(getattr(one, name), one) == _plain(getattr(other, name), one) for name in ("argument", "result")
    )


def _plain(value: Any, op: Operation) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(item, op) for item in value]
    return ("bool", value) if isinstance(value, bool) else value


def rows(columns: Columns) -> list[Operation]:
    return [operation(columns, row) for row in range(len(columns))]


@settings(max_examples=examples(200), deadline=None)
@given(histories())
def test_rows_are_the_operations_of_the_events(found: list[Event]) -> None:
    paired, columns = pair(found), columns_of_events(found)
    assert len(paired) == len(columns)
    assert [(one, row) for one, row in zip(paired, rows(columns), strict=True) if not like(one, row)] == []


@settings(max_examples=examples(300), deadline=None)
@given(histories(loose=True))
def test_what_does_not_answer_is_refused_by_both_with_the_same_words(found: list[Event]) -> None:
    assert _refusal(pair, found) == _refusal(columns_of_events, found)


def _refusal(read: Any, found: list[Event]) -> str | None:
    try:
        read(found)
    except HistoryError as error:
        # Values are shown as they are kept: 0.0 may have become 0.
        return error.message.partition(" with ")[0]
    return None


@pytest.mark.parametrize(
    ("f", "asked", "done"),
    [
        ("write", 1, 2),
        ("write", 1, True),
        ("write", 1, [1]),
        ("cas", [1, 2], [1, 3]),
        ("cas", [1, 2], [1]),
        ("cas", [1, 2], 2),
        ("enqueue", 1, 2),
        ("push", "a", "b"),
        ("txn", [["r", "x", None]], [["r", "y", 1]]),
        ("txn", [["r", "x", None]], [["w", "x", None]]),
        ("txn", [["w", "x", 1]], [["w", "x", 2]]),
        ("txn", [["w", "x", [1]]], [["w", "x", [2]]]),
        ("txn", [["cas", "x", 1, 2]], [["cas", "x", [1, 3]]]),
        ("txn", [["r", "x", None], ["append", "x", 1]], [["r", "x", []]]),
    ],
)
def test_an_ok_completion_of_something_else_is_refused(f: str, asked: Any, done: Any) -> None:
    events = [Event(0, 0, 0, Type.INVOKE, f, asked), Event(1, 1, 0, Type.OK, f, done)]
    for read in (pair, columns_of_events):
        with pytest.raises(HistoryError, match="but its invocation \\(index 0\\) asked for"):
            read(events)
    for answer in (asked, None):
        assert len(pair([events[0], Event(1, 1, 0, Type.OK, f, answer)])) == 1
        assert len(columns_of_events([events[0], Event(1, 1, 0, Type.OK, f, answer)])) == 1


@settings(max_examples=examples(100), deadline=None)
@given(histories())
def test_lines_give_the_columns_that_events_give(tmp_path_factory: pytest.TempPathFactory, found: list[Event]) -> None:
    path = tmp_path_factory.mktemp("lines") / "h.jsonl"
    write_history(path, found)
    reading = read_columns(path)
    assert rows(reading.columns) == rows(columns_of_events(found))
    assert (reading.events, reading.last_ns, reading.torn) == (
        len(found),
        max([event.time_ns for event in found], default=0),
        None,
    )


@settings(max_examples=examples(100), deadline=None)
@given(histories())
def test_columns_become_events_and_lines_and_columns_again(
    tmp_path_factory: pytest.TempPathFactory, found: list[Event]
) -> None:
    columns = columns_of_events(found)
    folder = tmp_path_factory.mktemp("lines")
    write_history(folder / "slow.jsonl", events(columns))
    write_columns(folder / "fast.jsonl", columns)
    assert [json.loads(line) for line in (folder / "slow.jsonl").open()] == [
        json.loads(line) for line in (folder / "fast.jsonl").open()
    ]
    again = rows(read_columns(folder / "fast.jsonl").columns)
    assert [(one, row) for one, row in zip(rows(columns), again, strict=True) if not like(one, row)] == []


def test_values_are_interned_and_true_is_not_one() -> None:
    columns = columns_of_events(parse("p0 w1 p0 w2 p0 r1 p1[r_").events)
    assert columns.values == [None, 1, 2]
    assert columns.argument.tolist() == [1, 2, NONE_ID, NONE_ID]
    assert columns.result.tolist() == [1, 2, 1, ABSENT]
    assert columns.complete.tolist() == [1, 3, 5, OPEN]
    truth = columns_of_events([Event(0, 0, 0, Type.INVOKE, "write", True), Event(1, 0, 1, Type.INVOKE, "write", 1)])
    assert truth.argument.tolist() == [1, 2] and truth.values[1] is True and truth.values[2] == 1


def test_a_cas_has_its_two_values_as_a_list_and_what_it_saw_as_its_result() -> None:
    asked = Event(0, 0, 0, Type.INVOKE, "cas", [1, 2])
    seen = Event(1, 0, 0, Type.FAIL, "cas", [1, 2], error="mismatch", extra={"observed": [7]})
    silent = Event(1, 0, 0, Type.FAIL, "cas", [1, 2], error="mismatch")
    columns = columns_of_events([asked, seen])
    assert [columns.values[item] for item in columns.lists.row(columns.argument_list[0])] == [1, 2]
    assert columns.mismatch.tolist() == [True]
    assert columns.values[columns.result[0]] == 7
    assert columns_of_events([asked, silent]).result.tolist() == [ABSENT]


def test_a_read_of_nothing_is_an_observation_only_where_the_transaction_committed() -> None:
    columns = columns_of_events(
        [
            Event(0, 0, 0, Type.INVOKE, "txn", [["r", "x", None], ["append", "x", 1]]),
            Event(1, 0, 0, Type.OK, "txn", [["r", "x", None], ["append", "x", 1]]),
            Event(2, 0, 0, Type.INVOKE, "txn", [["r", "x", None], ["r", "y", []]]),
        ]
    )
    assert columns.txns is not None
    assert columns.txns.value.tolist() == [ABSENT, 1, NONE_ID, 1, ABSENT, ABSENT]
    assert columns.txns.list.tolist() == [ABSENT] * 5 + [0]
    assert (columns.argument_txn.tolist(), columns.result_txn.tolist()) == ([0, 2], [1, ABSENT])
    assert columns.keys == ["x", "y"]


INVOKE = '{"index":0,"time":0,"process":0,"type":"invoke","f":"write","value":1}'


def _txn(value: str) -> str:
    return f'{{"index":0,"time":0,"process":0,"type":"invoke","f":"txn","value":{value}}}'


OK = '{"index":1,"time":0,"process":0,"type":"ok","f":"write","value":1}'


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([OK], r"event 1 \(process 0, ok\): process 0 completes 'write' \(ok\) that it never invoked"),
        ([INVOKE, INVOKE.replace('"index":0', '"index":1')], "invokes 'write' while its 'write' of index 0 is open"),
        ([INVOKE, OK.replace('"ok"', '"info"'), INVOKE.replace('"index":0', '"index":2')], "ended in info at index 1"),
        ([INVOKE, OK.replace("write", "read")], "completes 'read', but its open operation"),
        ([INVOKE, OK.replace('"f"', '"key":"k","f"')], "completes 'write' of key 'k', but"),
        ([INVOKE, OK.replace('"f"', '"level":"stale","f"')], "completes 'write' of level 'stale', but"),
        (
            [INVOKE.replace('"f"', '"level":"linearizable","f"'), OK.replace('"f"', '"level":"stale","f"')],
            "'stale', but",
        ),
        ([INVOKE, OK.replace('"f"', '"workload":"set","f"')], "completes 'write' of workload 'set', but"),
        ([INVOKE.replace('"f"', '"workload":"a","f"'), OK.replace('"f"', '"workload":"b","f"')], "workload 'b', but"),
        (
            [INVOKE, OK.replace('"ok"', '"info"').replace('"f"', '"level":"stale","f"')],
            "completes 'write' of level 'stale', but",
        ),
        ([INVOKE, OK.replace('"index":1', '"index":0')], "index 0 follows index 0"),
        ([INVOKE, "nonsense", OK], r":2: not an event"),
        ([INVOKE, "[1]", OK], r":2: not an event: expected an object"),
        ([INVOKE, '{"index":1}', OK], r":2: not an event: an event without 'type'"),
        ([INVOKE, OK.replace('"ok"', '"perhaps"')], r":2: not an event: type is 'perhaps'"),
        ([INVOKE.replace('"time":0', '"time":"late"')], r":1: not an event: time is 'late', not an integer"),
        ([_txn('[["r"]]')], r"event 0 .*\['r'\] is not a part of a transaction"),
        ([_txn('[["drop","k",1]]')], "is not a part of a transaction"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(tmp_path: Path, lines: list[str], reason: str) -> None:
    path = tmp_path / "h.jsonl"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(HistoryError, match=reason) as by_lines:
        read_columns(path)
    assert str(path) in str(by_lines.value)
    with pytest.raises(HistoryError, match=reason):
        read_history(path).columns  # noqa: B018


def test_a_line_out_of_the_decoders_taste_is_still_read(tmp_path: Path) -> None:
    """Levels that are numbers (then their text is the name), indices that are missing, empty lines: as in the reader of small files."""
    path = tmp_path / "h.jsonl"
    path.write_text(
        '{"process":0,"type":"invoke","f":"read","level":3}\n\n'
        '{"process":0,"type":"ok","f":"read","value":1,"level":3}\n{"process":0,"type":"invoke","f":"read"}\n'
    )
    columns = read_columns(path).columns
    assert (columns.invoke.tolist(), columns.level_names[columns.level[0]]) == ([0, 2], "3")
    (first, second) = read_history(path).operations()
    assert (first.complete_index, first.level, second.invoke_index) == (1, "3", 2)


@pytest.mark.parametrize(("tail", "torn"), [(OK, None), (OK[:20], OK[:20])])
def test_a_torn_last_line_is_reported(tmp_path: Path, tail: str, torn: str | None) -> None:
    path = tmp_path / "h.jsonl"
    path.write_text(f"{INVOKE}\n{tail}")
    reading = read_columns(path)
    assert (reading.torn, reading.events) == (torn, 1 if torn else 2)


def test_a_large_file_makes_objects_only_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "h.jsonl"
    write_history(path, parse("p0 w1 | p1 r1   p2[w5").events)
    small = read_history(path)
    monkeypatch.setattr(files, "LARGE_BYTES", 0)
    large = read_history(path)
    assert large._events is None
    assert (len(large), large.duration_ns, large.torn) == (len(small), small.duration_ns, None)
    assert large.operation(1) == small.operation(1)
    assert large._events is None
    assert large.events == small.events
    assert large.operations() == small.operations()


def test_a_large_file_that_changed_meanwhile_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "h.jsonl"
    write_history(path, parse("p0 w1").events)
    monkeypatch.setattr(files, "LARGE_BYTES", 0)
    history = read_history(path)
    write_history(path, parse("p0 w1 p0 w2").events)
    with pytest.raises(HistoryError, match="changed while it was in use"):
        history.events  # noqa: B018


def test_the_nemesis_does_no_operation() -> None:
    nemesis = Event(1, 5, "nemesis", Type.INFO, "cut", {"edges": [["n1", "n2"]]})
    asked, done = parse("p0 w1").events
    history = History([asked, nemesis, Event(2, 9, 0, done.type, done.f, done.value)])
    columns = history.columns
    assert (columns.f_names, columns.complete.tolist(), columns.values) == (["write"], [2], [None, 1])


def test_a_history_of_the_nemesis_alone_has_no_operations() -> None:
    assert len(columns_of_events([Event(0, 10, NEMESIS, Type.INFO, "kill")])) == 0


def test_rows_are_found_by_index() -> None:
    columns = columns_of_events(parse("p0[w1 p1[r_ p0] p1]1").events)
    assert [row_of(columns, index) for index in range(5)] == [0, 1, 0, 1, None]
    assert len(history_of_columns(columns).operations()) == 2


def _events(*reported: tuple[int, Type, str, Any]) -> list[Event]:
    return [Event(at, at * 10, process, kind, f, value) for at, (process, kind, f, value) in enumerate(reported)]


@pytest.mark.parametrize(
    "after",
    [
        pytest.param((1, Type.OK, "write", 9), id="another value that was not asked for, of an earlier invocation"),
        pytest.param((0, Type.OK, "write", 2), id="a completion without an invocation"),
    ],
)
def test_of_several_completions_that_cannot_be_the_first_is_reported(after: tuple[int, Type, str, Any]) -> None:
    found = _events(
        (1, Type.INVOKE, "write", 1),
        (0, Type.INVOKE, "write", 2),
        (0, Type.OK, "write", 3),
        after,
        (7, Type.OK, "x", 0),
    )
    reported = _refusal(columns_of_events, found)
    assert reported is not None and reported.startswith("event 2 (pro") and reported == _refusal(pair, found)
