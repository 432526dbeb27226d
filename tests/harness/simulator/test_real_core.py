"""The real core in a simulated cluster: what it answers, and that its recorded inputs determine its state."""

from __future__ import annotations

from itertools import groupby

from tribulation.harness.nemesis.faults.fault import Intent, Resolved
from tribulation.harness.simulator.faults.injector import SimInjector
from tribulation.harness.simulator.options import SECOND
from tribulation.node.core.core import Core

from .real import NODES, ask, real_cluster


def test_a_write_is_read_back_through_another_node():
    cluster = real_cluster()
    session = ask(cluster, "n2", {"open": True})["session"]
    assert ask(cluster, "n2", {"session": session, "seq": 1, "ops": [["w", "k", 5]]})["status"] == "ok"
    assert ask(cluster, "n3", {"ops": [["r", "k"]]})["results"] == [5]


def test_the_injector_moves_the_voters_through_the_log():
    cluster = real_cluster()
    injector = SimInjector(cluster)
    seen = injector.inject(Resolved(Intent("v", "voters", {}, 0, None, "v"), {"voters": {"n1": 2, "n2": 1, "n3": 1}}))
    assert seen.verified and seen.observed["voters"] == {"n1": 2, "n2": 1, "n3": 1}


def test_the_leader_isolated_is_no_longer_the_situations_leader():
    cluster = real_cluster()
    injector = SimInjector(cluster)
    old = injector.situation().leader
    others = [name for name in NODES if name != old]
    edges = [[old, other] for other in others] + [[other, old] for other in others]
    assert injector.inject(Resolved(Intent("c", "cut", {}, 0, None, "c"), {"edges": edges})).verified
    cluster.run_until(cluster.now_ns + 3 * SECOND)
    assert injector.situation().leader in others


def test_a_node_fed_its_recorded_inputs_again_ends_in_the_same_state():
    cluster = real_cluster(record_inputs=True)
    session = ask(cluster, "n1", {"open": True})["session"]
    for seq in range(1, 20):
        ask(cluster, "n1", {"session": session, "seq": seq, "ops": [["w", f"k{seq % 3}", seq]]})
    cluster.kill("n2")
    cluster.start("n2")
    cluster.run_until(cluster.now_ns + SECOND)
    for name, node in cluster.nodes.items():
        incarnations = [list(steps) for _, steps in groupby(cluster.inputs[name], key=lambda step: step[0])]
        again = Core(node.config)
        for _, mono_ns, events in incarnations[-1]:
            again.step(mono_ns, events)
        assert again.state_digest() == node.core.state_digest()
