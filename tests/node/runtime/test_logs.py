"""Traces of several lives in one file."""

from __future__ import annotations

import json
from pathlib import Path

from node.runtime.logs import TraceFile


def test_a_new_life_begins_on_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_bytes(b'{"node":"n1","incarnation":1,"seq":0}\n{"node":"n1",')
    trace = TraceFile(path, "n1", 2)
    trace.add(5, "start", {})
    trace.close()
    whole, torn, born = path.read_text().splitlines()
    assert torn == '{"node":"n1",' and json.loads(whole)["seq"] == 0
    assert json.loads(born) == {"node": "n1", "incarnation": 2, "seq": 0, "mono_ns": 5, "event": "start"}


def test_nothing_is_added_to_a_file_that_ends_well(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    TraceFile(path, "n1", 1).close()
    assert path.read_bytes() == b""
