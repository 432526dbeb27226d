"""Files that are no histories, and histories beyond every bound: refused with their place and exit code 2, at once, or read for what they say."""

from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from tribulation.harness.cli.main import main
from tribulation.histories import History, HistoryError, canonical, read_history
from tribulation.histories.files.opening import read_bytes
from tribulation.histories.files.reading import read_columns
from tribulation.histories.formats import read, write
from tribulation.histories.formats.edn import parse_edn
from tribulation.histories.model.bounds import DEPTH, INTEGER_DIGITS, LINE_BYTES

LINE = '{{"index":0,"time":0,"process":0,"type":"invoke","f":"write","value":{}}}\n'
EDN = "{{:index 0 :time 0 :process 0 :type :invoke :f :write :value {}}}\n"


def exit_code(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(str(ended.value.code))


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def _unfinished(path: Path) -> None:
    path.write_text("[{:process 0 :type :invoke :f :read} {:process 0 :type :ok :f")


FILES = {
    "a fifo": _fifo,
    "a folder that is no run": lambda path: path.mkdir(),
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a terabyte of zeros": _sparse,
    "no UTF-8": lambda path: path.write_bytes(b'{"index":0,"f":"\xff"}\n{}\n'),
    "UTF-16": lambda path: path.write_text(LINE.format(1), "utf-16"),
    "half an EDN": _unfinished,
    "an EDN of zeros": lambda path: path.write_bytes(b"{:process 0 :f \x00}"),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("ending", ["jsonl", "edn", "json"])
def test_what_is_no_history_ends_in_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, ending: str
) -> None:
    path = tmp_path / f"history.{ending}"
    FILES[name](path)
    assert exit_code("check", path) == 2
    said = capsys.readouterr().err
    assert str(path) in said and "hint: " in said and len(said) < 3000
    assert exit_code("convert", path, tmp_path / "out.jsonl") == 2


@pytest.mark.parametrize("depth", [DEPTH + 1, 900, 100_000])
@pytest.mark.parametrize("ending", ["jsonl", "edn", "json"])
def test_values_too_deep_are_refused_with_their_place(tmp_path: Path, ending: str, depth: int) -> None:
    value = "[" * depth + "]" * depth
    path = tmp_path / f"history.{ending}"
    text = EDN if ending == "edn" else LINE
    path.write_text(f"[{LINE.format(value)}]" if ending == "json" else text.format(value))
    with pytest.raises(HistoryError, match=r"nested|recursion") as refused:
        read(path)
    assert str(path) in refused.value.message and refused.value.hint
    assert exit_code("check", path) == 2


@pytest.mark.parametrize("ending", ["jsonl", "edn"])
def test_the_deepest_values_and_the_longest_integers_are_judged_and_converted(tmp_path: Path, ending: str) -> None:
    text = EDN if ending == "edn" else LINE
    path = tmp_path / f"history.{ending}"
    path.write_text(text.format("[" * DEPTH + "9" * INTEGER_DIGITS + "]" * DEPTH))
    assert exit_code("check", path) == 3
    (op,) = read(path).operations()
    value = op.argument
    for _ in range(DEPTH):
        (value,) = value
    assert value == 10**INTEGER_DIGITS - 1


@pytest.mark.parametrize(
    "value", ["9" * (INTEGER_DIGITS + 1), "9" * 100_000, "1e999", "-1E999", "NaN", r'"\ud800"', '"\x00"', "01"]
)
def test_numbers_and_texts_that_are_none_are_refused_in_large_files_too(tmp_path: Path, value: str) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(LINE.format(value))
    for reader in (read, read_columns):
        with pytest.raises(HistoryError, match=r"history\.jsonl:1"):
            reader(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("time", 2**63), ("time", -(2**63)), ("time", 1.5), ("time", True), ("time", None), ("index", -1), ("index", 2**63), ("index", False),
        ("process", True), ("process", 1.0), ("process", None), ("process", []), ("process", "x" * 2000), ("type", []), ("type", "done"), ("f", 3),
        ("workload", []), ("workload", {}), ("level", [1]), ("level", True), ("node", {"a": 1}),
    ],
)  # fmt: skip
def test_fields_of_another_type_are_refused_however_they_are_read(tmp_path: Path, field: str, value: Any) -> None:
    path = tmp_path / "history.jsonl"
    event = {"index": 0, "time": 0, "process": 0, "type": "invoke", "f": "read", "value": None, field: value}
    path.write_text(json.dumps(event) + "\n")
    if field != "node":
        with pytest.raises(HistoryError):
            read_columns(path)
    with pytest.raises(HistoryError):
        read(path)


