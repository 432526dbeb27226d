"""Fields of trace lines have the types that nodes write, also where two events have a field of one name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.checkers.traces.lines import LIMIT, _problems, problem

HEAD = {"node": "n1", "incarnation": 1, "seq": 7, "mono_ns": 99}


@pytest.mark.parametrize(
    "line",
    [
        {"event": "memory-collected", "records": [["fact", "r5"]]},
        {"event": "memory-start", "replica": "n1.1.a", "records": 3},
    ],
)
def test_what_agent_memory_writes_is_understood(line: dict[str, Any]) -> None:
    assert problem({**HEAD, **line}) is None
    assert problem({**HEAD, **line, "records": "many"}) is not None


def test_a_write_that_ended_after_a_snapshot_covered_its_entry_is_understood() -> None:
    """The log has its term no more. That line made 5 of 180 runs of a correct node unknown."""
    assert problem({**HEAD, "event": "durable", "index": 3, "term": None}) is None
    assert problem({**HEAD, "event": "durable", "index": 3, "term": "3"}) == "durable has term '3'"
    assert problem({**HEAD, "event": "vote", "term": None, "candidate": "n2"}) is not None


@pytest.mark.parametrize("name", ["node", "incarnation", "seq", "mono_ns", "event"])
def test_a_line_without_a_header_is_refused_by_the_name_of_what_it_lacks(name: str) -> None:
    line = {**HEAD, "event": "quorum"}
    assert problem(line) is None
    assert problem({**line, name: [1]}) == f"{name} is [1]"
    del line[name]
    assert problem(line) == f"no {name}"


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([LIMIT + 1, -LIMIT - 1, LIMIT, "n1", 1.5]),
    st.lists(st.sampled_from(["n1", 1, None]), max_size=2), st.lists(st.lists(st.sampled_from([1, 7, LIMIT + 1, "x", None, True]), max_size=4), max_size=2),
    st.dictionaries(st.sampled_from(["n1", "n2"]), st.sampled_from([1, LIMIT + 1, True, "x"]), max_size=2),
)  # fmt: skip
FIELDS = (
    "node",
    "incarnation",
    "seq",
    "mono_ns",
    "event",
    "entries",
    "acks",
    "match",
    "voters",
    "index",
    "term",
    "from",
    "x",
)
PLAIN = {"node": "n1", "incarnation": 1, "seq": 0, "mono_ns": 5, "event": "durable", "index": 1, "term": 1}


@given(
    st.lists(
        st.builds(
            lambda event, changes: {**PLAIN, "event": event, **changes},
            st.sampled_from(["durable", "append", "truncate", "commit", "config", "other"]),
            st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=3),
        ),
        max_size=12,
    )
)
def test_lines_looked_at_by_their_form_are_those_looked_at_one_by_one(lines):
    wrong = [(number, why) for number, line in enumerate(lines, start=1) if (why := problem(line)) is not None]
    assert _problems(lines) == wrong
