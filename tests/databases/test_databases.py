"""Real databases: what they promise holds under verified faults, and what once ended in a wrong verdict ends in the right one.

The expected verdicts were written down before the runs. `make databases` runs them; Debian's `etcd-server`, `redis-server` and `postgresql` are needed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

HERE = "tests/databases"


def run(tri: Any, campaign: str, *settings: str, seed: int = 7) -> tuple[int, dict[str, Any]]:
    words = [word for setting in settings for word in ("--set", setting)]
    ended = tri("run", f"{HERE}/{campaign}.yaml", "--json", "--seed", str(seed), *words, timeout_s=400.0)
    assert ended.stdout, ended.stderr
    return ended.exit_code, ended.document


@pytest.mark.parametrize("database", ["etcd", "redis", "postgres"])
def test_what_it_promises_holds_under_verified_faults(tri, namespaces, database):
    exit_code, document = run(tri, database)
    assert exit_code == 0, (document["verdict"], document["doubts"], document["errors"])
    assert all(fault["verified"] and fault["undone"] for fault in document["faults"])
    assert document["power_model"]["model"] == "journaled"


def test_a_wall_clock_that_go_reads_is_really_moved(tri, namespaces):
    """etcd maps a preloaded library and never asks it: Go reads the vDSO."""
    clock = "faults=[{clock: {target: all, offset: 60s, after: 2s, for: 4s}}]"
    exit_code, document = run(tri, "etcd", "duration=10s", clock)
    (fault,) = document["faults"]
    assert fault["verified"] and "vdso" in json.dumps(fault["observed"]).lower(), fault["observed"]
    assert exit_code == 0, document["doubts"]


def test_while_all_processes_of_a_server_are_paused_nothing_is_answered(tri, namespaces, tmp_path):
    """PostgreSQL has a process for each client, which went on while the postmaster alone was stopped."""
    exit_code, document = run(tri, "postgres", "duration=10s", "faults=[{pause: {target: [n1], after: 3s, for: 4s}}]")
    assert exit_code == 0, document["doubts"]
    (pause,) = document["faults"]
    assert pause["verified"]
    lines = [json.loads(line) for line in (Path(document["run"]) / "history.jsonl").read_text().splitlines()]
    answered = [line for line in lines if line["type"] == "ok" and pause["seen_ns"] < line["time"] < pause["heal_ns"]]
    assert answered == []


def test_a_server_that_never_comes_back_is_unknown(tri, namespaces):
    """What it had answered until it lost its power was in order; nothing is known of what it kept."""
    power = "faults=[{power-loss: {target: [n1], after: 4s, for: 1s}}]"
    exit_code, document = run(tri, "postgres", "duration=12s", power, "system.options={restarts: false}")
    assert (document["verdict"], exit_code in (3, 4)) == ("unknown", True)
    assert document["checkers"]["linearizable"]["verdict"] == "valid"
    assert "did not come back" in document["checkers"]["final-reads"]["reason"]


def test_the_strict_model_takes_what_no_journaling_file_system_takes_and_the_verdict_says_so(tri, namespaces):
    power = "faults=[{power-loss: {target: all, after: 6s, for: 1s, model: strict}}]"
    exit_code, document = run(tri, "etcd", "duration=14s", power)
    assert document["power_model"]["model"] == "strict"
    assert exit_code != 0
    if document["verdict"] == "invalid":
        assert "stricter" in document["power_model"]["note"]
