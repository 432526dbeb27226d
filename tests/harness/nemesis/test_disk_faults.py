"""Faults of disks on real hosts: a file system of ours under a process that does nothing but write, seen by other eyes than the injector's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.nemesis.lab_tools import await_that, fault, running
from tests.harness.nemesis.writing_service import Writing, alive, complaint, mounts, on_fault_disks
from tribulation.harness.errors import FaultError
from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.nemesis.cluster import fault_disk
from tribulation.harness.nemesis.inject.injector import HostInjector


@pytest.fixture(scope="module")
def writing(lab: LocalProvider) -> Iterator[Writing]:
    with on_fault_disks(lab) as service:
        yield service


@pytest.fixture(scope="module")
def shared(lab: LocalProvider, writing: Writing, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostInjector]:
    with running(lab, writing, tmp_path_factory.mktemp("disks") / "ledger.jsonl") as made:
        yield made


@pytest.fixture
def injector(shared: HostInjector) -> Iterator[HostInjector]:
    yield shared
    assert shared.heal_all().verified


@pytest.mark.parametrize(
    ("effect", "said"),
    [
        ("full", "No space left on device"),
        ("read-only", "Read-only file system"),
        ("io-error", "Input/output error"),
        ("fsync-error", "Input/output error"),
        ("slow", ""),
        ("lying", ""),
    ],
)
def test_what_is_wrong_with_a_device_is_seen_by_every_process_and_ends(
    lab: LocalProvider, writing: Writing, injector: HostInjector, effect: str, said: str
) -> None:
    n1, n2, _ = lab.hosts
    disk = fault("disk", nodes=["n1"], effect=effect, **({"delay_ns": 100_000_000} if effect == "slow" else {}))
    seen = injector.inject(disk)
    assert seen.verified, seen
    assert said in complaint(n1, writing) and (said == "") == (complaint(n1, writing) == "")
    assert complaint(n2, writing) == "", "others' disks are well"
    assert injector.heal(disk).verified and complaint(n1, writing) == ""
    await_that("it runs and writes", lambda: alive(n1, writing))


def test_who_waits_for_a_stalled_disk_can_be_killed_and_others_go_on_at_the_heal(
    lab: LocalProvider, writing: Writing, injector: HostInjector
) -> None:
    n1 = lab.hosts[0]
    stall, kill = fault("disk", nodes=["n1"], effect="stall"), fault("kill", nodes=["n1"])
    assert injector.inject(stall).verified
    waiting = n1.start(f"cat {writing.data_directory(n1)}/synced >/dev/null; echo done")
    assert injector.inject(kill).verified and injector.heal(kill).verified
    assert injector.heal(stall).verified
    assert waiting.read_line(5) == "done"
    waiting.close()
    await_that("it runs and writes", lambda: alive(n1, writing))


def test_troubles_of_one_disk_add_up_and_end_one_by_one(
    lab: LocalProvider, writing: Writing, injector: HostInjector
) -> None:
    slow, full = (
        fault("disk", nodes=["n1"], effect="slow", delay_ns=50_000_000),
        fault("disk", nodes=["n1"], effect="full"),
    )
    assert injector.inject(full).verified
    hidden = injector.inject(slow)
    assert not hidden.verified and hidden.observed["hidden_by"] == [full.intent.id]
    healed = injector.heal(full)
    assert healed.verified and healed.observed["devices"]["n1"]["took_ms"] > 50
    assert injector.heal(slow).verified


def test_a_crash_loses_what_was_not_synced_and_nothing_else(
    lab: LocalProvider, writing: Writing, injector: HostInjector
) -> None:
    n1 = lab.hosts[0]
    writing.begin_anew(n1)
    await_that("there is something", lambda: alive(n1, writing))
    synced, unsynced = (writing.numbers(n1, name) for name in ("synced", "unsynced"))
    crash = fault("disk", nodes=["n1"], effect="lost-writes")
    seen = injector.inject(crash)
    assert seen.verified and seen.observed["results"]["n1"]["lost_bytes"] > 0
    await_that("it runs and writes", lambda: alive(n1, writing))
    kept, left = writing.numbers(n1, "synced"), writing.numbers(n1, "unsynced")
    assert kept == list(range(kept[0], kept[-1] + 1)) and kept[: len(synced)] == synced
    assert synced[-1] not in left or left.index(synced[-1]) < len(unsynced) - 1, "what no sync followed is gone"
    assert injector.heal(crash).verified


@pytest.mark.parametrize("effect", ["bit-rot", "truncate"])
def test_damage_is_done_where_enough_good_copies_are_left_and_repaired(
    lab: LocalProvider, writing: Writing, injector: HostInjector, effect: str
) -> None:
    writing.begin_anew(lab.hosts[0])
    decay = fault("disk", nodes=["n1", "n2"], effect=effect)
    seen = injector.inject(decay)
    assert seen.verified and seen.observed["spared"] == ["n2"] and seen.observed["nodes"] == ["n1"]
    (record,) = seen.observed["damage"]["n1"]
    assert record["effect"] == effect and record["file"] in ("synced", "unsynced")
    second = fault("disk", nodes=["n3"], effect="bit-rot")
    refused = injector.inject(second)
    assert not refused.verified and refused.observed["spared"] == ["n3"], "one of three is damaged already"
    injector.heal(second)
    assert injector.heal(decay).verified
    await_that("it runs and writes", lambda: alive(lab.hosts[0], writing))


def test_a_host_that_loses_its_power_loses_what_was_not_synced_and_boots_with_its_disk(
    lab: LocalProvider, writing: Writing, injector: HostInjector
) -> None:
    n1 = lab.hosts[0]
    writing.begin_anew(n1)
    await_that("there is something", lambda: alive(n1, writing))
    synced = writing.numbers(n1, "synced")
    power = fault("power", nodes=["n1"])
    seen = injector.inject(power)
    assert seen.verified and seen.observed["model"] == "strict" and seen.observed["lost_bytes"]["n1"] > 0
    injector.heal(power)
    await_that("it runs and writes", lambda: alive(n1, writing))
    kept = writing.numbers(n1, "synced")
    assert kept[: len(synced)] == synced and kept == list(range(kept[0], kept[-1] + 1))
    full = fault("disk", nodes=["n1"], effect="full")
    assert injector.inject(full).verified and injector.heal(full).verified, "it is our disk again"


def test_a_wiped_disk_is_empty_and_no_quorum_is_ever_wiped(
    lab: LocalProvider, writing: Writing, injector: HostInjector
) -> None:
    n1 = lab.hosts[0]
    await_that("there is something", lambda: alive(n1, writing))
    wipe = fault("wipe", nodes=["n1"], calibration=True)
    seen = injector.inject(wipe)
    assert seen.verified and seen.observed["files"] == {"n1": []}
    assert injector.heal(wipe).verified
    await_that("it runs and writes", lambda: alive(n1, writing))
    assert writing.numbers(n1, "synced")[0] == 1
    with pytest.raises(FaultError, match="no quorum"):
        injector.inject(fault("wipe", nodes=["n2"], calibration=True))


def test_old_files_come_back_at_the_heal(lab: LocalProvider, writing: Writing, injector: HostInjector) -> None:
    n1 = lab.hosts[0]
    writing.begin_anew(n1)
    old = fault("disk", nodes=["n1"], effect="old-files", calibration=True)
    assert injector.inject(old).verified
    before = writing.numbers(n1, "synced")
    await_that("more is written", lambda: len(writing.numbers(n1, "synced")) > len(before) + 20)
    later = writing.numbers(n1, "synced")
    healed = injector.heal(old)
    assert healed.verified and healed.observed["nodes"] == ["n1"]
    assert len(writing.numbers(n1, "synced")) < len(later)


def test_a_daemon_that_died_is_started_again_when_its_host_is_healed(
    lab: LocalProvider, writing: Writing, injector: HostInjector
) -> None:
    n2 = lab.hosts[1]
    full = fault("disk", nodes=["n2"], effect="full")
    assert injector.inject(full).verified
    n2.run("kill -9 $(pgrep -f '[d]isk.pyz serve')")
    assert complaint(n2, writing) != ""
    injector.heal_all()
    await_that("it runs and writes", lambda: alive(n2, writing))
    assert complaint(n2, writing) == ""


def test_a_service_without_a_fault_disk_is_refused(
    lab: LocalProvider, writing: Writing, injector: HostInjector
) -> None:
    n3 = lab.hosts[2]
    fault_disk.remove(n3, writing, writing.stop)
    try:
        with pytest.raises(FaultError, match="fault disk"):
            injector.inject(fault("disk", nodes=["n3"], effect="full"))
    finally:
        fault_disk.mount(n3, writing)
        writing.start(n3, {})


def test_a_disk_that_is_dropped_leaves_nothing_although_processes_use_it(lab: LocalProvider, writing: Writing) -> None:
    """A deployment that took too long left its preparation running, and with it the disk."""
    n2 = lab.hosts[1]
    data = writing.data_directory(n2)
    n2.run(f"(cd {data} && exec 3>busy && while sleep 0.01; do echo more >&3; done) </dev/null >/dev/null 2>&1 &")
    before = writing.numbers(n2, "synced")
    assert before and fault_disk.remove(n2, writing, lambda host: None, keeps=False)
    assert not any("tribulation" in line and "fuse" in line for line in mounts(n2))
    left = n2.run(f"ls -a {n2.directory} {n2.directory}/boot.d; ps -eo args=").stdout
    assert "fault-disk" not in left and "disk.pyz" not in left and "10-disk" not in left
    writing.stop(n2)
    fault_disk.mount(n2, writing)
    writing.start(n2, {})
    await_that("it writes again", lambda: len(writing.numbers(n2, "synced")) > len(before))


def test_taken_away_it_leaves_the_data_and_nothing_else(lab: LocalProvider, writing: Writing) -> None:
    n2 = lab.hosts[1]
    numbers = writing.numbers(n2, "unsynced")
    assert fault_disk.remove(n2, writing, writing.stop) and not fault_disk.remove(n2, writing, writing.stop)
    assert writing.numbers(n2, "unsynced")[: len(numbers)] == numbers, "what was not synced is synced before"
    assert not any("tribulation" in line and "fuse" in line for line in mounts(n2))
    left = n2.run(f"ls -a {n2.directory} {writing.data_directory(n2)} {n2.directory}/boot.d; ps -eo args=").stdout
    assert "fault-disk" not in left and "disk.pyz" not in left and ".tribulation" not in left and "10-disk" not in left
