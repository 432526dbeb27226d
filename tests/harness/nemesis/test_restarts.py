"""Processes that a kill took down: which of them are started again, and how long they are waited for."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from tribulation.harness.errors import FaultError
from tribulation.harness.nemesis.cluster import cluster as cluster_module
from tribulation.harness.nemesis.faults.fault import Intent, Resolved
from tribulation.harness.nemesis.kinds.processes import processes

from .stand_ins import NoService, StandIn, StandIns, injecting

GONE = {"ok": True, "pid": None, "state": None, "started": None, "running": [], "stopped": []}


def kill(*nodes: str) -> Resolved:
    return Resolved(Intent("kill-1", "kill", {}, 0, None, "kill-1"), {"nodes": list(nodes)})


class Turning:
    """A clock that only `sleep` moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds_s: float) -> None:
        self.now_s += seconds_s


def test_a_kill_that_failed_on_another_host_is_taken_back_by_the_service(
    tmp_path: Path,
) -> None:
    started: list[str] = []

    class Unsupervised:
        name, capabilities, port = NoService.name, NoService.capabilities, NoService.port
        pid, leader, status = NoService.pid, NoService.leader, NoService.status

        def start(self, host: StandIn, environment: object) -> None:
            started.append(host.name)

    cluster = StandIns(2)
    with injecting(cluster, tmp_path / "ledger.jsonl", service=Unsupervised()) as (injector, _):
        cluster.lies["n2"] = {"set": '{"ok": false, "error": "OSError: no space left"}'}
        with pytest.raises(FaultError, match="changing the active faults failed on 1 of 2"):
            injector.inject(kill("n1", "n2"))
        assert started == ["n1"]


def test_what_did_not_come_back_is_not_waited_for_as_long_a_second_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, cluster, down = Turning(), StandIns(2), SimpleNamespace(now=False)
    monkeypatch.setattr(processes, "time", clock)
    monkeypatch.setattr(cluster_module, "PID_S", 0.0)
    with injecting(cluster, tmp_path / "ledger.jsonl") as (injector, _):
        cluster.lies["n1"] = {
            "set": lambda answer: (setattr(down, "now", True), json.dumps({"ok": True, **answer}))[1],
            "process": lambda answer: json.dumps(GONE if down.now else {"ok": True, **answer}),
        }
        fault = kill("n1")
        assert injector.inject(fault).verified
        assert not injector.heal(fault).verified
        assert processes.RESTART_S <= clock.now_s < processes.RESTART_S + 1
        began_s = clock.now_s
        assert not injector.heal_all().verified
        assert clock.now_s - began_s < processes.PROCESS_S + 1
