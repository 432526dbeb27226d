"""When the harness is killed, freezes or just ends: every host is whole again, and nothing claims that a fault lasted that did not."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.harness.nemesis.lab_tools import (
    all_is_well,
    await_that,
    both_ways,
    deploy,
    fault,
    other_harness,
    programs,
    running,
)
from tests.harness.nemesis.plain_service import Plain, Supervised
from tribulation.harness.errors import FaultError
from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.nemesis.agent_client.heal import heal
from tribulation.harness.nemesis.faults.ledger import read_ledger

LEASE_S = 4.0
"""Short, but not so short that a busy machine lets it run out while it is renewed."""


def test_heal_all_undoes_what_is_on_and_the_ledger_reports_the_story(
    lab: LocalProvider, service: Supervised, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.jsonl"
    with running(lab, service, path) as injector:
        injector.inject(fault("cut", edges=both_ways(("n1", "n2"))))
        injector.inject(fault("kill", nodes=["n3"]))
        assert injector.heal_all().verified
        injector.inject(fault("cut", edges=[]))
        with pytest.raises(FaultError, match="cannot change its voters"):
            injector.inject(fault("voters", voters={"n3": 0}))
        reported = read_ledger(path)
        assert [(f.kind, f.verified, f.healed_ns is not None) for f in reported] == [
            ("cut", True, True),
            ("kill", True, True),
            ("cut", False, False),
            ("voters", False, False),
        ], "a cut of nothing did nothing; a change that cannot be made is reported"
        first = reported[0]
        assert first.start_ns < (first.injected_ns or 0) < (first.heal_ns or 0) < (first.healed_ns or 0)
        head, *lines = map(json.loads, path.read_text().splitlines())
        assert "schema_version" in head
        phases = [line["phase"] for line in lines]
        assert phases[:3] == ["intended", "injected", "verified"]
    library = ["clock", "clock_shim.so", "clock_vdso.bin"]
    assert [host.run(f"ls {host.directory}/nemesis").stdout.split() for host in lab.hosts] == [library] * 3


def test_hosts_heal_themselves_when_the_harness_is_killed(
    lab: LocalProvider, service: Supervised, tmp_path: Path
) -> None:
    with other_harness(lab, tmp_path / "ledger.jsonl", LEASE_S) as harness:
        assert not all_is_well(lab, service)
        harness.kill()
        harness.wait()
        await_that("hosts healed by their watchdogs", lambda: all_is_well(lab, service))
    journal = lab.hosts[0].get(f"{lab.hosts[0].directory}/nemesis/journal.jsonl").decode()
    assert [json.loads(line)["who"] for line in journal.splitlines()][-1] == "watchdog"
    await_that("watchdogs gone", lambda: all(programs(host, "watchdog") == [] for host in lab.hosts))
    assert heal(lab.hosts) == []
    assert [f.healed_ns for f in read_ledger(tmp_path / "ledger.jsonl")] == [None] * 4


@pytest.mark.full
def test_heal_undoes_everything_once(lab: LocalProvider, service: Supervised, tmp_path: Path) -> None:
    with other_harness(lab, tmp_path / "ledger.jsonl", 600) as harness:
        harness.kill()
        harness.wait()
    clients = lab.client_host()
    assert clients is not None
    undone = heal([*lab.hosts, clients])
    assert sorted(entry.split(": ")[0] + " " + entry.split(": ")[1] for entry in undone) == [
        "clients cut",
        "n1 cut",
        "n1 kill",
        "n2 cut",
        "n2 pause",
        "n3 clock",
    ]
    await_that("everything runs", lambda: all_is_well(lab, service))
    assert heal([*lab.hosts, clients]) == []
    n1 = lab.hosts[0]
    n1.run(f"rm -r {n1.directory}/nemesis/agent.pyz {n1.directory}/nemesis/force.json; nft add table inet tribulation")
    assert [entry.split(" (")[0] for entry in heal(lab.hosts)] == ["n1: cut: table inet tribulation"], (
        "even with no account of it"
    )


def test_a_frozen_harness_learns_that_its_faults_lapsed(
    lab: LocalProvider, service: Supervised, tmp_path: Path
) -> None:
    with other_harness(lab, tmp_path / "ledger.jsonl", LEASE_S) as harness:
        assert harness.stdin is not None and harness.stdout is not None
        harness.send_signal(signal.SIGSTOP)
        await_that("hosts healed by their watchdogs", lambda: all_is_well(lab, service))
        harness.send_signal(signal.SIGCONT)
        harness.stdin.write("heal\n")
        harness.stdin.flush()
        assert [observed.get("lapsed") for observed in json.loads(harness.stdout.readline())] == [True] * 4
        harness.stdin.close()
        assert harness.wait(timeout=30) == 0
    assert [f.verified for f in read_ledger(tmp_path / "ledger.jsonl")] == [False] * 4


def test_a_service_without_supervisor_is_started_by_itself_or_by_the_host(
    lab: LocalProvider, service: Supervised, tmp_path: Path
) -> None:
    for host in lab.hosts:
        service.stop(host)
    plain = Plain()
    deploy(plain, list(lab.hosts), clocks=True)
    n1 = lab.hosts[0]
    try:
        with running(lab, plain, tmp_path / "ledger.jsonl") as injector:
            kill = fault("kill", nodes=["n1"])
            assert injector.inject(kill).verified and plain.pid(n1) is None
            assert injector.heal(kill).verified and plain.pid(n1) is not None
            again = fault("kill", nodes=["n1"])
            assert injector.inject(again).verified
            (entry,) = [entry for entry in heal(lab.hosts) if "kill" in entry]
            assert "program.py" in entry and n1.run("ps -eo args= | grep -c '[p]rogram.py'").stdout.strip() == "1"
            n1.run("kill -9 $(ps -eo pid=,args= | awk '/[p]rogram.py/ {print $1}')")
            plain.start(n1, {})
            assert injector.heal_all().verified, "what another process started again is found"
    finally:
        for host in lab.hosts:
            plain.stop(host)


class WithoutClientHost:
    """The same lab as if its clients ran with the harness: their place cannot be firewalled, or reached by probes from here."""

    def __init__(self, lab: LocalProvider) -> None:
        self.hosts, self.client_addresses = lab.hosts, lab.client_addresses
        self.dial = lab.dial

    def client_host(self) -> None:
        return None


def test_clients_without_a_host_of_their_own_are_cut_at_the_sender(
    lab: LocalProvider, service: Supervised, tmp_path: Path
) -> None:
    provider: Any = WithoutClientHost(lab)
    n2 = lab.hosts[1]
    server = n2.start(
        [n2.python, "-c", "import socket; s = socket.create_server(('', 7779)); print('ready', flush=True); s.accept()"]
    )
    try:
        assert server.read_line(10) == "ready"
        with running(provider, service, tmp_path / "ledger.jsonl") as injector:
            cut = fault("cut", edges=[["n2", "clients"]])
            seen = injector.inject(cut)
            assert not seen.verified and seen.observed["unprobed"] == [["n2", "clients"]], "not seen is not claimed"
            with pytest.raises(TimeoutError):
                lab.dial(n2.address, 7779, timeout_s=0.3)
            assert n2.run("echo alive").stdout == "alive\n"
            injector.heal(cut)
            lab.dial(n2.address, 7779, timeout_s=5).close()
    finally:
        server.close()


def test_a_second_harness_is_refused_while_the_first_renews(
    lab: LocalProvider, service: Supervised, tmp_path: Path
) -> None:
    with running(lab, service, tmp_path / "first.jsonl") as injector:
        with (
            pytest.raises(FaultError, match="another harness uses this host"),
            running(lab, service, tmp_path / "second.jsonl"),
        ):
            pass
        assert injector.inject(cut := fault("cut", edges=[["n1", "n2"]])).verified and injector.heal(cut).verified
