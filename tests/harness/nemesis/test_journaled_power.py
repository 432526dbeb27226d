"""Power losses and crashes on disks with a journal, on real hosts: what the ledger's line says, and that what was synced is there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.nemesis.lab_tools import await_that, fault, running
from tests.harness.nemesis.writing_service import Writing, alive, on_fault_disks
from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.nemesis.cluster import fault_disk
from tribulation.harness.nemesis.inject.injector import HostInjector


@pytest.fixture(scope="module")
def writing(lab: LocalProvider) -> Iterator[Writing]:
    with on_fault_disks(lab, "journaled") as service:
        yield service


@pytest.fixture
def injector(lab: LocalProvider, writing: Writing, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostInjector]:
    with running(lab, writing, tmp_path_factory.mktemp("journaled") / "ledger.jsonl") as made:
        yield made
        assert made.heal_all().verified


@pytest.mark.parametrize(("kind", "more"), [("power", {}), ("disk", {"effect": "lost-writes"})])
def test_names_that_a_sync_of_a_file_covers_survive_and_the_ledger_says_what_did_not(
    lab: LocalProvider, writing: Writing, injector: HostInjector, kind: str, more: dict[str, str]
) -> None:
    n1 = lab.hosts[0]
    folder = writing.data_directory(n1)
    await_that("it runs and writes", lambda: alive(n1, writing))
    # The service syncs a file twenty times a second, and never the directory.
    n1.run(f"mkdir {folder}/{kind}; echo x > {folder}/{kind}/kept; cd {folder} && seq 1000 >big")
    await_that("it runs and writes", lambda: alive(n1, writing))
    synced = writing.numbers(n1, "synced")
    loss = fault(kind, nodes=["n1"], model="journaled", **more)
    seen = injector.inject(loss)
    assert seen.verified and seen.observed["model"] == "journaled", seen
    assert ("not_asked" not in seen.observed and kind == "power") or seen.observed["lost_bytes"]["n1"] > 0
    assert injector.heal(loss).verified
    await_that("it runs and writes", lambda: alive(n1, writing))
    kept = writing.numbers(n1, "synced")
    assert kept[: len(synced)] == synced and kept == list(range(kept[0], kept[-1] + 1))
    assert n1.run(f"ls {folder}/{kind} {folder}/big").stdout.split()[-1] == "kept"


def test_what_the_deployment_wrote_is_durable_when_the_disk_is_settled(lab: LocalProvider, writing: Writing) -> None:
    n3 = lab.hosts[2]
    writing.stop(n3)
    n3.run(f"mkdir {writing.data_directory(n3)}/made; echo settings >{writing.data_directory(n3)}/made/file")
    fault_disk.settle(n3, writing)
    n3.run(f"kill -9 $(pgrep -f '[d]isk.pyz serve'); umount -l {writing.data_directory(n3)}")
    fault_disk.mount(n3, writing, "journaled")
    assert n3.run(f"cat {writing.data_directory(n3)}/made/file").stdout == "settings\n"
    writing.start(n3, {})


def test_a_disk_whose_power_stays_on_after_all_goes_on(
    lab: LocalProvider, writing: Writing, injector: HostInjector
) -> None:
    """The harness died in between: nothing was lost, and after a while the disk answers again."""
    n2 = lab.hosts[1]
    await_that("it runs and writes", lambda: alive(n2, writing))
    answer = n2.run(
        [
            n2.python,
            "-I",
            "-c",
            f"import sys; sys.path.insert(0, {f'{n2.directory}/fault-disk/disk.pyz'!r})\n"
            "from tribulation_agent.fault_disk import control\n"
            f"print(control.ask({f'{n2.directory}/fault-disk'!r}, {{'do': 'lose_power', 'id': 'p', 'draw': 1}}))",
        ]
    )
    assert "'model': 'journaled'" in answer.stdout
    before = writing.numbers(n2, "unsynced")
    await_that("it runs and writes", lambda: alive(n2, writing), 20)
    after = writing.numbers(n2, "unsynced")
    assert after[: len(before)] == before and after == list(range(after[0], after[-1] + 1))
