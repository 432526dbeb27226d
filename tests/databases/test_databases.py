"""Real databases: what they promise holds under verified faults, what they do not promise falls, and what once ended in a wrong verdict ends in the right one.

The expected verdicts were written down before the runs. `make systems-test` runs them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tribulation.harness.nemesis.faults.power_models import STRICTER

SYSTEMS = Path(__file__).resolve().parents[2] / "systems"
HOLDS = sorted(path.stem for pattern in ("*-holds.yaml", "*-hold.yaml") for path in SYSTEMS.glob(pattern))
FALLS = sorted(path.stem for pattern in ("*-falls.yaml", "*-fall.yaml") for path in SYSTEMS.glob(pattern))
TRIES = 3
"""Runs of what must fall: chance decides whether one shows it."""


def run(tri: Any, campaign: str, *settings: str, seed: int = 7) -> tuple[int, dict[str, Any]]:
    words = [word for setting in settings for word in ("--set", setting)]
    ended = tri("run", f"systems/{campaign}.yaml", "--json", "--seed", str(seed), *words, timeout_s=400.0)
    assert ended.stdout, ended.stderr
    return ended.exit_code, ended.document


def test_each_campaign_says_what_it_must_show():
    assert len(HOLDS) >= 3 and len(FALLS) >= 3
    assert sorted([*HOLDS, *FALLS]) == sorted(path.stem for path in SYSTEMS.glob("*.yaml"))


@pytest.mark.parametrize("campaign", HOLDS)
def test_what_it_promises_holds_under_verified_faults(tri, namespaces, campaign):
    exit_code, document = run(tri, campaign)
    assert exit_code == 0, (document["verdict"], document["doubts"], document["errors"])
    assert document["faults"] and all(fault["verified"] and fault["undone"] for fault in document["faults"])
    assert not document["power_model"] or document["power_model"]["model"] == "journaled"


@pytest.mark.parametrize("campaign", FALLS)
def test_what_it_does_not_promise_falls_and_the_witness_alone_shows_it(tri, namespaces, campaign):
    for seed in range(7, 7 + TRIES):
        exit_code, document = run(tri, campaign, seed=seed)
        if exit_code == 1:
            break
    assert exit_code == 1, (document["verdict"], document["doubts"], document["errors"])
    derived = subprocess.run(
        [sys.executable, str(SYSTEMS / "derive.py"), document["run"]], capture_output=True, text=True
    )
    assert derived.returncode == 0, derived.stdout


def test_a_wall_clock_that_go_reads_is_really_moved(tri, namespaces):
    """etcd maps a preloaded library and never asks it: Go reads the vDSO."""
    clock = "faults=[{clock: {target: all, offset: 60s, after: 2s, for: 4s}}]"
    exit_code, document = run(tri, "etcd-holds", "duration=10s", clock)
    (fault,) = document["faults"]
    assert fault["verified"] and "vdso" in json.dumps(fault["observed"]).lower(), fault["observed"]
    assert exit_code == 0, document["doubts"]


def test_while_all_processes_of_a_server_are_paused_nothing_is_answered(tri, namespaces, tmp_path):
    """PostgreSQL has a process for each client, which went on while the postmaster alone was stopped."""
    pause = "faults=[{pause: {target: [n1], after: 3s, for: 4s}}]"
    exit_code, document = run(tri, "postgres-registers-hold", "duration=10s", pause)
    assert exit_code == 0, document["doubts"]
    (pause,) = document["faults"]
    assert pause["verified"]
    lines = [json.loads(line) for line in (Path(document["run"]) / "history.jsonl").read_text().splitlines()]
    answered = [line for line in lines if line["type"] == "ok" and pause["seen_ns"] < line["time"] < pause["heal_ns"]]
    assert answered == []


def test_a_server_that_never_comes_back_is_unknown(tri, namespaces):
    """What it had answered until it lost its power was in order; nothing is known of what it kept."""
    power = "faults=[{power-loss: {target: [n1], after: 4s, for: 1s}}]"
    settings = ("duration=12s", power, "system.options={restarts: false}")
    exit_code, document = run(tri, "postgres-registers-hold", *settings)
    assert (document["verdict"], exit_code in (3, 4)) == ("unknown", True)
    assert document["checkers"]["linearizable"]["verdict"] == "valid"
    assert "did not come back" in document["checkers"]["final-reads"]["reason"]


def test_the_strict_model_takes_what_no_journaling_file_system_takes_and_the_verdict_says_so(tri, namespaces):
    power = "faults=[{power-loss: {target: all, after: 6s, for: 1s, model: strict}}]"
    exit_code, document = run(tri, "etcd-holds", "duration=14s", power)
    assert document["power_model"]["model"] == "strict"
    assert exit_code != 0
    if document["verdict"] == "invalid":
        assert document["power_model"]["note"] == STRICTER


def test_the_trial_of_a_server_that_does_not_sync_finds_what_a_power_loss_takes(tri, namespaces):
    ended = tri("try", "systems/redis_single.py", "--nodes", "1", "--option", "appendfsync=no", timeout_s=400.0)
    assert ended.exit_code == 1 and "WRONG power loss: every host lost its power, and then" in ended.stdout
