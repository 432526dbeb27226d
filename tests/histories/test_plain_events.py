"""Ordinary lines become events in bulk: the same events, and the same refusals with their places, as line by line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.full import examples
from tribulation.histories import Event, HistoryError
from tribulation.histories.files import codec, files
from tribulation.histories.files.reading import event_of_line, last_event

ODD = st.sampled_from(
    [None, True, 5, -1, "x", "x" * 1025, 1 << 62, (1 << 62) + 1, 10**299, 10**301, 1e300, 1.5, "ok", "é\x01", "\ud800", '"a":', ":", " :",
     [], {}, ["x"], [":"], {"type": "ok"}, {"a": {"type": 1, "f": 2}}]
)  # fmt: skip
PLAIN = {"index": 0, "time": 5, "process": 1, "type": "invoke", "f": "read", "value": None, "node": "n1"}
NAMES = st.sampled_from([*PLAIN, "key", "workload", "level", "error", "other", "observed", "\x01", ""])
SPELLINGS = st.sampled_from(['"{}":', '"{}" :', '"{}"\t:', '"{}"\r :', '"{}": ', '"{}"\n:', '"{}":\n'])


def _spelled(name: str, escaped: bool) -> str:
    return f"\\u{ord(name[0]):04x}{name[1:]}" if name and (escaped or name == "\x01") else name


@st.composite
def _lines(draw: Any) -> str:
    """A line of an event; often a field or two are odd, missing, or there twice in some spelling."""
    changes = draw(st.dictionaries(NAMES, ODD, max_size=2))
    without = draw(st.sets(st.sampled_from([*PLAIN]), max_size=1))
    fields = {name: value for name, value in {**PLAIN, **changes}.items() if name not in without}
    ascii_only, compact = draw(st.booleans()), draw(st.booleans())
    if "\ud800" in fields.values():
        ascii_only = True
    text = json.dumps(fields, ensure_ascii=ascii_only, separators=(",", ":") if compact else None)
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        name = draw(SPELLINGS).format(_spelled(draw(NAMES), draw(st.booleans())))
        text = "{" + name + json.dumps(draw(ODD)) + "," + text[1:]
    return text


@settings(max_examples=examples(500), deadline=None)
@given(
    st.lists(_lines(), max_size=6),
    st.sampled_from(["\n", "\n", "\n", "\n\n", "\r\n", "\n \n", "", " "]),
    st.sampled_from(["", "\n", "\n\n", "\n{", '\n{"type":"ok","type":"ok"}']),
    st.sampled_from([1, 300, codec.AT_ONCE_BYTES]),
)
@example(['{"type":"fail","type":"ok","process":1,"f":"read","value":{"a":1}}'], "\n", "\n", 300)
@example(['{"type" :"fail","type":"ok","process":1,"f":"read","value":{"a":1}}'], "\n", "\n", 300)
@example(['{"type":"ok","process":1,"f":"read","value":{"f":1,"f":2}}'], "\n", "\n", 300)
@example(['{"type":"ok","process":1,"f":"read","a":1,"a":2}'], "\n", "\n", 300)
@example(['{"type":"ok","process":1,"f":"read","a":1,"a":2,"value":"\\u00e9"}'], "\n", "\n", 300)
@example(['{"type":"ok","type"', ':"ok","process":1,"f":"read"}', '{"type":"ok","process":1,"f":"read"}' * 2], "\n", "\n", 300)  # fmt: skip
def test_in_bulk_as_line_by_line(lines: list[str], between: str, tail: str, at_once_bytes: int) -> None:
    content = (between.join(lines) + tail).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "AT_ONCE_BYTES", at_once_bytes)
        assert _outcome(files.parse_history, content) == _outcome(_line_by_line, content)


def test_events_of_many_parts_are_in_order_and_a_fault_has_its_place() -> None:
    """Long enough for several parts, of which one is read line by line: the numbers of lines and events go on."""
    plain = [json.dumps({**PLAIN, "index": index, "value": "x" * 400}) for index in range(3000)]
    plain[1500] = plain[1500].replace('"process": 1', '"process" : 1')
    history = files.parse_history("\n".join(plain).encode(), "h.jsonl")
    assert [event.index for event in history.events] == list(range(3000))
    plain[2500] = plain[2500].replace("{", '{"value":1,')
    with pytest.raises(HistoryError, match=r"h\.jsonl:2501: not an event: an object has 'value' twice"):
        files.parse_history("\n".join(plain).encode(), "h.jsonl")


def test_most_lines_are_decoded_in_bulk() -> None:
    """Lines with every name once are, with escapes in texts, and those with inner objects and texts that hold a colon."""
    found = [
        '{"type":"ok","process":1,"f":"\\u00e9","value":{"a":1}}',
        '{"type":"ok","process":1,"f":"read","error":":"}',
    ]
    for lines in ([found[0].replace('{"a":1}', "1")], [found[0].replace("\\u00e9", "read"), found[1]]):
        content = "".join(line + "\n" for line in lines).encode()
        objects = codec.decode_lines(content)
        assert objects is not None and not codec.any_may_repeat(content, objects)


def _line_by_line(content: bytes, source: str) -> tuple[list[Event], str | None]:
    *lines, tail = content.split(b"\n")
    events: list[Event] = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            events.append(event_of_line(line, number, len(events), source))
    if tail.strip():
        last = last_event(tail, content.count(b"\n") + 1, len(events), source)
        if last is None:
            return events, tail.decode()
        events.append(last)
    return events, None


def _outcome(read: Any, content: bytes) -> Any:
    """Events as text, in which 1, 1.0 and True differ."""
    try:
        found = read(content, "h.jsonl")
    except HistoryError as error:
        return error.message, error.hint
    events, torn = found if isinstance(found, tuple) else (found.events, found.torn)
    return repr(list(events)), torn