def test_a_line_of_a_hundred_megabytes_is_refused_without_reading_on(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    with path.open("wb") as file:
        file.write(LINE.format(1).encode())
        file.truncate(LINE_BYTES * 2)
    with pytest.raises(HistoryError, match=f"more than {LINE_BYTES} bytes"):
        read(path)


def test_a_byte_order_mark_is_no_part_of_a_history(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text("\ufeff" + LINE.format(1), "utf-8")
    assert len(read(path).operations()) == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("#{{:a 1} {:a 2}}", frozenset([(("a", 1),), (("a", 2),)])),
        ("^{:line 3} [1]", [1]),
        ("^:private ^String x", "x"),
        ("[1 #_ 2 3 #_ #_ 4 5]", [1, 3]),
        ("#_ 5 6", 6),
        ("#jepsen.history.Op{:a 1}", {"a": 1}),
        ("#:op{:a 1 :b/c 2 :_/d 3}", {"op/a": 1, "b/c": 2, "d": 3}),
        ('#:op{"a" 1}', {"a": 1}),
        (r'"\u0041\ud83d\ude00\101"', "A😀A"),
        (r"[\a \newline \u0041 \( \o101]", ["a", "\n", "A", "(", "A"]),
        ("[1/2 2/4 4/2 -3/6]", ["1/2", "1/2", 2, "-1/2"]),
        ("[1e3 1.5M 0.1M 5M 7N +5 -0]", [1000.0, 1.5, 0.1, 5, 7, 5, 0]),
    ],
)
def test_what_edn_says_is_read(text: str, value: Any) -> None:
    (found,) = parse_edn(text)
    assert canonical(_plain(found)) == canonical(value)


def _plain(value: Any) -> Any:
    return (
        frozenset(tuple(item.items()) if isinstance(item, dict) else item for item in value)
        if isinstance(value, frozenset)
        else value
    )


@pytest.mark.parametrize(
    "text",
    [
        "##NaN", "##Inf", "1e400M", "1.00000000000000000000001M", "1/0", "007", "0x1F", "2r101", r"\ud800", r'"\ud800"', r'"\q"', "{:a 1 :a 2}", "#{1 1.0}",
        "#{1 true}", '{:a 1 "a" 2}', "#{{:a 1} {:a 1.0}}", "[#tag]", "[^:a]", "#_", "^", "#:ns", "#:ns 5", "#(f)", '#"x"', "@a", "9" * (INTEGER_DIGITS + 1),
    ],
)  # fmt: skip
def test_what_edn_does_not_say_is_refused(text: str) -> None:
    with pytest.raises(HistoryError, match=r"edn:2: "):
        list(parse_edn(f"\n{text}"))


def test_sets_of_maps_are_compared_and_converted(tmp_path: Path) -> None:
    path = tmp_path / "history.edn"
    path.write_text(
        "{:process 0 :type :invoke :f :write :value #{{:a 1 :b 2} {:c 3}}}\n{:process 0 :type :ok :f :write :value #{{:c 3} {:b 2 :a 1}}}\n"
        "{:process 0 :type :invoke :f :read :value nil}\n{:process 0 :type :ok :f :read :value #{{:c 3} {:b 2 :a 1}}}\n"
    )
    assert exit_code("check", path, "--model", "register") == 0
    assert write(read(path), tmp_path / "out.jsonl") == "jsonl"
    again = read(tmp_path / "out.jsonl")
    assert isinstance(again, History) and again.operations()[0].argument == [{"a": 1, "b": 2}, {"c": 3}]


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("history.edn", "{{:process {}, :type {}, :f {}, :value {}}}\n"),
        ("jepsen.log", "INFO  jepsen.util - {}\t{}\t{}\t{}\n"),
    ],
)
@pytest.mark.parametrize(
    ("written", "seen"), [("1", "1.0"), ("1.0", "1"), ("[7 {:a 1}]", "[7 {:a 1.0}]"), ("1", "1.0M")]
)
def test_a_number_that_edn_has_in_two_ways_is_refused(
    tmp_path: Path, name: str, shape: str, written: str, seen: str
) -> None:
    """Jepsen says that 1.0 was never written; a checker, for which both are one number, would call the read correct."""
    path = tmp_path / name
    operations = [(0, ":invoke", ":write", written), (0, ":ok", ":write", written), (1, ":invoke", ":read", "nil")]
    path.write_text("".join(shape.format(*one) for one in [*operations, (1, ":ok", ":read", seen)]))
    with pytest.raises(HistoryError, match=r"event 3: 1 occurs also as 1.0: in EDN they differ"):
        read(path)
    path.write_text("".join(shape.format(*one) for one in [*operations, (1, ":ok", ":read", written)]))
    assert exit_code("check", path, "--model", "register") == 0


