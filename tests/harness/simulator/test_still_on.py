"""What is in force on simulated nodes, known without a measurement, and that healing everything ends it."""

from __future__ import annotations

from tests.harness.simulator.real import real_cluster
from tribulation.harness.simulator.faults.ground import still_on
from tribulation.harness.simulator.faults.injector import SimInjector


def test_clocks_and_processors_are_known_to_be_off_and_to_be_right_again() -> None:
    cluster = real_cluster(drift_max_ppm=200)
    nothing = still_on(cluster)
    cluster.shift_wall("n1", 1_000_000)
    cluster.drift("n2", 300)
    cluster.starve("n3", 500_000)
    assert nothing == {"clock": [], "cpu": []}
    assert still_on(cluster) == {"clock": ["n1", "n2"], "cpu": ["n3"]}
    seen = SimInjector(cluster).heal_all()
    assert seen.verified and seen.observed["still"] == {"clock": [], "cpu": [], "membership": []}
