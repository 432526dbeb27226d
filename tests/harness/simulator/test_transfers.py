"""Leadership transfers in the simulator: a short one waits for a leader, and one whose target is down by then asks for another."""

from __future__ import annotations

from typing import Any

from tests.harness.simulator.real import leader, real_cluster
from tribulation.harness.nemesis.faults.fault import Intent, Resolved
from tribulation.harness.simulator.faults.injector import SimInjector
from tribulation.harness.simulator.options import MILLISECOND, SECOND
from tribulation.node.core.interface.events import Event, Received
from tribulation.node.core.interface.messages import TimeoutNow

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


def test_a_leader_that_nothing_requested_to_stand_is_no_transfer() -> None:
    """Another node, perhaps the target, comes to lead by itself while the former leader is stopped: only the request to a node that then leads is a transfer."""
    cluster = real_cluster()
    injector = SimInjector(cluster)
    old = leader(cluster)
    requested: list[str] = []

    def hear(node: str, event: Event) -> None:
        if isinstance(event, Received) and isinstance(event.message, TimeoutNow) and leader(cluster) != node:
            requested.append(node)

    cluster.event_watchers.append(hear)
    cluster.pause(old)
    cluster.run_until(cluster.now_ns + cluster.nodes[old].config.timing.election_min_ns - 100 * MILLISECOND)
    assert leader(cluster) == old
    seen: list[Any] = []
    injector.begin_inject(transfer(next(node for node in cluster.nodes if node != old)), seen.append)
    assert cluster.run_while(lambda: leader(cluster) == old, cluster.now_ns + SECOND)
    cluster.resume(old)
    assert cluster.run_while(lambda: not seen, cluster.now_ns + 5 * SECOND)
    assert seen[0].verified and seen[0].observed["to"] in requested
