"""Processes with too little of a processor, of memory, of descriptors: limited, seen to be, and as before when it is over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.harness.nemesis.lab_tools import await_that, fault, running, state
from tests.harness.nemesis.plain_service import Supervised
from tribulation.harness.agent.faults import limits, slow_start
from tribulation.harness.agent.faults.process import known
from tribulation.harness.agent.keeper import Keeper
from tribulation.harness.agent.processes import cgroups, limit_looks, proc, processes
from tribulation.harness.agent.state.store import Store
from tribulation.harness.hosts.base import Host
from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.nemesis.agent_client.heal import heal
from tribulation.harness.nemesis.inject.injector import HostInjector

MIB = 1 << 20
PROGRAM = """
import os, socket, threading, time
here, held, memory = socket.create_server(("", 10000)), [], []
def accept():
    while True:
        try: held.append(here.accept())
        except OSError: time.sleep(0.01)
threading.Thread(target=accept, daemon=True).start()
while True:
    time.sleep(0.005)
    if os.path.exists("hungry"): memory.append(b"x" * (1 << 20))
"""
GROUPS = ("cpu", "memory")


needs_groups = pytest.mark.skipif(
    any(cgroups.usable(name)[0] is None for name in (cgroups.CPU, cgroups.MEMORY)),
    reason="no control groups of our own can be made here: run as root",
)


class Hungry(Supervised):
    """It holds every connection that is made to it, and takes up memory for as long as there is a file `hungry`."""

    def install(self, host: Host, cluster: Sequence[Host]) -> None:
        host.put(PROGRAM.encode(), f"{host.directory}/plain/program.py")


@pytest.fixture(scope="module")
def service(lab: LocalProvider) -> Iterator[Hungry]:
    hungry = Hungry()
    for host in lab.hosts:
        hungry.install(host, lab.hosts)
        hungry.start(host, {})
        hungry.wait_ready(host, 5)
    yield hungry
    for host in lab.hosts:
        hungry.stop(host)


def stopped(pid: int) -> bool:
    seen = proc.read(pid)
    return seen is not None and seen.state == "T"


def groups(lab: LocalProvider) -> list[str]:
    """Every group of ours on this machine that is one of this lab's hosts."""
    names = [f"tribulation-{host.run('stat -Lc %i /proc/self/ns/pid').stdout.strip()}" for host in lab.hosts]
    return sorted(str(path) for path in Path("/sys/fs/cgroup").glob("**/tribulation-*") if path.name in names)


def limits_of(host: Host, service: Hungry) -> tuple[str, str, str, str]:
    """All that a limit may have changed of the host and its process: its groups and limits, mounts, how it runs."""
    pid = service.pid(host)
    said = host.run(
        f"cat /proc/{pid}/cgroup; echo --; cat /proc/{pid}/limits; echo --; cut -d' ' -f4,5 /proc/self/mountinfo"
    ).stdout
    own, limits, mounts = said.split("--")
    return own, limits, mounts, "stopped" if state(host, service) in ("T", "t") else "runs"


@needs_groups
@pytest.mark.full
def test_every_limit_is_over_when_nobody_renews_it(lab: LocalProvider, service: Hungry, tmp_path: Path) -> None:
    before = [limits_of(host, service) for host in lab.hosts]
    root = Path(__file__).parents[3]
    command = [
        sys.executable,
        str(Path(__file__).with_name("limits_process.py")),
        lab.lab_name,
        str(lab._base),
        "8",
        str(tmp_path / "l"),
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(root)}
    ) as harness:
        try:
            assert harness.stdout is not None
            assert len(json.loads(harness.stdout.readline())) == 3, (
                "who is not seen on a loaded machine is there all the same"
            )
            assert [limits_of(host, service) for host in lab.hosts] != before
            assert len(groups(lab)) == 3
        finally:
            harness.kill()
    await_that("as before", lambda: [limits_of(host, service) for host in lab.hosts] == before, 8 + 5)
    assert groups(lab) == []
    assert heal(lab.hosts) == []


@pytest.fixture(scope="module")
def shared(lab: LocalProvider, service: Hungry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostInjector]:
    with running(lab, service, tmp_path_factory.mktemp("limits") / "ledger.jsonl") as made:
        yield made


@pytest.fixture
def injector(lab: LocalProvider, service: Hungry, shared: HostInjector) -> Iterator[HostInjector]:
    before = [limits_of(host, service) for host in lab.hosts]
    yield shared
    assert shared.heal_all().verified
    assert [limits_of(host, service) for host in lab.hosts] == before and groups(lab) == []


@needs_groups
def test_a_starved_process_gets_its_share_also_when_it_is_started_again(
    lab: LocalProvider, service: Hungry, injector: HostInjector
) -> None:
    n1 = lab.hosts[0]
    cpu = fault("cpu", nodes=["n1", "n2"], share_ppm=100_000)
    seen = injector.inject(cpu)
    assert seen.verified, seen
    assert seen.observed["seen"]["n1"]["share_ppm"] < 150_000
    less = fault("cpu", nodes=["n1"], share_ppm=50_000)
    assert injector.inject(less).verified, "of two, the one that leaves less"
    old = service.pid(n1)
    n1.run(["kill", "-9", str(old)])
    await_that("another process", lambda: service.pid(n1) not in (None, old))
    await_that("under the same limit", lambda: "tribulation-" in limits_of(n1, service)[0])
    assert injector.heal(less).verified
    assert injector.heal(cpu).verified


