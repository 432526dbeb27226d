"""Regions in the simulator: the same matrix as between the subnets of a lab, which no heal takes away."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.run.plan.build import make_plan
from tribulation.harness.run.simulated import cluster_of
from tribulation.harness.simulator.event_loop import Kernel
from tribulation.harness.simulator.network.network import Network, Shaping
from tribulation.harness.simulator.options import SimOptions
from tribulation.harness.wan import Regions, Way

MS = 1_000_000
ROOT = Path(__file__).parents[3]
REGIONS = Regions({"eu": 2, "us": 1}, {("eu", "us"): Way(50 * MS, 0, 1_000_000)})


def took_ns(network: Network, kernel: Kernel, source: str, target: str) -> int:
    began_ns, came_ns = kernel.now_ns, []
    network.udp(network.links[source, target], lambda: came_ns.append(kernel.now_ns))
    kernel.run_until(began_ns + 2000 * MS)
    return came_ns[0] - began_ns


def test_what_lies_between_regions_is_added_to_and_never_healed() -> None:
    kernel = Kernel()
    network = Network(kernel, 7, ("n1", "n2", "n3", "clients"), SimOptions())
    network.apply_wan(REGIONS)
    assert took_ns(network, kernel, "n1", "n2") < 20 * MS
    assert took_ns(network, kernel, "clients", "n3") < 20 * MS
    for source, target in (("n1", "n3"), ("n3", "n2")):
        assert 54 * MS <= took_ns(network, kernel, source, target) < 80 * MS  # 4 ms: a packet at this rate
    network.shape("n1", "n3", "fault", Shaping(delay_ns=100 * MS))
    assert 154 * MS <= took_ns(network, kernel, "n1", "n3") < 180 * MS
    network.shape("n1", "n3", "fault", None)
    assert 54 * MS <= took_ns(network, kernel, "n1", "n3") < 80 * MS
    network.shape("n1", "n3", "fault", Shaping(delay_ns=100 * MS))
    network.heal_all()
    assert 54 * MS <= took_ns(network, kernel, "n1", "n3") < 80 * MS


@pytest.mark.parametrize("seeds", ["[]", "[n1, n3]"])
def test_beacons_cross_by_seeds_alone(seeds: str) -> None:
    """The campaign's own plan, with members that must find each other: eu has n1 and n2, us n3 and n4, ap n5."""
    overrides = ["system.membership={}", "system.peer_discovery=true", f"system.seeds={seeds}"]
    campaign = load_campaign(ROOT / "campaigns/three-regions.yaml", overrides, hosts="sim")
    cluster = cluster_of(make_plan(campaign, ROOT))
    cluster.start_all()
    cluster.run_until(4000 * MS)
    found = {
        frozenset((node, line["peer"]))
        for node, lines in cluster.traces.items()
        for line in lines
        if line["event"] == "discovered"
    }
    near = {frozenset(("n1", "n2")), frozenset(("n3", "n4"))}
    assert found == ({frozenset(pair) for pair in combinations(cluster.nodes, 2)} if seeds != "[]" else near)
