"""Every kind of fault on a cluster of real cores: it does something, a probe sees it, and nothing of it is left."""

from __future__ import annotations

from typing import Any

import pytest

from tribulation.harness.errors import FaultError
from tribulation.harness.nemesis.faults.fault import Intent, Resolved
from tribulation.harness.simulator.cluster.node import Process
from tribulation.harness.simulator.faults.injector import SimInjector
from tribulation.harness.simulator.options import MILLISECOND, SECOND

from .fault_rig import FIVE, fault, settle
from .real import NODES, Writer, ask, follower, real_cluster

# Power and wiping


def test_a_host_without_power_is_dark_and_boots_at_the_heal_with_what_it_had_synced():
    cluster = real_cluster()
    injector, writer, target = SimInjector(cluster), Writer(cluster, "n1"), follower(cluster)
    writer.write(20)
    seen = injector.inject(fault("power", nodes=[target]))
    assert seen.verified and seen.observed["reached"] == [] and seen.observed["processes"] == {target: "down"}
    healed = injector.heal(fault("power", nodes=[target]))
    assert healed.verified and healed.observed == {"processes": {target: "running"}}
    settle(cluster)
    assert writer.all_there(target)


def test_a_blackout_in_the_middle_of_writes_loses_unsynced_bytes_and_nothing_acknowledged():
    lost = torn = 0
    for seed in range(8):
        cluster = real_cluster(seed, FIVE, fsync_mean_ns=5 * MILLISECOND)
        injector, writer = SimInjector(cluster), Writer(cluster, "n1")
        writer.write(5)
        for number in range(20):
            body = {"id": number, "session": writer.session, "seq": 6 + number, "ops": [["w", "x" * 700, number]]}
            cluster.request(f"busy{number}", "n1", body, lambda answer: None)
        settle(cluster, 4 * MILLISECOND)
        seen = injector.inject(fault("power", nodes=list(FIVE)))
        lost += sum(seen.observed["lost_bytes"].values())
        torn += sum(seen.observed["torn_writes"].values())
        assert seen.verified and injector.heal(fault("power", nodes=list(FIVE))).verified
        settle(cluster)
        whole = [name for name in FIVE if not cluster.nodes[name].core.status()["torn"]]
        assert len(whole) <= 2 or writer.all_there(whole[0])
    assert lost > 0 and torn > 0


def test_a_killed_node_stays_down_when_only_its_power_is_back():
    cluster = real_cluster()
    injector = SimInjector(cluster)
    injector.inject(fault("kill", "k", nodes=["n2"]))
    injector.inject(fault("power", "p", nodes=["n2", "n3"]))
    assert injector.heal(fault("power", "p", nodes=["n2", "n3"])).observed == {"processes": {"n3": "running"}}
    assert cluster.process("n2") is Process.DOWN
    assert injector.heal(fault("kill", "k", nodes=["n2"])).verified


def test_a_wiped_node_comes_back_empty_and_a_quorum_is_never_wiped():
    cluster = real_cluster()
    injector, writer, target = SimInjector(cluster), Writer(cluster, "n1"), follower(cluster)
    writer.write(5)
    seen = injector.inject(fault("wipe", "a", nodes=[target]))
    assert seen.verified and seen.observed["files"] == {target: []}
    assert injector.heal(fault("wipe", "a", nodes=[target])).verified
    start = next(line for line in reversed(cluster.traces[target]) if line["event"] == "start")
    assert (start["last_index"], start["term"]) == (0, 0)
    other = next(name for name in NODES if name != target)
    with pytest.raises(FaultError, match="no quorum"):
        injector.inject(fault("wipe", "b", nodes=[other]))


# Clocks