@needs_groups
def test_a_process_that_takes_too_much_memory_is_killed_and_started_again(
    lab: LocalProvider, service: Hungry, injector: HostInjector
) -> None:
    n1 = lab.hosts[0]
    memory = fault("memory", nodes=["n1"], limit_bytes=48 * MIB)
    seen = injector.inject(memory)
    assert seen.verified and seen.observed["seen"]["n1"]["probe_killed"], seen
    assert seen.observed["seen"]["n1"]["resident_bytes"] < 48 * MIB
    old = service.pid(n1)
    n1.run(f"touch {n1.directory}/plain/hungry")
    await_that("killed", lambda: service.pid(n1) != old)
    n1.run(f"rm {n1.directory}/plain/hungry")
    await_that("back", lambda: service.pid(n1) is not None)
    assert injector.heal(memory).verified


@needs_groups
def test_what_is_larger_already_is_killed_at_once(lab: LocalProvider, service: Hungry, injector: HostInjector) -> None:
    n1 = lab.hosts[0]
    old = service.pid(n1)
    n1.run(f"touch {n1.directory}/plain/hungry; sleep 0.5; rm {n1.directory}/plain/hungry")
    memory = fault("memory", nodes=["n1"], limit_bytes=20 * MIB)
    seen = injector.inject(memory)
    assert seen.verified, seen
    n1.run(f"touch {n1.directory}/plain/hungry; sleep 0.3; rm {n1.directory}/plain/hungry")
    await_that("killed and started again", lambda: service.pid(n1) not in (None, old))
    assert injector.heal(memory).verified


def test_a_process_gets_no_more_descriptors(lab: LocalProvider, service: Hungry, injector: HostInjector) -> None:
    descriptors = fault("descriptors", nodes=["n1"], limit=12)
    seen = injector.inject(descriptors)
    assert seen.verified and seen.observed["exhausted"] == ["n1"], seen
    assert seen.observed["seen"]["n1"]["open"] == 12
    healed = injector.heal(descriptors)
    assert healed.verified, healed


def test_a_process_that_was_killed_starts_slowly(lab: LocalProvider, service: Hungry, injector: HostInjector) -> None:
    n1 = lab.hosts[0]
    kill = fault("kill", nodes=["n1"], slow_start_ns=1_500_000_000)
    assert injector.inject(kill).verified
    seen = injector.heal(kill)
    assert seen.verified and 1000 < seen.observed["held_ms"] < 15_000, seen
    assert state(n1, service) in ("S", "R")


def test_a_slow_start_is_over_when_it_is_undone() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as sleeper:
        claimed = slow_start.claim({}, {"hold_ns": 600 * 10**9}, {"process": {"pid": sleeper.pid}})
        held = slow_start.change(claimed, {}, {})
        assert stopped(sleeper.pid) and slow_start.change(held, {}, {}) == held
        assert slow_start.undo(held) == [f"slow start: process {sleeper.pid}"] and slow_start.undo(held) == []
        assert not stopped(sleeper.pid)
        sleeper.kill()


