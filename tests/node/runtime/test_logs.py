"""Traces of several lives in one file."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from tribulation.checkers.base.result import RunRecord
from tribulation.checkers.traces.traces import read_traces
from tribulation.node.runtime.telemetry import logs
from tribulation.node.runtime.telemetry.logs import NodeLog, TraceFile


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


def test_lines_that_were_dropped_leave_a_gap_and_an_event(tmp_path: Path) -> None:
    trace = TraceFile(tmp_path / "trace.jsonl", "n1", 1)
    trace.add(1, "start", {})
    trace.lost(2, 5, "gate")
    trace.add(3, "quorum", {})
    trace.close()
    lines = [json.loads(line) for line in (tmp_path / "trace.jsonl").read_text().splitlines()]
    assert [(line["seq"], line["event"], line.get("count")) for line in lines] == [
        (0, "start", None),
        (6, "dropped", 5),
        (7, "quorum", None),
    ]
    (incarnation,) = read_traces(RunRecord(history=[], traces={"n1": lines[1:]})).incarnations["n1"]
    assert incarnation.gaps == (0,)


def test_what_comes_after_the_bound_of_a_trace_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "TRACE_BYTES", 10)
    trace = TraceFile(tmp_path / "trace.jsonl", "n1", 1)
    trace.add(1, "start", {})
    trace.flush()
    trace.add(2, "append", {})
    trace.close()
    events = [json.loads(line)["event"] for line in (tmp_path / "trace.jsonl").read_text().splitlines()]
    assert events == ["start", "trace-bounded"] and trace.unwritten == 1


def test_a_log_that_rotates_is_written_by_many_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file descriptor of the moment belongs to one thread at a time: none writes into a file that another has just closed."""
    monkeypatch.setattr(logs, "LOG_BYTES", 2000)
    log = NodeLog(tmp_path / "node.log", node="n1")
    failed: list[BaseException] = []

    def write(name: str) -> None:
        try:
            for number in range(400):
                log.info("a line", thread=name, number=number)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    log.info("nobody reads this")
    assert failed == [] and log.rotated > 100 and log.unwritten == 0
    for name in ("node.log", "node.log.1"):
        path = tmp_path / name
        assert path.stat().st_size <= 2000
        assert all(json.loads(line)["message"] == "a line" for line in path.read_text().splitlines())


def test_a_disk_that_takes_no_log_does_not_end_the_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    log = NodeLog(tmp_path / "node.log")
    monkeypatch.setattr(logs, "write_all", full)
    log.error("lost")
    assert log.unwritten == 1
    log.close()
