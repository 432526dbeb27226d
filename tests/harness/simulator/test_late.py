"""Messages that come an election or three late, over new connections and terms; and torn writes that leave a quorum in no doubt of its log."""

from __future__ import annotations

from tests.harness.simulator.real import leader, real_cluster
from tribulation.harness.simulator.options import MILLISECOND, SECOND

LATE = {"late_ppm": 300_000, "late_ns": 900 * MILLISECOND}


def test_messages_come_late_and_the_cluster_stands_it() -> None:
    cluster = real_cluster(**LATE)
    cluster.run_until(cluster.now_ns + 5 * SECOND)
    assert cluster.peers.late > 50 and leader(cluster) in cluster.nodes


def test_without_a_chance_nothing_changes_and_calm_ends_it() -> None:
    plain, never = real_cluster(), real_cluster(late_ns=900 * MILLISECOND)
    for cluster in (plain, never):
        cluster.run_until(cluster.now_ns + SECOND)
    assert plain.digest.hexdigest() == never.digest.hexdigest()
    calmed = real_cluster(**LATE)
    calmed.calm()
    before = calmed.peers.late
    calmed.run_until(calmed.now_ns + SECOND)
    assert calmed.peers.late == before


def test_no_more_nodes_are_left_in_doubt_than_a_quorum_can_do_without() -> None:
    cluster = real_cluster(spare_quorum=True)
    names = list(cluster.nodes)
    cluster.kill(names[0])
    cluster.doubts._torn[names[0]] = None
    assert not cluster.doubts.may_tear(names[1]) and cluster.doubts.may_tear(names[0])
    cluster.start(names[0])
    cluster.run_until(cluster.now_ns + SECOND)
    assert cluster.doubts.may_tear(names[1]), "it runs, and is in no doubt"
    assert real_cluster().doubts.may_tear(names[1])
