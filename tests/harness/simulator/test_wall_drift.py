"""A wall clock that drifts alone, as hosts can have it: monotonic time is true, and what it gained is gone when the drift ends."""

from __future__ import annotations

from tribulation.harness.nemesis.faults.fault import Intent, Resolved
from tribulation.harness.simulator.faults.injector import SimInjector
from tribulation.harness.simulator.options import MILLISECOND, SECOND

from .real import real_cluster


def clock(ident: str, **what: object) -> Resolved:
    return Resolved(Intent(ident, "clock", {}, 0, None, ident), what)


def test_it_moves_the_wall_clock_alone_and_heals_to_the_true_time() -> None:
    cluster = real_cluster(drift_max_ppm=200)
    injector = SimInjector(cluster)
    host = cluster.nodes["n1"].clock
    drift = clock("d1", drift_ppm={"n1": 5000}, monotonic=False)
    began_ns, mono_ns = cluster.now_ns, cluster.nodes["n1"].mono_ns()
    assert injector.inject(drift).observed == {"drift_ppm": {"n1": 5000}}
    cluster.run_until(cluster.now_ns + 10 * SECOND)
    run_ns = cluster.now_ns - began_ns
    assert host.wall_gain_ns(cluster.now_ns) == run_ns * 5000 // 1_000_000
    own_ns = run_ns * host.own_drift_ppm // 1_000_000
    assert abs(cluster.nodes["n1"].mono_ns() - mono_ns - run_ns - own_ns) <= 1
    assert host.read(cluster.now_ns) == (cluster.nodes["n1"].mono_ns(), cluster.nodes["n1"].wall_ns())
    healed = injector.heal(drift)
    assert healed.verified and healed.observed == {"drift_ppm": {"n1": 0}} and host.wall_drifts == {}


def test_it_goes_together_with_every_other_clock_fault_and_is_undone_with_all() -> None:
    cluster = real_cluster()
    injector = SimInjector(cluster)
    faults = [
        clock("d1", drift_ppm={"n1": 4000}, monotonic=False),
        clock("d2", drift_ppm={"n1": -1000}, monotonic=False),
        clock("o1", drift_ppm={"n1": 300}),
        clock("s1", strobe_ns={"n1": SECOND}, period_ns=300 * MILLISECOND),
        clock("j1", offsets_ns={"n1": -60 * SECOND}),
    ]
    for fault in faults:
        assert injector.inject(fault).verified, fault
    assert injector.heal(faults[0]).observed == {"drift_ppm": {"n1": -1000}}
    assert injector.heal(faults[4]).verified and injector.heal(faults[2]).verified
    assert injector.heal_all().verified
    host = cluster.nodes["n1"].clock
    assert host.wall_drifts == {} and host.wall_offset_ns == 0
