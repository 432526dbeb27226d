"""A cluster across two data centres: nodes find each other by seeds, tasks go where most gets through, and a sync leaves the line between to others.

One lab of two subnets with two hosts each, 20 ms and 2 Mbit/s apart.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM

import pytest

from tests.integration.running import await_that
from tribulation.checkers import Budget
from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.cluster.deployed import Deployed
from tribulation.harness.cluster.scenarios.load import lead
from tribulation.harness.cluster.scenarios.memory import ask, learn, same, sync
from tribulation.harness.cluster.setup import Setup
from tribulation.harness.hosts.local import LocalProvider, measure
from tribulation.harness.report.costs import costs
from tribulation.harness.run.outcome.verdict import judge_record
from tribulation.harness.run.plan.build import make_plan
from tribulation.harness.run.simulated import simulate
from tribulation.harness.wan import Regions, Way

ROOT = Path(__file__).parents[2]
MS = 1_000_000
BEACON_NS = 200 * MS
CAP_BPS = 400_000
REGIONS = Regions({"east": 2, "west": 2}, {("east", "west"): Way(20 * MS, 0, 2_000_000)})
EAST, WEST = ("n1", "n2"), ("n3", "n4")
SEEDS = [["10.77.1.1", 9999], ["10.77.2.3", 9999]]


def setup(seeds: list[list[object]]) -> Setup:
    return Setup(
        "two regions",
        voters=4,
        membership={"beacon_ns": BEACON_NS, "seeds": seeds},
        agents={"balance_ns": 0, "probe_ns": 100 * MS},
        memory={"sync": "on_demand", "bandwidth_bps": CAP_BPS},
    )


@pytest.fixture(scope="module")
def lab(namespaces: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalProvider]:
    provider = LocalProvider(nodes=4, name="two-regions", directory=tmp_path_factory.mktemp("labs"), regions=REGIONS)
    try:
        provider.up()
        yield provider
    finally:
        provider.down()


def discovered(cluster: Deployed) -> list[int]:
    return [int((cluster.asker.status(name) or {}).get("discovered", -1)) for name in cluster.names]


@pytest.mark.full
def test_no_beacon_crosses_by_broadcast_and_one_seed_a_side_joins_the_two(lab: LocalProvider) -> None:
    cluster = Deployed(setup([]), lab.hosts, lab)
    try:
        cluster.start(*cluster.names)
        await_that(lambda: discovered(cluster) == [1, 1, 1, 1], "each to find the other of its region")
        until_s = time.monotonic() + 6 * BEACON_NS / 1e9
        while time.monotonic() < until_s:
            assert discovered(cluster) == [1, 1, 1, 1], "a beacon crossed"
        assert {line["peer"] for name in EAST for line in cluster.traces(name, "discovered")} == set(EAST)
        cluster.redeploy(setup(SEEDS))
        for name in cluster.names:
            listed = await_that_it_lists_all(cluster, name)
            assert set(listed) == {*EAST, *WEST}
        _routes_by_bandwidth(cluster)
        _syncs_within_the_cap(cluster)
        _faults_add_and_heals_leave_it(cluster, lab)
    finally:
        cluster.__exit__()


def await_that_it_lists_all(cluster: Deployed, name: str) -> dict[str, str]:
    """What this very node says of the members, once all are ACTIVE."""
    listed: dict[str, str] = {}

    def all_active() -> bool:
        listed.clear()
        listed.update(
            {member: str(record["state"]) for member, record in (cluster.asker.looked(name, "members") or {}).items()}
        )
        return len(listed) == 4 and set(listed.values()) == {"ACTIVE"}

    await_that(all_active, f"{name} to list all four")
    return listed


def _routes_by_bandwidth(cluster: Deployed) -> None:
    """The task is large, the near host's line is wide, and the far one has the same agents."""
    lead(cluster, "n1")
    for name in ("n2", "n3"):
        cluster.spawn(f"agent-{name}", "voice", name)
    bandwidth = {"n2": 0.0, "n3": 0.0}

    def measured() -> bool:
        bandwidth.update(cluster.status("n1").get("bandwidth_bps") or {})
        return bandwidth["n2"] > 3 * bandwidth["n3"] > 0

    await_that(measured, "n1 to measure that more gets through to n2 than to n3")
    # No connection gets more through than the line: its own measurement is the nodes', and it is of bytes.
    assert 8 * bandwidth["n3"] <= 2 * 2_000_000
    for number in range(3):
        done = cluster.submit(f"t{number}", "voice", "echo", {}, through="n1", strategy="bandwidth-aware", size=500_000)
        assert done["record"]["host"] == "n2"


def _syncs_within_the_cap(cluster: Deployed) -> None:
    """Chunk by chunk, at the pace that was allowed, while the line is wider: nothing else has to wait for it."""
    learn(cluster, "n1", "far", 150)
    before = int(cluster.status("n1")["memory_synced_bytes"])
    line = sync(cluster, "n3", "n1")
    sent = int(cluster.status("n1")["memory_synced_bytes"]) - before
    assert line["records"] >= 150
    assert 8e9 * sent / line["took_ns"] <= 1.1 * CAP_BPS, (sent, line)
    same(cluster, ["n1", "n3"])
    assert ask(cluster, "n3", "get", kind="episode", record="far-7")["record"]["fields"]["outcome"] == "done"


def _faults_add_and_heals_leave_it(cluster: Deployed, lab: LocalProvider) -> None:
    with cluster.fault("link", edges=[["n1", "n3"]], delay_ns=100 * MS):
        assert 140 <= round_trip_ms(lab) < 400
    assert measure.require(REGIONS, lab.hosts, lab.socket_at), "as it was before the fault"


def round_trip_ms(lab: LocalProvider) -> float:
    """The quickest of ten between n1 and n3."""
    with ExitStack() as stack:
        ends = [stack.enter_context(lab.socket_at(name, AF_INET, SOCK_DGRAM, 10.0)) for name in ("n1", "n3")]
        for end, address in zip(ends, ("10.77.1.1", "10.77.2.3"), strict=True):
            end.bind((address, 0))
        took_s = []
        for _ in range(10):
            began_s = time.monotonic()
            for sender, receiver in (ends, ends[::-1]):
                sender.sendto(b"round", receiver.getsockname())
                receiver.recv(16)
            took_s.append(time.monotonic() - began_s)
    return min(took_s) * 1e3


def test_whoever_loses_a_region_loses_nothing_else() -> None:
    """The campaign, in the simulator: each region's loss costs its own clients all of its time, and the others an election at most."""
    path = ROOT / "campaigns/three-regions.yaml"
    campaign = load_campaign(path, ["duration=46s"], hosts="sim")
    done = simulate(make_plan(campaign, path.parent))
    judgement = judge_record(done.record, done.facts, Budget(time_s=60.0), "in memory")
    assert judgement.document["verdict"] == "valid", judgement.document["checkers"]
    assert campaign.hosts.placed is not None
    operations = done.record.history.operations()
    found = costs(operations, done.record.faults, campaign.hosts.placed.names, int(done.facts.phases["load_end"]))
    silent_s = {(cost.fault.kind, cost.place): cost.silent_ns / 1e9 for cost in found}
    assert silent_s["cut", "eu"] > 11 and silent_s["power", "us"] > 9
    assert (
        max(silent_s[kind, place] for kind, place in (("cut", "us"), ("cut", "ap"), ("power", "eu"), ("power", "ap")))
        < 5
    )
