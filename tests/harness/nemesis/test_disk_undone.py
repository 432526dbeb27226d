"""Faults of disks whose harness is killed, and disks that are taken away: what is left is what was there before."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.nemesis.lab_tools import HERE, LAB, await_that
from tests.harness.nemesis.writing_service import Writing, alive, complaint, mounts, on_fault_disks
from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.nemesis.agent_client.heal import heal
from tribulation.harness.nemesis.cluster import fault_disk

LEASE_S = 3.0


@pytest.fixture(scope="module")
def writing(lab: LocalProvider) -> Iterator[Writing]:
    with on_fault_disks(lab) as service:
        yield service


@pytest.mark.full
def test_without_its_harness_everything_is_undone(lab: LocalProvider, writing: Writing, tmp_path: Path) -> None:
    """The disks are well, the damage is repaired or written over, the backup is gone, the processes run, the mounts are as before."""
    before = [mounts(host) for host in lab.hosts]
    command = [
        sys.executable,
        str(HERE / "disk_process.py"),
        LAB,
        str(lab._base),
        str(LEASE_S),
        str(tmp_path / "ledger.jsonl"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[2])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "[true, true, true, true]\n"
            assert "No space" in complaint(lab.hosts[0], writing)
        finally:
            process.kill()
    killed_s = time.monotonic()
    await_that("the disk is not full", lambda: complaint(lab.hosts[0], writing) == "")
    for host in lab.hosts:
        await_that("it runs and writes", lambda host=host: alive(host, writing))  # type: ignore[misc]
        assert (
            host.run(f"cat {fault_disk.state_directory(host)}/damage.json 2>/dev/null || echo '[]'").stdout.strip()
            == "[]"
        )
    assert time.monotonic() - killed_s < LEASE_S + 5 + 5, "the lease, what it may take, and what our looks take"
    assert [mounts(host) for host in lab.hosts] == before
    assert "backup" not in lab.hosts[0].run(["ls", fault_disk.state_directory(lab.hosts[0])]).stdout
    assert heal(lab.hosts) == []
