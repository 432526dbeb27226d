"""A fault on a process is one on all processes of the system there, and is seen on all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.nemesis.forking_service import WAYS, Forking, serving
from tests.harness.nemesis.lab_tools import await_that, deploy, fault, running
from tribulation.harness.agent.processes import cgroups
from tribulation.harness.hosts.base import Host
from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.nemesis.agent_client.heal import heal
from tribulation.harness.nemesis.faults.fault import Resolved
from tribulation.harness.nemesis.inject.injector import HostInjector
from tribulation.harness.nemesis.registry import package_of

PROGRAM = " program.py"
PIDS = "$(ps -eo pid=,stat=,args= | awk '/ program[.]py$/ && !/sh -c/ && $2 !~ /Z/ {print $1}')"
needs_groups = pytest.mark.skipif(
    any(cgroups.usable(name)[0] is None for name in (cgroups.CPU, cgroups.MEMORY)),
    reason="no control groups of our own can be made here: run as root",
)


@pytest.fixture(scope="module")
def service(lab: LocalProvider) -> Iterator[Forking]:
    forking = Forking()
    deploy(forking, list(lab.hosts), clocks=False)
    yield forking
    for host in lab.hosts:
        forking.stop(host)


@pytest.fixture(scope="module")
def shared(lab: LocalProvider, service: Forking, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostInjector]:
    with running(lab, service, tmp_path_factory.mktemp("trees") / "ledger.jsonl") as made:
        yield made


@pytest.fixture
def injector(lab: LocalProvider, shared: HostInjector) -> Iterator[HostInjector]:
    await_that("all serve", lambda: all(serving(lab, host).keys() == WAYS.keys() for host in lab.hosts))
    yield shared
    assert shared.heal_all().verified


def states(host: Host) -> list[str]:
    """The state of each process of the system."""
    lines = host.run("ps -eo stat=,args=").stdout.splitlines()
    return [line[0] for line in lines if line.endswith(PROGRAM) and "sh -c" not in line and line[0] != "Z"]


def test_a_pause_stops_every_process_of_the_system_and_its_heal_continues_them(
    lab: LocalProvider, injector: HostInjector
) -> None:
    n1, n2, _ = lab.hosts
    pause = fault("pause", nodes=["n1"])
    seen = injector.inject(pause)
    assert seen.verified, seen
    assert serving(lab, n1) == {}, "no process answers while the pause is verified"
    assert set(states(n1)) == {"T"} and seen.observed["processes_of"]["n1"] == len(states(n1))
    assert serving(lab, n2).keys() == WAYS.keys()
    healed = injector.heal(pause)
    assert healed.verified and "T" not in states(n1), healed
    await_that("all serve again", lambda: serving(lab, n1).keys() == WAYS.keys())


def test_a_kill_leaves_no_process_of_the_system(lab: LocalProvider, injector: HostInjector) -> None:
    n1 = lab.hosts[0]
    before = serving(lab, n1)
    kill = fault("kill", nodes=["n1"])
    seen = injector.inject(kill)
    assert seen.verified and states(n1) == [] and serving(lab, n1) == {}, seen
    assert injector.heal(kill).verified
    await_that("all serve again", lambda: serving(lab, n1).keys() == WAYS.keys())
    assert not set(before.values()) & set(serving(lab, n1).values())


def test_a_host_that_is_healed_without_its_harness_continues_all(lab: LocalProvider, injector: HostInjector) -> None:
    n1 = lab.hosts[0]
    pause = fault("pause", nodes=["n1"])
    assert injector.inject(pause).verified
    (said,) = heal(lab.hosts)
    assert said.startswith("n1: pause: process ") and "T" not in states(n1)
    await_that("all serve again", lambda: serving(lab, n1).keys() == WAYS.keys())
    assert heal(lab.hosts) == []
    assert injector.heal(pause).observed["lapsed"]


def test_one_process_that_goes_on_is_no_pause(lab: LocalProvider, injector: HostInjector) -> None:
    n1 = lab.hosts[0]
    pause = fault("pause", nodes=["n1"])
    assert injector.inject(pause).verified
    worker = next(line.split()[0] for line in n1.run("ps -eo pid=,args=").stdout.splitlines() if line.endswith(PROGRAM))
    worker = n1.run(f"pgrep -P {worker} | head -n 1").stdout.strip()
    n1.run(["kill", "-CONT", worker])
    seen = package_of("pause").look(pause, injector._ground, True)
    assert not seen.verified and seen.observed["nodes"] == [], seen
    assert seen.observed["states"]["n1"] == "T" and seen.observed["unlike"]["n1"][0].startswith(f"{worker} ")
    healed = injector.heal(pause)
    assert healed.verified and healed.observed["lapsed"], "somebody else had ended it for one process"
    assert [other.split()[0] for other in healed.observed["not_held"]["n1"] if other.endswith("S")] == [worker]


def test_what_is_started_slowly_is_held_with_all_that_it_forked(lab: LocalProvider, injector: HostInjector) -> None:
    n1 = lab.hosts[0]
    kill = fault("kill", nodes=["n1"], slow_start_ns=1_000_000_000)
    assert injector.inject(kill).verified
    seen = injector.heal(kill)
    assert seen.verified and "unlike" not in seen.observed, seen
    assert "T" not in states(n1)


def test_descriptors_of_every_process_are_limited_and_given_back(lab: LocalProvider, injector: HostInjector) -> None:
    n1 = lab.hosts[0]
    before = descriptors(n1)
    limit = fault("descriptors", nodes=["n1"], limit=20)
    seen = injector.inject(limit)
    assert seen.verified and seen.observed["seen"]["n1"]["of_all"] == [20], seen
    assert descriptors(n1) == {"20"}
    assert injector.heal(limit).verified and descriptors(n1) == before


@needs_groups
@pytest.mark.parametrize(
    "limit", [fault("cpu", nodes=["n1"], share_ppm=200_000), fault("memory", nodes=["n1"], limit_bytes=512 << 20)]
)
def test_every_process_is_in_the_group_that_is_limited(
    lab: LocalProvider, injector: HostInjector, limit: Resolved
) -> None:
    n1 = lab.hosts[0]
    kind = limit.intent.kind
    # One that is being born, or ends, is in the topmost group for an instant.
    await_that("one group", lambda: len(groups(n1, kind)) == 1)
    before = groups(n1, kind)
    seen = injector.inject(limit)
    assert seen.verified, seen
    await_that("all in our group", lambda: len(inside := groups(n1, kind)) == 1 and "/tribulation-" in inside.pop())
    assert injector.heal(limit).verified
    await_that("all where they were", lambda: groups(n1, kind) == before)


def descriptors(host: Host) -> set[str]:
    """The soft limit of each process of the system."""
    lines = host.run(
        f"for p in {PIDS}; do grep '^Max open' /proc/$p/limits; done 2>/dev/null || true"
    ).stdout.splitlines()
    return {line.split()[3] for line in lines}


def groups(host: Host, controller: str) -> set[str]:
    """The control group of each process of the system."""
    lines = host.run(f"for p in {PIDS}; do cat /proc/$p/cgroup; done 2>/dev/null || true").stdout.splitlines()
    return {line for line in lines if controller in line.split(":")[1].split(",")}
