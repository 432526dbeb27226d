"""Lines of traces and logs: what is kept, where it lies in time, and what hostile or damaged files do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tribulation.checkers.traces.traces import Clocks
from tribulation.harness.report.nodes.logs import MOST_LINES, read_logs
from tribulation.harness.report.nodes.reading import read_nodes
from tribulation.harness.report.nodes.traces import MOST_OF_A_KIND, read_traces

MS = 1_000_000
CLOCKS = Clocks({"n1": (1000 * MS, 0)})


def _trace(folder: Path, events: list[dict[str, Any]], node: str = "n1") -> Path:
    folder.mkdir(exist_ok=True)
    lines = [{"node": node, "incarnation": 1, "seq": at, **event} for at, event in enumerate(events)]
    (folder / f"{node}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_rare_events_are_kept_and_frequent_ones_only_near_the_moments_that_matter(tmp_path: Path) -> None:
    acks = [{"mono_ns": (1000 + at) * MS, "event": "ack", "kind": "read", "index": at, "term": 1} for at in range(900)]
    leader = {"mono_ns": 1500 * MS, "event": "leader", "term": 1, "last_index": 4, "votes": ["n1", "n2"]}
    folder = _trace(tmp_path / "trace", [leader, *acks])
    lines = read_traces(folder, CLOCKS, {"n1": [700 * MS]}, [])
    assert [line.text for line in lines if line.event == "leader"] == [
        "became leader of term 1 with votes of n1, n2; log up to 4"
    ]
    near = [line.at_ns for line in lines if line.event == "ack"]
    assert 700 * MS in near
    assert 0 < len(near) < 20 < MOST_OF_A_KIND
    assert all(at is not None and abs(at - 700 * MS) <= 20 * MS for at in near)


def test_damaged_lines_are_passed_over_and_fields_of_any_type_are_text(tmp_path: Path) -> None:
    folder = tmp_path / "trace"
    folder.mkdir()
    odd = {"node": "n1", "mono_ns": 1200 * MS, "incarnation": [], "event": "leader", "term": {"a": 1}, "votes": 7}
    lines = ['{"event":"halt", broken', "[1]", json.dumps({"event": "halt"}), json.dumps(odd), "\x00\x01"]
    (folder / "n1.jsonl").write_text("\n".join(lines))
    found = read_traces(folder, CLOCKS, {"n1": [1]}, [])
    assert [(line.event, line.at_ns) for line in found] == [("halt", None), ("leader", None)]
    assert "term {" in found[1].text


def test_json_logs_lie_in_time_and_plain_ones_in_order_with_their_alarms(tmp_path: Path) -> None:
    home = tmp_path / "logs" / "n1"
    home.mkdir(parents=True)
    line = {
        "time": "2026-12-01T16:23:17",
        "mono_ns": 1250 * MS,
        "level": "warning",
        "message": "link down",
        "peer": "n2",
    }
    (home / "node.log").write_text(json.dumps(line) + "\n")
    chatter = [f"GET /key/{at} 200" for at in range(MOST_LINES + 50)]
    (home / "server.log").write_text("\n".join(["PANIC: disk is gone", *chatter]))
    notes: list[str] = []
    found = read_logs(tmp_path / "logs", CLOCKS, notes)
    assert [(one.at_ns, one.level, one.text) for one in found[:2]] == [
        (250 * MS, "warning", "link down: peer n2"),
        (None, "error", "PANIC: disk is gone"),
    ]
    assert len(found) == MOST_LINES + 1
    assert notes == [
        f"logs/n1/server.log has {MOST_LINES + 51} lines; {MOST_LINES} are on this page, warnings and errors first."
    ]


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "secret.log").write_text("secret")
    home = tmp_path / "run" / "logs" / "n1"
    home.mkdir(parents=True)
    (home / "secret.log").symlink_to(elsewhere / "secret.log")
    (tmp_path / "run" / "logs" / "n2").symlink_to(elsewhere)
    (tmp_path / "run" / "trace").symlink_to(elsewhere)
    assert read_nodes(tmp_path / "run", {}).lines == []


def test_a_run_json_of_another_shape_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"clock_offsets_ns": {"n1": "soon"}}')
    said = read_nodes(tmp_path, {})
    assert said.lines == []
    assert len(said.notes) == 1 and "run.json cannot be read" in said.notes[0]
