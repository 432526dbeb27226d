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
