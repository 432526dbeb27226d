"""Hosts without power and hosts that are frozen: silent to everybody, back with their services, and back without the harness."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.nemesis.lab_tools import await_that, both_ways, fault, programs, running, state, table
from tests.harness.nemesis.plain_service import Supervised
from tribulation.harness.hosts.base import Host
from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.nemesis.inject.injector import HostInjector
from tribulation.harness.systems.reference.system import ReferenceService

ROOT = Path(__file__).parents[3]
LEASE_S = 4.0


@pytest.fixture(scope="module")
def shared(lab: LocalProvider, service: Supervised, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostInjector]:
    with running(lab, service, tmp_path_factory.mktemp("power") / "ledger.jsonl") as made:
        yield made


@pytest.fixture
def injector(shared: HostInjector) -> Iterator[HostInjector]:
    yield shared
    assert shared.heal_all().verified


@pytest.mark.full
def test_an_outage_is_renewed_and_the_hosts_come_back_by_themselves_without(
    lab: LocalProvider, service: Supervised, tmp_path: Path
) -> None:
    lab_process = [
        sys.executable,
        str(Path(__file__).with_name("outage_process.py")),
        lab.lab_name,
        str(lab._base),
        str(LEASE_S),
    ]
    n1, n2, n3 = lab.hosts
    with subprocess.Popen(
        [*lab_process, str(tmp_path / "ledger")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as harness:
        try:
            assert harness.stdout is not None
            assert len(json.loads(harness.stdout.readline())) == 4
            time.sleep(LEASE_S + 1)
            assert [host["on"] for host in lab.status()["hosts"]] == [False, True, True, True], "it is renewed"
            assert lab.status()["hosts"][1]["frozen"]
        finally:
            harness.kill()
    killed_s = time.monotonic()
    for host in (n1, n2):
        host.close()
    await_that("n1 has power, n2 goes on", lambda: is_back(lab), LEASE_S + 5)
    await_that("nothing is in force", lambda: table(n1) == table(n3) == "" and "stopped" not in plain(n1), LEASE_S + 5)
    assert time.monotonic() - killed_s < LEASE_S + 5
    await_that("watchdogs gone", lambda: all(programs(host, "watchdog") == [] for host in lab.hosts))
    service.start(n1, {})  # it leaves no boot hook


def boots(lab: LocalProvider) -> dict[str, int]:
    return {host["name"]: host["boots"] for host in lab.status()["hosts"]}


def test_a_host_without_power_is_silent_and_boots_at_the_heal(
    lab: LocalProvider, service: Supervised, injector: HostInjector
) -> None:
    n1, n2, _ = lab.hosts
    before = boots(lab)
    power = fault("power", nodes=["n1", "n2"])
    seen = injector.inject(power)
    assert seen.verified and seen.observed["answers"] == {"n1": "nothing", "n2": "nothing"}
    assert list(injector.situation().up) == ["n3"]
    cut = fault("cut", edges=both_ways(("n3", "n1")))
    injector.inject(cut)
    healed = injector.heal(power)
    assert healed.verified, healed
    assert {name: count - before[name] for name, count in boots(lab).items()} == {
        "n1": 1,
        "n2": 1,
        "n3": 0,
        "clients": 0,
    }
    assert "10.77.0.3" in table(n1), "what else is in force is in force again after the boot"
    assert state(n1, service) in ("S", "R") and state(n2, service) in ("S", "R")
    assert injector.heal(cut).verified and table(n1) == ""


def test_what_a_fault_holds_down_stays_down_over_a_boot(
    lab: LocalProvider, service: Supervised, injector: HostInjector
) -> None:
    n1 = lab.hosts[0]
    kill, power, second = (fault(kind, nodes=["n1"]) for kind in ("kill", "power", "power"))
    for each in (kill, power, second):
        seen = injector.inject(each)
        assert seen.verified, seen
    assert (seen := injector.heal(power)).verified, seen
    assert not lab.status()["hosts"][0]["on"], "the other one holds"
    assert (seen := injector.heal(second)).verified, seen
    await_that("the kill holds over the boot", lambda: state(n1, service) is None)
    assert injector.heal(kill).verified and state(n1, service) in ("S", "R")


def test_a_host_is_frozen_whole_and_goes_on(lab: LocalProvider, service: Supervised, injector: HostInjector) -> None:
    n1 = lab.hosts[0]
    pause, freeze = fault("pause", nodes=["n1"]), fault("pause", nodes=["n1"], whole="host")
    pid = service.pid(n1)
    assert injector.inject(pause).verified
    seen = injector.inject(freeze)
    assert seen.verified and seen.observed["answers"] == {"n1": "its kernel"}
    assert injector.heal(freeze).verified
    assert service.pid(n1) == pid and state(n1, service) == "T", "what was stopped before stays stopped"
    assert injector.heal(pause).verified and state(n1, service) in ("S", "R")


def is_back(lab: LocalProvider) -> bool:
    return all(host["on"] and not host["frozen"] for host in lab.status()["hosts"])


def plain(host: Host) -> str:
    return host.run(f"ls {host.directory}/plain").stdout


def test_the_reference_node_is_started_by_the_boot(tmp_path: Path) -> None:
    lab = LocalProvider(nodes=1, name="boot-test", directory=tmp_path)
    try:
        (n1,) = lab.up()
        service = ReferenceService()
        service.install(n1, [n1])
        service.start(n1, {})
        service.wait_ready(n1, 20)
        with running(lab, Supervised(), tmp_path / "ledger.jsonl"):
            pass
        assert n1.run(f"ls {n1.directory}/boot.d").stdout.split() == ["50-service"], "the agent's hook went with it"
        lab.power_off("n1")
        lab.boot("n1")
        service.wait_ready(n1, 20)
        service.stop(n1)
        assert n1.run(f"ls {n1.directory}/boot.d").stdout == ""
    finally:
        lab.down()
