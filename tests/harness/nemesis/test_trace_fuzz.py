"""Lines of a node's trace, of any content and in any pieces: the follower reports the next right one, and keeps little."""

from __future__ import annotations

import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from tests.harness.nemesis.test_agent_fuzz import FUZZ, LINES
from tests.node.fuzz.values import WIDE_VALUES
from tribulation.harness.agent import follow

TRACES = st.lists(
    st.one_of(
        LINES,
        st.tuples(WIDE_VALUES, WIDE_VALUES).map(lambda row: json.dumps({"event": row[0], "mono_ns": row[1]}).encode()),
        WIDE_VALUES.map(lambda value: json.dumps({"event": "leader-elected", "mono_ns": value}).encode()),
        st.just(b'["leader-elected"]'),
    ),
    max_size=8,
)


@FUZZ
@given(TRACES, st.integers(1, 64))
def test_traces_that_are_followed(lines: list[bytes], piece: int) -> None:
    with TemporaryDirectory() as directory:
        trace = Path(directory) / "trace.jsonl"
        trace.touch()
        heard: list[tuple[str, int]] = []

        def notify(event: str, age_ns: int) -> None:
            heard.append((event, age_ns))

        asked = {"trace": str(trace), "events": {"leader-elected": "leader"}, "files": {}, "spare_s": 0}
        follower = follow.Follower(asked, notify)
        with open(trace, "ab") as file:
            for line in lines:
                file.write(line + b"\n")
                file.flush()
                follower.read()
            heard.clear()
            last = json.dumps({"event": "leader-elected", "mono_ns": time.monotonic_ns()}).encode() + b"\n"
            for at in range(0, len(last), piece):
                file.write(last[at : at + piece])
                file.flush()
                follower.read()
        assert [event for event, _ in heard] == ["leader"]
        json.dumps(heard)


def test_a_line_of_a_trace_that_never_ends_fills_no_memory(tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    trace.touch()
    asked = {"trace": str(trace), "events": {"e": "e"}, "files": {}, "spare_s": 0}
    follower = follow.Follower(asked, lambda event, age_ns: None)
    for _ in range(4):
        with open(trace, "ab") as file:
            file.write(b"x" * (2 * follow.READ_BYTES))
        follower.read()
        assert len(follower._torn) <= follow.READ_BYTES
