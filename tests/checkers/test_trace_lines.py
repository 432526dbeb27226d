"""Fields of trace lines have the types that nodes write, also where two events have a field of one name."""

from __future__ import annotations

from typing import Any

import pytest

from tribulation.checkers.traces.lines import problem

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
