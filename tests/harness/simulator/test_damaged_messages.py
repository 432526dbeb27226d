"""`corrupt` in the simulator: nodes are sent bytes that have changed, refuse them, and go on."""

from __future__ import annotations

from tribulation.harness.nemesis.faults.fault import CLIENTS, Intent, Resolved
from tribulation.harness.simulator.faults.injector import SimInjector
from tribulation.harness.simulator.options import SECOND

from .real import Writer, real_cluster


def corrupt(edges: list[list[str]], ppm: int = 200_000) -> Resolved:
    return Resolved(Intent("f1", "corrupt", {}, 0, None, "f1"), {"edges": edges, "flip_ppm": ppm, "may_damage": True})


def test_the_reference_node_refuses_every_changed_message_and_works_on() -> None:
    cluster = real_cluster()
    injector = SimInjector(cluster)
    edges = [list(edge) for edge in cluster.network.links if CLIENTS not in edge]
    fault = corrupt(edges)
    seen = injector.inject(fault)
    assert seen.verified and seen.observed["edges"] == sorted(edges) and seen.observed["damaged"] > 0
    sent = cluster.peers.delivered
    Writer(cluster, "n1").write(20)
    cluster.run_until(cluster.now_ns + 2 * SECOND)
    assert cluster.peers.delivered > sent, "messages that met no damage"
    healed = injector.heal(fault)
    assert healed.verified and healed.observed["refused"] > 0 and not cluster.network.altered()
    Writer(cluster, "n2").write(5)


def test_clients_have_no_bytes_there_which_is_said() -> None:
    cluster = real_cluster()
    injector = SimInjector(cluster)
    seen = injector.inject(corrupt([[CLIENTS, "n1"]]))
    assert not seen.verified and seen.observed["unprobed"] == [[CLIENTS, "n1"]]
    assert injector.heal_all().verified
