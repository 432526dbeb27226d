"""The memory's files: at every crash point nothing acknowledged is lost, and any damage is noticed and costs no more than it must."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from tests.node.core.disk import Disk as CachedDisk
from tribulation.node.core.memory.disk.files import recover

from .life import KEYS, Ledger, Life
from .memory_story import PowerDisk, left, reported


def points(settled: bool) -> Iterator[int]:
    at = 0
    while not reported(CachedDisk(), at, settled)[1]:
        yield at
        at += 1


@pytest.mark.parametrize("settled", [True, False])
def test_a_killed_process_loses_nothing_at_any_point(settled: bool) -> None:
    for at in points(settled):
        disk = CachedDisk()
        ledger, _ = reported(disk, at, settled)
        found = recover(disk.files())
        ledger.judge(found)
        assert found.whole and not found.damaged and found.torn is None, at


@pytest.mark.parametrize("settled", [True, False])
def test_a_power_loss_loses_nothing_acknowledged_at_any_point(settled: bool) -> None:
    """By the simulator's disk; first all that is not synced is lost, then whatever the draws say."""
    torn = 0
    for at in points(settled):
        for seed in range(12):
            disk = PowerDisk(seed * 1000 + at)
            ledger, _ = reported(disk, at, settled)
            if seed == 0:
                disk.lose(None)
            else:
                disk.power_loss()
            found = recover(disk.files())
            ledger.judge(found)
            assert not found.damaged and found.whole == (found.torn is None), (at, seed, found.damaged)
            torn += found.torn is not None
    assert torn


@pytest.mark.parametrize("settled", [True, False])
def test_names_that_survive_each_for_themselves_lose_nothing_acknowledged(settled: bool) -> None:
    for at in points(settled):
        for seed in range(8):
            disk = CachedDisk()
            ledger, _ = reported(disk, at, settled)
            disk.power_cut(Random(seed), torn=seed % 2 == 1)
            found = recover(disk.files())
            ledger.judge(found)
            assert found.whole == (found.torn is None), (at, seed, found.damaged)


@pytest.mark.parametrize("block", range(4))
def test_many_lives_on_one_disk(block: int) -> None:
    """Effects of different files in any order that they allow; kills and power losses; each life goes on with what the last one left."""
    for seed in range(block * 60, block * 60 + 60):
        random, ledger, disk = Random(seed), Ledger(), PowerDisk(seed)
        for number in range(6):
            life = Life(disk, ledger, f"r{number}")
            for _ in range(random.randrange(60)):
                step = random.choice("ppprdsffeeeeee")
                if step == "p":
                    life.put(random.choice(KEYS))
                elif step == "r":
                    life.remove(random.choice(KEYS))
                elif step == "d":
                    life.delta()
                elif step == "s" and random.random() < 0.4:
                    life.snapshot()
                elif step == "f":
                    life.flush()
                else:
                    life.perform(random)
            if random.random() < 0.6:
                disk.power_loss()
        found = recover(disk.files())
        ledger.judge(found)
        assert not any("does not follow" in place for place in found.damaged), (seed, found.damaged)


def test_what_is_left_at_the_end() -> None:
    files, ledger = left()
    assert sorted(files) == [
        "memory-delta-00000003.trmd",
        "memory-delta-00000004.trmd",
        "memory-log-00000003.trml",
        "memory-log-00000004.trml",
        "memory.trmm",
        "memory.trmm.bak",
    ]
    found = recover(files)
    assert (found.whole, found.damaged, found.torn, found.deltas) == (True, [], None, 1)
    assert ledger.judge(found) == {KEYS[1]: 9, KEYS[2]: 13, KEYS[4]: 12}
    assert found.metadata == {"replica": "a", "vector": {"a": 11}}
    assert (list(found.fresh), list(found.gone)) == ([KEYS[2]], [KEYS[3]])