def test_a_drifting_clock_runs_as_fast_as_asked_and_then_as_before():
    cluster = real_cluster(drift_max_ppm=200)
    injector = SimInjector(cluster)
    own = cluster.nodes["n1"].clock.own_drift_ppm
    drift = fault("clock", drift_ppm={"n1": 5000, "n2": -5000})
    seen = injector.inject(drift)
    assert seen.verified and abs(seen.observed["drift_ppm"]["n1"] - own - 5000) <= 1
    mono_ns, now_ns = cluster.nodes["n1"].mono_ns(), cluster.now_ns
    settle(cluster, 10 * SECOND)
    gained_ns = cluster.nodes["n1"].mono_ns() - mono_ns - (cluster.now_ns - now_ns)
    assert abs(gained_ns - 10 * SECOND * (own + 5000) // 1_000_000) < 10
    healed = injector.heal(drift)
    assert healed.verified and abs(healed.observed["drift_ppm"]["n1"] - own) <= 1


def test_a_strobing_clock_goes_to_and_fro_and_ends_where_it_was():
    cluster = real_cluster()
    injector = SimInjector(cluster)
    strobe = fault("clock", strobe_ns={"n1": -5 * SECOND}, period_ns=200 * MILLISECOND)
    seen = injector.inject(strobe)
    assert seen.verified and seen.observed["spans_ns"] == {"n1": 5 * SECOND}
    offsets = set()
    for _ in range(20):
        settle(cluster, 50 * MILLISECOND)
        offsets.add(cluster.nodes["n1"].clock.wall_offset_ns)
    assert offsets == {0, -5 * SECOND}
    assert injector.heal(strobe).observed == {"offsets_ns": {"n1": 0}}
    settle(cluster)
    assert cluster.nodes["n1"].clock.wall_offset_ns == 0


# All together


def test_heal_all_undoes_every_kind():
    cluster = real_cluster(nodes=FIVE)
    injector = SimInjector(cluster)
    Writer(cluster, "n1").write(20)
    for number, one in enumerate(
        [
            fault("link", edges=[["n1", "n2"]], loss_ppm=50_000),
            fault("clog", edges=[["n1", "n3"]]),
            fault("flap", edges=[["n1", "n4"]], period_ns=100 * MILLISECOND),
            fault("reset", edges=[["n1", "n5"]], period_ns=100 * MILLISECOND),
            fault("disk", nodes=["n1", "n2"], effect="stall"),
            fault("disk", nodes=["n3"], effect="bit-rot"),
            fault("clock", drift_ppm={"n1": 900}),
            fault("clock", strobe_ns={"n2": SECOND}, period_ns=100 * MILLISECOND),
            fault("power", nodes=["n5"]),
            fault("disk", nodes=["n4"], effect="full"),
        ]
    ):
        injector.inject(Resolved(Intent(f"f{number}", one.intent.kind, {}, 0, None, f"f{number}"), one.what))
    seen = injector.heal_all()
    assert seen.verified and seen.observed["processes"] == dict.fromkeys(FIVE, "running")
    settle(cluster)
    links = cluster.network.links.values()
    assert not any(link.cuts or link.clogs or link.shaping for link in links)
    for node in cluster.nodes.values():
        trouble, clock = node.disk.trouble, node.clock
        assert not (trouble.slow_ns or trouble.stalled or trouble.full or trouble.failing or trouble.lying)
        assert clock.wall_offset_ns == 0 and clock.drift_ppm == clock.own_drift_ppm and not node.disk.decays
    assert ask(cluster, "n4", {"ops": [["r", "k20"]]})["results"] == [20]


# Voters, and faults that meet no node


def test_voters_that_are_not_named_keep_their_weight():
    """The last node leaves the voters and comes back; at each step the others vote as before."""
    cluster = real_cluster()
    injector = SimInjector(cluster)
    for weight, voters in ((0, {"n1": 1, "n2": 1}), (2, {"n1": 1, "n2": 1, "n3": 2})):
        seen = injector.inject(fault("voters", f"v{weight}", voters={"n3": weight}))
        assert seen.verified and seen.observed == {"voters": voters}


@pytest.mark.parametrize(
    "what", [{"offsets_ns": {}}, {"strobe_ns": {}, "period_ns": 200 * MILLISECOND}, {"drift_ppm": {}}]
)
def test_a_clock_fault_whose_targets_came_to_nothing_is_healed_like_any_other(what: dict[str, Any]):
    injector = SimInjector(real_cluster())
    injector.inject(fault("clock", **what))
    assert injector.heal(fault("clock", **what)).verified


# Faults behind faults: what another one hides is distinguished from what does nothing


def test_a_full_disk_that_answers_nothing_is_hidden():
    """While it is stalled it cannot be seen that it is full as well; when it answers again, it is seen."""
    cluster = real_cluster()
    injector = SimInjector(cluster)
    assert injector.inject(fault("disk", "stall", nodes=["n1"], effect="stall")).verified
    seen = injector.inject(fault("disk", "full", nodes=["n1"], effect="full"))
    assert not seen.verified and seen.observed["devices"]["n1"]["error"] is None
    assert seen.observed["hidden_by"] == ["stall"]
    healed = injector.heal(fault("disk", "stall", nodes=["n1"], effect="stall"))
    assert healed.verified and "ENOSPC" in healed.observed["devices"]["n1"]["error"]


def test_a_flap_is_not_looked_for_on_an_edge_that_is_cut():
    cluster = real_cluster()
    injector = SimInjector(cluster)
    injector.inject(fault("cut", "cut", edges=[["n1", "n2"]]))
    seen = injector.inject(fault("flap", edges=[["n1", "n2"], ["n1", "n3"]], period_ns=200 * MILLISECOND))
    assert seen.verified
    assert seen.observed == {"edges": [["n1", "n3"]], "steady": [], "unprobed": [["n1", "n2"]]}
    hidden = injector.inject(fault("flap", "f2", edges=[["n1", "n2"]], period_ns=200 * MILLISECOND))
    assert not hidden.verified, "nothing of it was seen"


def test_two_strobes_and_two_drifts_of_one_clock_are_distinguished():
    cluster = real_cluster()
    injector = SimInjector(cluster)
    for ident, amplitude_ns in (("s1", SECOND), ("s2", 7 * SECOND)):
        seen = injector.inject(fault("clock", ident, strobe_ns={"n1": amplitude_ns}, period_ns=300 * MILLISECOND))
        assert seen.verified, seen
    for ident, ppm in (("d1", 4000), ("d2", -1000)):
        assert injector.inject(fault("clock", ident, drift_ppm={"n2": ppm})).verified
    assert injector.heal(fault("clock", "d1", drift_ppm={"n2": 4000})).observed == {"drift_ppm": {"n2": -1000}}


def test_a_process_that_another_fault_holds_down_is_stopped_when_it_comes_back():
    cluster = real_cluster()
    injector, target = SimInjector(cluster), follower(cluster)
    injector.inject(fault("kill", "kill", nodes=[target]))
    seen = injector.inject(fault("pause", "pause", nodes=[target]))
    assert not seen.verified and seen.observed == {"processes": {target: "down"}, "hidden_by": ["kill"]}
    injector.heal(fault("kill", "kill", nodes=[target]))
    assert cluster.process(target) is Process.PAUSED
    assert injector.heal(fault("pause", "pause", nodes=[target])).verified
    assert cluster.process(target) is Process.RUNNING