def test_a_history_of_json_that_has_a_number_in_two_ways_can_be_converted_to_edn(tmp_path: Path) -> None:
    values = [1, 1.0, -0.0, 1.5, 2.0**60, 1e298]
    events = [
        {"process": 0, "type": type, "f": "write", "value": value} for value in values for type in ("invoke", "ok")
    ]
    (tmp_path / "history.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    write(read(tmp_path / "history.jsonl"), tmp_path / "history.edn")
    assert [op.argument for op in read(tmp_path / "history.edn").operations()] == values


def test_a_number_for_the_name_of_a_node_is_its_text(tmp_path: Path):
    line = {"index": 0, "time": 0, "process": 0, "type": "invoke", "f": "read", "node": 7, "workload": 8, "level": 9}
    (tmp_path / "history.jsonl").write_text(json.dumps(line) + "\n")
    (event,) = read_history(tmp_path / "history.jsonl").events
    assert (event.node, event.workload, event.level) == ("7", "8", "9")


REPEATED = [
    ('"type":"invoke"', '"type":"info","type":"invoke"'),
    ('"type":"invoke"', '"type":"info","\\u0074ype":"invoke"'),
    ('"type":"invoke"', '"type" :"info","type":"invoke"'),
    ('"value":1', '"value":2,"value":1'),
    ('"process":0', '"process":1, "process"\t: 0'),
    ('"value":1', '"value":1,"log_index":7,"log_index":8'),
]


@pytest.mark.parametrize("field", REPEATED, ids=lambda field: field[1])
@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("ending", ["jsonl", "json"])
def test_a_name_that_is_there_twice_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: tuple[str, str], large: bool, ending: str
) -> None:
    """The last value won: of a read of 2 and 1 the verdict was that of 1, and another program takes the first."""
    if large:
        monkeypatch.setattr("tribulation.histories.files.files.LARGE_BYTES", 1)
    line = LINE.format(1)
    assert field[0] in line
    path = tmp_path / f"history.{ending}"
    spoilt = line.replace(*field)
    path.write_text(line + spoilt.replace('"index":0', '"index":1') if ending == "jsonl" else f"[{line},{spoilt}]")
    with pytest.raises(HistoryError, match="twice"):
        read(path)
    assert exit_code("check", path) == 2


def test_names_that_are_there_twice_in_different_objects_or_texts_are_read(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    values = [{"type": 1, "value": {"type": 2}}, 'a "type": and "type": b', [{"f": 1}, {"f": 2}], "é\u2028"]
    path.write_text(
        "".join(
            LINE.format(json.dumps(v)).replace('"index":0', f'"index":{2 * i}').replace(':0,"type"', f':{i},"type"')
            for i, v in enumerate(values)
        )
    )
    assert [event.value for event in read_history(path).events] == values


EVENT = '{"index":%d,"time":0,"process":%d,"type":"invoke","f":"write","value":1}'


@pytest.mark.parametrize(
    "text",
    [
        f"{EVENT % (0, 0)} {EVENT % (1, 1)}\n",
        f"{EVENT % (0, 0)}{EVENT % (1, 1)}\n\n",
        EVENT.replace(",", ",\n", 1) % (0, 0) + "\n",
        EVENT.replace('"type":', '"type":"info","type"\n:') % (0, 0) + "\n",
    ],
)
@pytest.mark.parametrize("large", [False, True])
def test_a_line_is_one_event_however_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, large: bool
) -> None:
    """Read as columns, events could share a line or be broken over several, and one broken before a colon could have a field twice."""
    if large:
        monkeypatch.setattr("tribulation.histories.files.files.LARGE_BYTES", 1)
    path = tmp_path / "history.jsonl"
    path.write_text(text)
    with pytest.raises(HistoryError, match=r"history\.jsonl:1: not an event"):
        read(path)


WHOLE = '{"index":1,"time":1,"process":0,"type":"ok","f":"write","value":1}'


@pytest.mark.parametrize(
    "last",
    [
        WHOLE.replace('"ok"', '"OK"'),
        WHOLE.replace('"process":0', '"process":0.0'),
        WHOLE.replace('"value":1', '"f":"write","value":1'),
        WHOLE.replace('"value":1', '"value":NaN'),
        WHOLE + WHOLE,
        WHOLE + ",",
        WHOLE + "]",
        WHOLE + ' "',
        "{}",
        "]",
        '"',
    ],
)
def test_a_whole_last_line_that_is_no_event_is_refused_also_without_its_newline(tmp_path: Path, last: str) -> None:
    """It counted as cut by a crash: the operation that it completes was left out, and a stale read was valid."""
    path = tmp_path / "history.jsonl"
    path.write_text(LINE.format(1) + last)
    for reader in (read_history, read_columns):
        with pytest.raises(HistoryError, match=r"history\.jsonl:2: not an event"):
            reader(path)
    assert exit_code("check", path) == 2


@pytest.mark.parametrize(
    "make",
    [os.mkfifo, lambda path: path.symlink_to("/dev/null"), lambda path: path.symlink_to(path.with_name("other"))],
)
def test_a_history_is_not_written_in_place_of_a_device_a_pipe_or_a_link(tmp_path: Path, make: Any) -> None:
    """As root, `tri convert history.jsonl /dev/stdout` left a file in place of the machine's link."""
    source, target = tmp_path / "history.jsonl", tmp_path / "target.edn"
    source.write_text(LINE.format(1))
    make(target)
    before = os.lstat(target)
    assert exit_code("convert", source, target) == 2
    assert os.path.samestat(before, os.lstat(target)) and not (tmp_path / "other").exists()


def test_a_small_file_takes_little_memory_however_large_it_might_be(tmp_path: Path) -> None:
    path = tmp_path / "small.json"
    path.write_text("{}")
    tracemalloc.start()
    try:
        assert read_bytes(path, 1 << 40) == b"{}"
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