def test_a_process_that_one_look_missed_is_limited_too(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = [proc.Process(pid, "chain", "S", 1, pid, pid, pid) for pid in (101, 102)]
    looks, soft = iter([[chain[0]], [], [chain[1]]]), {101: 1024, 102: 1024}
    monkeypatch.setattr(processes, "tree", lambda how: processes.Tree(tuple(next(looks, [])), frozenset()))
    monkeypatch.setattr(processes, "alive", lambda pid: True)
    monkeypatch.setattr(limits.descriptors, "read", soft.get)
    monkeypatch.setattr(limits.descriptors, "put", soft.update)
    limits.hold({"process": {"pid": 101}, "nofile": {"prior": 1024, "limit": 20, "others": []}})
    assert soft == {101: 20, 102: 20}


@pytest.mark.parametrize("obeys", [True, False])
def test_a_busy_host_has_several_turns_before_a_process_is_reported_outside(
    monkeypatch: pytest.MonkeyPatch, obeys: bool
) -> None:
    """A turn took six seconds there: the second process, forked before the first turn, was limited and then reported as outside."""
    pair = tuple(proc.Process(pid, "pair", "S", 1, pid, pid, pid) for pid in (101, 102))
    trees, soft, now = iter([pair[:1], pair]), {101: 1024, 102: 1024}, [0.0]

    def put(limited: dict[int, int]) -> None:
        now[0] += 6.0
        soft.update(limited if obeys else {101: 20})

    monkeypatch.setattr(processes, "tree", lambda how: processes.Tree(next(trees, pair), frozenset()))
    monkeypatch.setattr(processes, "alive", lambda pid: True)
    monkeypatch.setattr(limits.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(limits.descriptors, "read", soft.get)
    monkeypatch.setattr(limits.descriptors, "put", put)
    force = {"process": {"pid": 101}, "nofile": {"prior": 1024, "limit": 20, "others": []}}
    if obeys:
        limits.hold(force)
        assert soft == {101: 20, 102: 20}
    else:
        with pytest.raises(RuntimeError, match="not under the limit after 10 s: 102 pair S"):
            limits.hold(force)


def test_a_process_that_is_being_born_is_not_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """For an instant it is in the topmost group. Where processes are forked all the time, each look saw one, and the limit was reported as missed."""
    born, found = proc.Process(101, "born", "R", 1, 101, 101, 101), iter([False, True])
    monkeypatch.setattr(limits, "_inside", lambda pid, limited: next(found))
    monkeypatch.setattr(processes, "alive", lambda pid: True)
    assert limits.unlimited({cgroups.MEMORY: {"controller": {}}}, [born]) == []


def test_a_process_that_is_limited_a_moment_later_is_seen_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its parent forked it before the limit; the keeper finds it."""
    seen = iter([20, 1024, 20, 1024, 20, 20])
    pair = tuple(proc.Process(pid, "pair", "S", 1, pid, pid, pid) for pid in (101, 102))
    monkeypatch.setattr(processes, "find", lambda how: None)
    monkeypatch.setattr(processes, "tree", lambda how: processes.Tree(pair, frozenset()))
    monkeypatch.setattr(limit_looks.descriptors, "read", lambda pid: next(seen))
    config = {"process": {"pid": 101}}
    assert limit_looks.look({"what": "descriptors", "measure": True}, config)["of_all"] == [20]


def test_a_process_that_one_look_missed_gets_its_descriptors_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parent forks after the process table was listed and ends before it is read: that look sees neither."""
    chain = [proc.Process(pid, "chain", "S", 1, pid, pid, pid) for pid in (101, 102)]
    looks, soft = iter([[chain[0]], [], [chain[1]]]), {101: 20, 102: 20}
    monkeypatch.setattr(processes, "tree", lambda how: processes.Tree(tuple(next(looks, [])), frozenset()))
    monkeypatch.setattr(limits.descriptors, "read", soft.get)
    monkeypatch.setattr(limits.descriptors, "put", soft.update)
    nofile = {"prior": 1024, "limit": 20, "others": []}
    assert limits.undo({"process": {"pid": 101}, "nofile": nofile}) == ["limits: descriptors, 1024 again"]
    assert soft == {101: 1024, 102: 1024}


@needs_groups
def test_a_host_that_loses_its_power_leaves_no_group(
    lab: LocalProvider, service: Hungry, injector: HostInjector
) -> None:
    cpu, power = fault("cpu", nodes=["n1"], share_ppm=300_000), fault("power", nodes=["n1"])
    assert injector.inject(cpu).verified and (left := groups(lab))
    assert injector.inject(power).verified
    assert not any(Path(path).exists() for path in left)
    assert injector.heal(power).verified
    assert len(groups(lab)) == 1, "starved again after the boot"
    assert injector.heal(cpu).verified


def test_without_groups_a_process_is_stopped_and_continued_in_turn(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", "import os, time; os.fork(); time.sleep(600)"]) as sleeper:
        process = {"pid": sleeper.pid}
        force = {"process": process, "cpu": {"means": limit_looks.SIGNALS, "share_ppm": 200_000}}
        store.set_force({"limits": force})
        keeper = Keeper(store)
        keeper.start()
        try:
            request = {"what": "cpu", "measure": True}
            await_that("starved", lambda: limits.look(request, {"process": process})["share_ppm"] < 500_000)
            paused = {"process": {"killed": None, "paused": known(process)}}
            store.set_force({"limits": force, **paused})
            processes.pause(process)
            assert all(stopped(sleeper.pid) for _ in range(200) if not time.sleep(0.002)), "who pauses it finds it so"
            store.set_force({})
            assert len(processes.tree(process).processes) == 2 and not processes.tree(process).moving
            assert limits.undo(force) == [f"limits: cpu of {sleeper.pid}"]
            keeper.stop()
            assert not stopped(sleeper.pid) and limits.undo(force) == []
        finally:
            keeper.stop()
            processes.kill(process)


def test_groups_are_mounted_for_one_command_where_there_is_no_such_mount() -> None:
    own = cgroups.Controller("cpu", 1, "", "cpu,cpuacct")
    *prefix, text = cgroups.script(own, "/box/tribulation-7", ["true"])
    assert prefix == ["unshare", "--mount", "--propagation", "private", "sh", "-c"]
    assert "mount -t cgroup -o cpu,cpuacct none /sys/fs/cgroup" in text and 'g="$M"/box/tribulation-7' in text
    there = cgroups.Controller("memory", 2, "/sys/fs/cgroup", "")
    assert cgroups.script(there, "/tribulation-7", ["true"])[:2] == ["sh", "-c"]
    assert there.settings(MIB) == [("memory.max", "1048576"), ("?memory.swap.max", "0")]
    assert own.settings(100_000) == [("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", "10000")]
    assert own.settings(None)[-1] == ("cpu.cfs_quota_us", "-1")
