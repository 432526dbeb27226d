"""Leadership transfers in the simulator: a short one waits for a leader, and one whose target is down by then asks for another."""

from __future__ import annotations

from tests.harness.simulator.real import leader, real_cluster
from tribulation.harness.nemesis.faults.fault import Intent, Resolved
from tribulation.harness.simulator.faults.injector import SimInjector
from tribulation.harness.simulator.options import MILLISECOND

SHORT_NS = 20 * MILLISECOND


def transfer(to: str) -> Resolved:
    return Resolved(Intent("t1", "transfer", {}, 0, SHORT_NS, "t1"), {"to": to})


def test_a_short_transfer_waits_for_a_leader() -> None:
    cluster = real_cluster()
    injector = SimInjector(cluster)
    old = leader(cluster)
    cluster.kill(old)
    assert injector.situation().leader is None
    to = next(node for node in cluster.nodes if node != old)
    assert injector.inject(transfer(to)).verified


def test_a_target_that_is_down_is_replaced_by_one_that_is_up() -> None:
    cluster = real_cluster()
    injector = SimInjector(cluster)
    old = leader(cluster)
    to = next(node for node in cluster.nodes if node != old)
    cluster.kill(to)
    seen = injector.inject(transfer(to))
    assert seen.verified and seen.observed["to"] not in (old, to)
