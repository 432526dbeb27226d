"""A run against units that a service manager keeps running, on real local hosts; the manager is a stand-in with real processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CAMPAIGN = "tests/systems/running-unit.yaml"


def test_its_kill_lasts_and_it_is_linearizable(tri: Any, namespaces: None) -> None:
    ended = tri("run", CAMPAIGN, "--json")
    assert ended.exit_code == 0, ended.stderr
    document = ended.document
    faults = [(fault["kind"], fault["verified"], fault["undone"]) for fault in document["faults"]]
    assert faults == [("kill", True, True), ("pause", True, True)]
    assert document["ops"]["ok"] > 50
    for node in ("n1", "n2"):
        journal = Path(document["run"]) / f"logs/{node}/journal.log"
        assert journal.read_text().startswith("journal of own.service since @")


def test_a_workload_that_meets_data_of_earlier_runs_is_refused(tri: Any, labs: Path) -> None:
    ended = tri("run", CAMPAIGN, "--set", "workloads=[{register: {}}, {bank: {}}]")
    assert ended.exit_code == 2 and not labs.exists(), ended.stderr
    # The client has no operations of a bank, which it does not say.
    assert "workload 'bank' depends on everything in the cluster" in ended.stderr
