"""An object with a name twice is refused wherever it stands in a file of a run: readers differ in which value they take, and so would verdicts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.harness.evidence.documents import DocumentError, read_document
from tribulation.harness.nemesis.faults.ledger import readable_lines
from tribulation.histories import HistoryError
from tribulation.histories.files import codec, reading
from tribulation.histories.files.files import parse_history
from tribulation.histories.files.reading import read_columns
from tribulation.histories.files.store import read_json_lines

INNER = [
    '{"a":1,"a":2}',
    '[0,{"a":1,"a":2}]',
    '{"x":{"y":[{"a":1,"\\u0061":2}]}}',
    '{"a":1,"a" :2}',
    '{"a":":","a":"\\":"}',
]
AT = ["value", "key", "more"]


def line(**inner: str) -> str:
    """An event with fields of literal JSON."""
    plain = {"index": 0, "time": 0, "process": 0, "type": "invoke", "f": "write"}
    text = json.dumps(plain, separators=(",", ":"))[:-1]
    return text + "".join(f',"{name}":{value}' for name, value in inner.items()) + "}"


@pytest.mark.parametrize("at", AT)
@pytest.mark.parametrize("inner", INNER)
def test_inside_an_event(tmp_path, inner, at):
    content = (line(**{at: inner}) + "\n").encode()
    with pytest.raises(HistoryError, match="an object has 'a' twice"):
        parse_history(content, "h.jsonl")
    (tmp_path / "h.jsonl").write_bytes(content)
    with pytest.raises(HistoryError, match="an object has 'a' twice"):
        read_columns(tmp_path / "h.jsonl")


@pytest.mark.parametrize("inner", INNER)
def test_in_a_trace(tmp_path, inner):
    good = '{"node":"n1","incarnation":1,"seq":0,"mono_ns":1,"event":"start"}\n'
    bad = f'{{"node":"n1","incarnation":1,"seq":1,"mono_ns":2,"event":"x","match":{inner}}}\n'
    (tmp_path / "n1.jsonl").write_text(good + bad + good.replace('"seq":0', '"seq":2'))
    with pytest.raises(HistoryError, match=r"n1\.jsonl:2: .*an object has 'a' twice"):
        read_json_lines(tmp_path / "n1.jsonl", of_lives=True)


@pytest.mark.parametrize("inner", INNER)
def test_in_the_ledger(tmp_path, inner):
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"phase":"intended","time":1,"id":"a","kind":"cut","intended":' + inner + "}\n")
    lines, wrong = readable_lines(path)
    assert not lines and wrong is not None and "an object has 'a' twice" in wrong


@pytest.mark.parametrize("inner", INNER)
def test_in_a_document(tmp_path, inner):
    path = tmp_path / "run.json"
    path.write_text('{"state":"sealed","files":' + inner + "}")
    with pytest.raises(DocumentError, match="an object has 'a' twice"):
        read_document(path)


VALUES = st.recursive(
    st.one_of(st.none(), st.integers(), st.text(), st.sampled_from(['":', '"a":1', "\\"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=8,
)


@given(VALUES, st.booleans())
def test_what_has_no_name_twice_is_accepted(value: Any, ascii_only: bool):
    text = json.dumps({"value": value}, separators=(",", ":"), ensure_ascii=ascii_only)
    assert codec.decode_once(text.encode("utf-8", "surrogatepass")) == json.loads(text)


@given(VALUES)
def test_values_with_objects_are_decoded_in_bulk(value: Any):
    content = (line(value=json.dumps(value, separators=(",", ":"))) + "\n").encode()
    objects = codec.decode_lines(content)
    assert objects is None or not codec.any_may_repeat(content, objects) or " :" in content.decode()


NAMES = st.sampled_from(["value", "key", "k1", "k2", "k11", "1", "2", "", "u0061", "\\u0061", "a"])
NUMBERS = st.sampled_from(
    ["0", "7", "12", "-3", "1.5", "2e7", "9" * 30, '"k1"', '"\\""', "null", "[1,2]", "1" + "[" * 200]
)
OBJECTS = st.lists(st.tuples(NAMES, NUMBERS, st.sampled_from([":", " :", ": "])), max_size=4).map(
    lambda items: "{" + ",".join(f'"{name}"{colon}{value}' for name, value, colon in items) + "}"
)


@given(st.lists(st.tuples(OBJECTS, st.integers(0, 10**6)), max_size=6))
def test_lines_that_are_alike_are_looked_at_once(objects: list[tuple[str, int]]) -> None:
    """What is found is what a look at each line finds."""
    lines = [line(value=text, process=str(number)).encode() for text, number in objects]
    content = b"".join(one + b"\n" for one in lines)
    assert reading._has_strange_line(content) == any(map(reading._is_strange, lines))
