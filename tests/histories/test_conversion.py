"""Every format: what is written is read again, files show their format, and what a format cannot express is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tribulation.histories import Event, History, HistoryError, Operation, Type, parse, write_history
from tribulation.histories.formats import FORMATS, detect, read, write
from tribulation.histories.model.columns import OPEN
from tribulation.histories.model.keyed import looks_keyed, split_keys
from tribulation.histories.model.rows import operation

FOLDER = Path(__file__).parents[2].parent / "shared" / "histories"
PUBLISHED = json.loads((FOLDER / "verdicts.json").read_text()) if (FOLDER / "verdicts.json").is_file() else {}
MAPS = ("jsonl", "edn", "edn-vector", "elle-json")
SESSIONS = ("awdit", "isovista")


def rows(history: History) -> list[Operation]:
    return [operation(history.columns, row) for row in range(len(history.columns))]


def reported(op: Operation) -> tuple[Any, ...]:
    """What a verdict depends on. What a failed operation would have returned is nothing, but for a mismatch."""
    result = op.result if op.type is Type.OK or op.error == "mismatch" else None
    return op.process, op.f, op.type, op.key, op.argument, result, op.error == "mismatch"


def precedence(history: History) -> list[int]:
    columns = history.columns
    ends = columns.complete[columns.complete != OPEN]
    return np.argsort(np.concatenate([columns.invoke, ends]), kind="stable").tolist()


def by_process(history: History) -> dict[Any, list[Any]]:
    found: dict[Any, list[Any]] = {}
    for op in rows(history):
        found.setdefault(op.process, []).append(op.result)
    return found


@pytest.mark.skipif(not PUBLISHED, reason="no collection of published histories beside the project")
@pytest.mark.parametrize("name", PUBLISHED or ["none"])
def test_a_published_history_goes_there_and_back(name: str, tmp_path: Path) -> None:
    history = read(FOLDER / name)
    transactions = PUBLISHED[name]["model"] == "rw-register-txn"
    register = PUBLISHED[name]["model"] in ("cas-register", "mutex")
    for form in (*MAPS, *(SESSIONS if transactions else ()), *(("jepsen-log",) if register else ())):
        path = tmp_path / form
        assert write(history, path, form) == form == detect(path)
        again = read(path)
        if form == "awdit":
            # Its sessions follow each other; without a clock, only the order inside a session says anything.
            assert sorted(by_process(again).values(), key=repr) == sorted(by_process(history).values(), key=repr)
            continue
        unlike = [
            pair for pair in zip(rows(history), rows(again), strict=True) if reported(pair[0]) != reported(pair[1])
        ]
        if form == "jepsen-log" and not name.startswith("etcd"):
            # There a failed cas saw another value; one that failed for no stated reason is written as timed out.
            unlike = [pair for pair in unlike if pair[0].type is not Type.FAIL]
        assert unlike == []
        assert precedence(again) == precedence(history)


@pytest.mark.skipif(not PUBLISHED, reason="no collection of published histories beside the project")
@pytest.mark.parametrize("name", PUBLISHED or ["none"])
def test_a_published_file_shows_its_format(name: str) -> None:
    said = PUBLISHED[name]["format"].removesuffix("-text")
    assert detect(FOLDER / name).removesuffix("-vector") == said.removesuffix("-lines")


WORD = st.text(st.characters(codec="utf-8", exclude_characters="\x00", exclude_categories=("Cs",)), max_size=6)
VALUE = st.none() | st.booleans() | st.integers(-(10**12), 10**12) | WORD | st.lists(st.integers() | WORD, max_size=3)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["read", "write", "enqueue"]), VALUE, VALUE, st.none() | WORD), max_size=6))
def test_any_values_survive_the_formats_of_maps(tmp_path_factory: pytest.TempPathFactory, listed: list[Any]) -> None:
    events = []
    for number, (f, argument, result, key) in enumerate(listed):
        events.append(Event(2 * number, number, number % 3, Type.INVOKE, f, argument, key, level="stale"))
        events.append(Event(2 * number + 1, number, number % 3, Type.OK, f, result, key, node="n1"))
    folder = tmp_path_factory.mktemp("formats")
    for form in MAPS:
        write(History(events), folder / form, form)
        assert list(read(folder / form, form).events) == events


def test_a_nil_read_of_jepsens_register_says_nothing_but_ours_does(tmp_path: Path) -> None:
    path = tmp_path / "theirs.edn"
    path.write_text(
        "{:process 0, :type :invoke, :f :read, :value nil}\n{:process 0, :type :ok, :f :read, :value nil}\n"
    )
    (silent,) = read(path).operations()
    assert (silent.type, silent.error) == (Type.FAIL, "nil says nothing")
    write(parse("p0 r_"), path, "edn")
    assert ":observed true" in path.read_text()
    (seen,) = read(path).operations()
    assert (seen.type, seen.result, dict(seen.extra)) == (Type.OK, None, {})


def test_events_without_process_or_name_are_transactions_of_one_process(tmp_path: Path) -> None:
    path = tmp_path / "h.json"
    path.write_text(
        '[{"type":"invoke","value":[["append",1,2]]},\n{"type":"ok","value":[["append",1,2]],"error":["slow","x"]}]'
    )
    (op,) = read(path).operations()
    assert (op.process, op.f, op.argument, op.error) == (0, "txn", [["append", 1, 2]], "slow: x")


def test_own_indices_are_kept_where_they_grow(tmp_path: Path) -> None:
    path = tmp_path / "h.edn"
    line = "{{:index {}, :process 0, :type :{}, :f :write, :value 1}}\n"
    path.write_text(line.format(10, "invoke") + line.format(12, "ok"))
    assert [event.index for event in read(path).events] == [10, 12]
    path.write_text(line.format(12, "invoke") + line.format(10, "ok"))
    assert [event.index for event in read(path).events] == [0, 1]


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ('{"process":0,"type":"invoke","f":"read"}\n', "jsonl"),
        ("; made by hand\n\n{:process 0}", "edn"),
        ("\n [ {:process 0}]", "edn-vector"),
        ("#jepsen.history.Op{:process 0}", "edn"),
        (' [\n {"process": 0}]', "elle-json"),
        ("2024 INFO jepsen.core - starting\nINFO  jepsen.util - 0\t:invoke\t:read\tnil\n", "jepsen-log"),
        ("w 1 2\n-----\nr 1 2\n", "awdit"),
        ("w(1,2,0,0)\n", "isovista"),
    ],
)
def test_a_file_shows_its_format_whatever_its_name(tmp_path: Path, text: str, form: str) -> None:
    path = tmp_path / "history.txt"
    path.write_text(text)
    assert detect(path) == form


def test_an_empty_file_is_what_its_name_says_and_nonsense_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "h.edn").write_text("")
    assert detect(tmp_path / "h.edn") == "edn"
    (tmp_path / "h.txt").write_text("hello")
    with pytest.raises(HistoryError, match=r"h\.txt is in no known format"):
        detect(tmp_path / "h.txt")
    with pytest.raises(HistoryError, match=r"gone\.edn: No such file"):
        read(tmp_path / "gone.edn")
    with pytest.raises(HistoryError, match="no history format 'xml'"):
        read(tmp_path / "h.edn", "xml")
    with pytest.raises(HistoryError, match="ending of a known format"):
        write(parse("p0 w1"), tmp_path / "h.txt")


@pytest.mark.parametrize(
    ("form", "text", "reason"),
    [
        ("edn", "{:process 0, :type :invoke :f}", r"h:1: a map with 5 forms"),
        ("edn", "{:process 0, :type :maybe, :f :read}", r"h: event 0: type is 'maybe'"),
        ("edn", "{:process 0, :type :invoke, :f :read}\n3", r"h: event 1: 3 is not an event"),
        ("elle-json", '{"process": 0}', "dict, not an array"),
        ("elle-json", '[{"process": 0}', "h: not JSON"),
        ("elle-json", '[{"process": 0, "type": "ok", "f": "read"}, 4]', "h: event 1: 4 is not an event"),
        ("jepsen-log", "INFO  jepsen.util - 0\t:invoke\n", "h:1: not an operation"),
        ("awdit", "w 1\n", "h:1: "),
        ("isovista", "w(1,2)\n", "h:1: "),
        ("jsonl", "{}\n", "h:1: not an event"),
    ],
)
def test_malformed_input_is_refused_with_its_place(tmp_path: Path, form: str, text: str, reason: str) -> None:
    (tmp_path / "h").write_text(text)
    with pytest.raises(HistoryError, match=reason):
        read(tmp_path / "h", form)


@pytest.mark.parametrize("form", SESSIONS)
@pytest.mark.parametrize(
    ("text", "reason"), [("p0[w1", "is not certainly committed"), ("p0 w1", "not a transaction of reads and writes")]
)
def test_what_sessions_cannot_report_is_refused_and_nothing_is_left_behind(
    tmp_path: Path, form: str, text: str, reason: str
) -> None:
    with pytest.raises(HistoryError, match=reason):
        write(parse(text), tmp_path / "h", form)
    assert list(tmp_path.iterdir()) == []


def test_a_jepsen_log_cannot_report_keys(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="cannot express key 'k'"):
        write(History([Event(0, 0, 0, Type.INVOKE, "read", key="k")]), tmp_path / "h", "jepsen-log")


def test_every_format_reads_and_writes_a_history_of_nothing(tmp_path: Path) -> None:
    for form in FORMATS:
        write(History([]), tmp_path / form, form)
        assert len(read(tmp_path / form, form)) == 0


def keyed(*reported: tuple[int, str, str, Any]) -> History:
    return History(Event(n, n, process, Type(kind), f, value) for n, (process, kind, f, value) in enumerate(reported))


def test_keys_in_values_become_keys() -> None:
    history = keyed(
        (0, "invoke", "write", ["x", 5]),
        (0, "ok", "write", ["x", 5]),
        (1, "invoke", "cas", ["y", [1, 2]]),
        (1, "ok", "cas", ["y", [1, 2]]),
        (2, "invoke", "read", ["x", None]),
        (2, "ok", "read", ["x", 5]),
        (3, "invoke", "read", ["y", None]),
    )
    assert looks_keyed(history.columns)
    columns = split_keys(history.columns)
    found = [operation(columns, row) for row in range(4)]
    assert [(op.key, op.argument, op.result) for op in found] == [
        ("x", 5, 5),
        ("y", [1, 2], [1, 2]),
        ("x", None, 5),
        ("y", None, None),
    ]


def test_a_cas_alone_is_no_key_and_a_key_that_changes_is_refused() -> None:
    assert not looks_keyed(keyed((0, "invoke", "cas", [1, 2]), (1, "invoke", "read", None)).columns)
    changed = keyed((0, "invoke", "read", ["x", None]), (0, "ok", "read", ["y", 1]))
    with pytest.raises(HistoryError, match="index 0 is about key 'x', its completion about key 'y'"):
        split_keys(changed.columns)
    with pytest.raises(HistoryError, match=r"'read' of index 1 is not \[key, value\]"):
        split_keys(keyed((0, "invoke", "write", ["x", 1]), (1, "invoke", "read", None)).columns)


def test_writing_leaves_the_old_file_when_it_fails(tmp_path: Path) -> None:
    path = tmp_path / "h.jsonl"
    write_history(path, parse("p0 w1").events)
    before = path.read_bytes()
    with pytest.raises(TypeError, match="cannot be written"):
        write_history(path, [Event(0, 0, 0, Type.INVOKE, "write", object())])
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["h.jsonl"]


@pytest.mark.parametrize("tail", [b'{"index":2,"ti', b'{"index":2,"f":"\xff', b"\0\0\0"])
def test_a_cut_last_line_is_kept_or_the_conversion_is_refused(tail: bytes, tmp_path: Path) -> None:
    """Without it the copy would pass for a whole history, and be judged otherwise."""
    source = tmp_path / "history.jsonl"
    write_history(source, parse("p0 w1").events)
    source.write_bytes(source.read_bytes() + tail)
    history = read(source)
    assert history.torn is not None
    for form in FORMATS:
        if form == "jsonl":
            write(history, tmp_path / form, form)
            assert read(tmp_path / form).torn == history.torn
        else:
            with pytest.raises(HistoryError, match="its last line is cut"):
                write(history, tmp_path / form, form)
