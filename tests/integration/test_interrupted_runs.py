"""A user ends a run: what was recorded before is judged, and an anomaly outranks the interrupt."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.conftest import ROOT
from tests.integration.running import await_that, with_default_signals

CAMPAIGN = """
name: interrupted
hosts: {provider: local, nodes: 1}
system: {file: SYSTEM, options: {stale: STALE}}
duration: 60s
checkers: [linearizable]
workloads:
  - register: {keys: 1, clients: 4, rate: 200/s}
"""
OPERATIONS = 300


@pytest.mark.parametrize(("stale", "exit_code", "signals"), [("true", 1, 1), ("false", 130, 1), ("true", 130, 2)])
def test_an_anomaly_outranks_one_interrupt(
    tmp_path: Path, labs: Path, namespaces: None, stale, exit_code, signals
) -> None:
    """A second one omits the check: everything is undone, and the folder can be checked later."""
    campaign, runs = tmp_path / "campaign.yaml", tmp_path / "runs"
    system = ROOT / "tests" / "systems" / "register_server.py"
    campaign.write_text(CAMPAIGN.replace("SYSTEM", str(system)).replace("STALE", stale))
    process = subprocess.Popen(
        [sys.executable, "-m", "tribulation.harness.cli", "run", str(campaign), "--runs", str(runs), "--json"],
        cwd=ROOT,
        env={**os.environ, "TRI_LABS": str(labs)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=with_default_signals,
    )
    history = runs / "latest" / "history.jsonl"
    await_that(lambda: history.exists() and history.read_bytes().count(b"\n") > 2 * OPERATIONS, "operations", 60.0)
    for count in range(signals):
        process.send_signal(signal.SIGINT)
        if count:
            break
        assert process.stderr is not None
        while "interrupted: " not in process.stderr.readline():
            pass
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == exit_code, stderr
    facts = json.loads((runs / "latest" / "run.json").read_text())
    assert facts["state"] == "sealed" and facts["errors"] == ["the user ended the run before its final reads"]
    assert (runs / "latest" / "verdict.json").exists() == (signals == 1)
    if exit_code == 1:
        assert json.loads(stdout)["verdict"] == "invalid"
    else:
        assert "interrupted: no fault is active; hosts are down" in stderr
