"""Simulated disks that lose or tear what was not synced, lose the end of a file, turn read-only, fail wholly, or get old files back."""

from __future__ import annotations

from typing import Any

import pytest

from tribulation.harness.nemesis.faults.fault import Intent, Resolved
from tribulation.harness.simulator.cluster.node import Process
from tribulation.harness.simulator.faults.injector import SimInjector
from tribulation.harness.simulator.options import SECOND

from .real import NODES, Writer, follower, leader, real_cluster

FIVE = ("n1", "n2", "n3", "n4", "n5")


def disk(effect: str, ident: str = "f1", **what: Any) -> Resolved:
    return Resolved(Intent(ident, "disk", {}, 0, None, ident), {"effect": effect, **what})


def settle(cluster: Any, for_ns: int = 2 * SECOND) -> None:
    cluster.run_until(cluster.now_ns + for_ns)


@pytest.mark.parametrize(("effect", "error"), [("read-only", "EROFS"), ("io-error", "EIO")])
def test_a_disk_that_takes_nothing_halts_its_node_and_the_heal_starts_it(effect: str, error: str) -> None:
    cluster = real_cluster()
    injector, target = SimInjector(cluster), follower(cluster)
    writer, wrong = Writer(cluster, leader(cluster)), disk(effect, nodes=[target])
    seen = injector.inject(wrong)
    assert seen.verified and seen.observed["devices"][target]["error"] == error
    writer.write(3)
    settle(cluster, SECOND)
    assert cluster.process(target) is Process.HALTED and error in cluster.nodes[target].halt_reason
    assert injector.heal(wrong).verified
    settle(cluster)
    assert writer.all_there(target)


@pytest.mark.parametrize("effect", ["lost-writes", "torn-write"])
def test_what_was_not_synced_is_lost_and_what_was_acknowledged_is_not(effect: str) -> None:
    for seed in range(4):
        cluster = real_cluster(seed, FIVE)
        injector, writer = SimInjector(cluster), Writer(cluster, "n1")
        writer.write(5)
        for number in range(10):
            body = {"id": number, "session": writer.session, "seq": 6 + number, "ops": [["w", "x", number]]}
            at_ns = cluster.now_ns + number * 30_000_000
            cluster.schedule(at_ns, cluster.request, f"busy{number}", "n1", body, lambda answer: None)
        crash = disk(effect, nodes=["n2", "n3"])
        seen = injector.inject(crash)
        assert seen.verified and all(seen.observed["lost_bytes"].values()), seen
        assert (effect == "torn-write") == bool(sum(seen.observed["torn_writes"].values()))
        assert injector.heal(crash).verified
        settle(cluster)
        assert writer.all_there("n4") and all(cluster.process(node) is Process.RUNNING for node in FIVE)


@pytest.mark.parametrize("effect", ["lost-writes", "torn-write"])
def test_a_crash_waits_for_a_write_that_it_can_take_and_no_longer_than_it_may(effect: str) -> None:
    for hold_most_ns, verified in ((0, False), (SECOND, False), (4 * SECOND, True)):
        cluster = real_cluster(nodes=FIVE)
        injector, writer, seen = SimInjector(cluster, hold_most_ns), Writer(cluster, "n1"), []
        settle(cluster)
        body = {"id": 1, "session": writer.session, "seq": 1, "ops": [["w", "x", 1]]}
        cluster.schedule(cluster.now_ns + 2 * SECOND, cluster.request, "late", "n1", body, lambda answer: None)
        injector.begin_inject(disk(effect, nodes=["n2"]), seen.append)
        settle(cluster, 6 * SECOND)
        assert [one.verified for one in seen] == [verified], "without a write it did nothing"
        assert "hidden_by" not in seen[0].observed


def test_a_torn_write_spares_a_quorum() -> None:
    cluster = real_cluster(nodes=FIVE)
    Writer(cluster, "n1").write(5)
    seen = SimInjector(cluster).inject(disk("torn-write", nodes=list(FIVE)))
    assert seen.observed["spared"] == ["n3", "n4", "n5"]


def test_the_end_of_a_file_is_cut_and_put_back_unless_something_was_written_there() -> None:
    for seed in range(6):
        cluster = real_cluster(seed)
        injector, writer, target = SimInjector(cluster), Writer(cluster, "n1"), follower(cluster)
        writer.write(20)
        cut = disk("truncate", nodes=[target])
        seen = injector.inject(cut)
        assert seen.verified and seen.observed["nodes"] == [target]
        Writer(cluster, leader(cluster)).write(3)
        assert injector.heal(cut).verified and not cluster.nodes[target].disk.decays
        settle(cluster)
        assert writer.all_there(target)


def test_old_files_come_back_at_the_heal_and_count_as_forgotten_for_good() -> None:
    cluster = real_cluster()
    injector, writer, target = SimInjector(cluster), Writer(cluster, "n1"), follower(cluster)
    writer.write(3)
    settle(cluster)
    old = disk("old-files", nodes=[target], calibration=True)
    before = cluster.nodes[target].disk.durable_files()
    assert injector.inject(old).verified
    writer.write(20)
    settle(cluster)
    assert cluster.nodes[target].disk.durable_files() != before
    healed = injector.heal(old)
    assert healed.verified and healed.observed["nodes"] == [target]
    others = [node for node in NODES if node != target]
    spared = injector.inject(disk("bit-rot", "rot", nodes=others))
    assert spared.observed["spared"] == others
