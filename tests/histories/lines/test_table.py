"""A table of lines is the objects that were written, in any order of forms, and refuses what is refused line by line."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.histories import HistoryError
from tribulation.histories.files import store
from tribulation.histories.files.codec import decode_once
from tribulation.histories.files.store import read_json_lines, read_trace
from tribulation.histories.lines.scan import scan
from tribulation.histories.lines.table import LineTable, TableBuilder

NAMES = ["seq", "n1", "n2", "n10", "x%d", "é", "a\\b", '"', "0", "e7"]
SCALARS = (
    st.integers(-(2**70), 2**70)
    | st.integers(0, 99)
    | st.sampled_from([True, None, 1.5, 1e300, -0.0, "n1", "n02", "%d7", "u0041", "\n1", "12345678901234567890"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.dictionaries(st.sampled_from(NAMES), VALUES, min_size=1, max_size=4)


def table(lines: list[bytes], parts: int = 1) -> LineTable:
    builder = TableBuilder(decode_once)
    size = -(-len(lines) // parts) or 1
    for first in range(0, len(lines), size):
        builder.add(b"".join(line + b"\n" for line in lines[first : first + size]))
    return builder.finish()


def other_numbers(text: str, seed: int) -> str:
    """The same text with other digits; it may not be JSON any more."""
    chance = random.Random(seed)
    return re.sub(
        r"\d+",
        lambda run: str(chance.randrange(10 ** chance.randint(1, 20))) if chance.random() < 0.7 else run[0],
        text,
    )


@given(st.lists(OBJECTS, min_size=1, max_size=4), st.lists(st.integers(0, 1 << 30), max_size=30), st.integers(1, 4))
def test_lines_of_few_forms_are_what_was_written(models: list[Any], seeds: list[int], parts: int) -> None:
    texts = [
        json.dumps(models[seed % len(models)], ensure_ascii=seed % 2 == 0, separators=(",", ":")) for seed in seeds
    ]
    lines = [other_numbers(text, seed).encode() for text, seed in zip(texts, seeds, strict=True)]
    expected = []
    for line in lines:
        try:
            expected.append(decode_once(line))
        except ValueError:
            with pytest.raises(ValueError):
                table(lines, parts)
            return
    found = table(lines, parts)
    assert [repr(line) for line in found] == [repr(line) for line in expected]
    assert [repr(found[place]) for place in range(len(found))] == [repr(line) for line in expected]
    assert list(map(repr, found[2:7])) == list(map(repr, expected[2:7]))
    numbers = [line.get("seq") for line in expected]
    column = found.numbers("seq")
    if column is not None:
        assert column.tolist() == numbers
    else:
        assert any(type(value) is not int or abs(value) > 2**62 for value in numbers)
    by_text = {place: value for value, places in found.texts("n1") for place in places.tolist()}
    assert [repr(by_text[place]) for place in range(len(found))] == [repr(line.get("n1")) for line in expected]


@given(st.text(alphabet="0123456789ab\n", max_size=80))
def test_a_scan_finds_every_run(text: str) -> None:
    lines = (text + "\n").encode().split(b"\n")[:-1]
    found = scan((text + "\n").encode())
    assert found.texts == [re.sub(rb"\d+", b"0", line) for line in lines]
    for place, line in enumerate(lines):
        runs = re.findall(rb"\d+", line)
        odd = any(len(run) > 18 or (len(run) > 1 and run.startswith(b"0")) for run in runs)
        assert odd == (place in found.odd)
        if not odd:
            assert found.numbers[found.first[place] : found.first[place + 1]].tolist() == list(map(int, runs))


@pytest.mark.parametrize(
    "line",
    [
        '{"n1":7,"n1":8}',
        '{"m":{"n3":7,"n3":8}}',
        '{"seq":07}',
        '{"seq":1',
        '{"seq":1}{"seq":2}',
        "[1]",
        '{"seq":1,"seq":2}',
    ],
)
def test_one_bad_line_among_many_of_its_form_is_refused(line: str) -> None:
    good = re.sub(r"\d+", lambda run: str(run.start() + 1), line) if line.count("n") > 1 else '{"seq":3}'
    with pytest.raises(ValueError):
        table([good.encode()] * 3 + [line.encode()])


def many(count: int) -> list[bytes]:
    return [
        b'{"node":"n1","incarnation":1,"seq":%d,"mono_ns":%d,"event":"durable","index":%d}' % (n, 5 * n, n)
        for n in range(count)
    ]


TAILS: dict[str, bytes] = {
    "whole": b"",
    "torn": b'{"node":"n1","se',
    "unended": b'{"node":"n1","seq":9}',
    "blank": b"\n\n",
}


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize(
    "inside", [b"", b"\n", b'{"node":"n1","s{"node":"n1","incarnation":2,"seq":0}\n', b'{"seq":1.0e2}\n']
)
def test_a_large_trace_reads_as_a_small_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tail: str, inside: bytes
) -> None:
    monkeypatch.setattr(store, "_BLOCK_BYTES", 4096)
    lines = [line + b"\n" for line in many(2000)]
    path = tmp_path / "n1.jsonl"
    path.write_bytes(b"".join([*lines[:900], inside, *lines[900:], TAILS[tail]]))
    assert path.stat().st_size > store.LARGE_BYTES
    found = read_trace(path)
    assert list(found) == read_json_lines(path, of_lives=True)
    assert isinstance(found, LineTable) == (b"s{" not in inside and inside != b"\n" and tail != "blank")


@pytest.mark.parametrize(
    "line",
    [b'{"a":1,"a":2}\n', b"nonsense\n", b'{"seq":' + b"9" * 400 + b"}\n", b'{"v":' + b"[" * 70 + b"]" * 70 + b"}\n"],
)
def test_a_large_trace_is_refused_with_the_place_of_the_line(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "n1.jsonl"
    path.write_bytes(b"\n".join(many(900)) + b"\n" + line + b"\n".join(many(1800)[900:]) + b"\n")
    with pytest.raises(HistoryError, match=r"n1\.jsonl:901"):
        read_trace(path)


def test_lines_of_more_forms_than_are_kept_apart_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tribulation.histories.lines.table.MOST_FORMS", 3)
    lines = [b'{"%s":%d}' % (b"x" * (n % 7 + 1), n) for n in range(50)]
    found = table(lines)
    assert list(found) == [json.loads(line) for line in lines]
    assert len(found.odd) > 20
