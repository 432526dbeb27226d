"""A service whose `pid` names no process: a kill then ends nothing, and does not count as one that did."""

from __future__ import annotations

from pathlib import Path

from tests.harness.nemesis.lab_tools import deploy, fault, running
from tests.harness.nemesis.plain_service import Plain
from tribulation.harness.hosts.base import Host
from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.nemesis.cluster import cluster
from tribulation.harness.nemesis.kinds.processes import processes

NOT_THERE = 4_000_000
"""Above `pid_max` of a host with its default."""


class WrongPid(Plain):
    """Starts what `Plain` starts, and names another process."""

    def pid(self, host: Host) -> int | None:
        return NOT_THERE if super().pid(host) is not None else None


def test_a_kill_of_a_process_that_was_not_there_is_not_verified(
    lab: LocalProvider, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(cluster, "PID_S", 0.5)
    monkeypatch.setattr(processes, "PROCESS_S", 0.5)
    wrong, right, n1 = WrongPid(), Plain(), lab.hosts[0]
    deploy(wrong, list(lab.hosts), clocks=False)
    try:
        with running(lab, wrong, tmp_path / "ledger.jsonl") as injector:
            seen = injector.inject(fault("kill", nodes=["n1"]))
            assert right.pid(n1) is not None, "the process of the system goes on"
            assert not seen.verified and seen.observed["not_there_before"] == ["n1"], seen
    finally:
        for host in lab.hosts:
            right.stop(host)
