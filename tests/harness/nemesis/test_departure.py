"""Members that leave the reference cluster and join it again, in the simulator and on a lab."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.nemesis.lab_tools import await_that, fault, reference_on, running
from tests.harness.simulator.real import ask, follower, leader, real_cluster
from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.errors import CampaignError
from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.nemesis.faults.fault import Intent, Resolved, Situation
from tribulation.harness.nemesis.kinds.members.membership import MembershipSpec
from tribulation.harness.nemesis.topology.resolve import in_force, resolve
from tribulation.harness.simulator.cluster.cluster import SimCluster
from tribulation.harness.simulator.faults.departure import members_seen
from tribulation.harness.simulator.faults.injector import SimInjector
from tribulation.harness.simulator.options import SECOND
from tribulation.harness.systems.reference.system import ReferenceService

FIVE = ("n1", "n2", "n3", "n4", "n5")
QUICK = {"swim_period_ns": 200_000_000, "swim_timeout_ns": 80_000_000}


def departure(node: str) -> Resolved:
    return fault("membership", nodes=[node], action="leave", weights={node: 1})


def members_cluster() -> SimCluster:
    """Five members, each with an agent."""
    peers = {name: [f"10.0.0.{i + 1}", 10000] for i, name in enumerate(FIVE)}
    cluster = real_cluster(nodes=FIVE, node={"peers": peers, "membership": QUICK, "agents": {"balance_ns": 0}})
    assert cluster.run_while(lambda: len(members_seen(cluster, leader(cluster))) < 5, cluster.now_ns + 20 * SECOND)
    for name in FIVE:
        ask(cluster, name, {"do": "agents.spawn", "with": {"agent": f"a{name}", "type": "code", "on": name}})
    return cluster


def hosts_of(cluster: SimCluster, node: str) -> dict[str, str]:
    pool = ask(cluster, node, {"view": "agents", "with": {}})["results"][0]
    return {agent: record["host"] for agent, record in pool["agents"].items()}


@pytest.mark.parametrize("choose", [leader, follower])
def test_in_the_simulator_it_leaves_with_nothing_on_it_and_joins_again(choose: object) -> None:
    cluster = members_cluster()
    injector, target = SimInjector(cluster), choose(cluster)  # type: ignore[operator]
    other = next(name for name in FIVE if name != target)
    away = departure(target)
    seen = injector.inject(away)
    assert seen.verified and seen.observed["left"] == [target] and target not in seen.observed["voters"], seen
    assert seen.observed["processes"] == {target: "down"}
    hosts = hosts_of(cluster, other)
    assert set(hosts) == {f"a{name}" for name in FIVE} and target not in hosts.values(), "its agent was moved"
    healed = injector.heal(away)
    assert healed.verified and healed.observed["voters"][target] == 1 and target in healed.observed["members"], healed
    assert members_seen(cluster, leader(cluster))[target] == 2, "another life"


def test_one_that_failed_has_not_left_before_it_votes_no_more() -> None:
    cluster = members_cluster()
    injector, target = SimInjector(cluster), follower(cluster)
    cluster.kill(target)
    assert cluster.run_while(lambda: target in members_seen(cluster, leader(cluster)), cluster.now_ns + 20 * SECOND)
    assert injector.situation().voters[target] == 1, "it is in no view, and votes still"
    cluster.schedule(cluster.now_ns + 2 * SECOND, cluster.start, target)
    seen = injector.inject(departure(target))
    assert seen.verified and target not in seen.observed["voters"], seen


def test_in_the_simulator_who_left_is_back_after_the_final_heal() -> None:
    cluster = members_cluster()
    injector, target = SimInjector(cluster), follower(cluster)
    assert injector.inject(departure(target)).verified
    assert injector.heal_all().verified
    assert injector.situation().voters[target] == 1 and members_seen(cluster, leader(cluster))[target] == 2


def test_one_that_was_let_go_and_runs_still_is_started_anew() -> None:
    """As after a fault that was given up while the member was on its way out."""
    cluster = members_cluster()
    injector, target = SimInjector(cluster), follower(cluster)
    away = departure(target)
    assert injector.inject(away).verified
    cluster.start(target)
    assert cluster.run_while(lambda: target not in members_seen(cluster, leader(cluster)), cluster.now_ns + 20 * SECOND)
    other = next(name for name in FIVE if name != target)
    ask(cluster, other, {"do": "members.leave", "with": {"name": target}, "await": True})
    cluster.run_until(cluster.now_ns + SECOND)
    assert injector.heal(away).verified and members_seen(cluster, leader(cluster))[target] == 3


def test_while_it_is_gone_it_counts_as_killed() -> None:
    assert in_force([departure("n2")]).killed == {"n2"}
    assert in_force([fault("membership", nodes=["n2"], action="remove", weights={"n2": 1})]).killed == frozenset()


def test_who_leaves_is_recorded_with_the_weight_to_come_back_with() -> None:
    spec = MembershipSpec.model_validate({"action": "leave", "target": ["n1"], "after": "1s"})
    intent = Intent("m.1", "membership", spec.parameters(), 0, None, "m.1")
    what = resolve(intent, Situation(FIVE, dict.fromkeys(FIVE, 1), "n1", FIVE), 7).what
    assert what == {"nodes": ["n1"], "action": "leave", "weights": {"n1": 1}}
    assert spec.needs() == {"departure"}


def test_a_cluster_without_members_has_none_that_leave(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        "name: c\nworkloads: [{register: {}}]\nfaults: [{membership: {action: leave, target: one, after: 1s, for: 1s}}]\n"
    )
    with pytest.raises(CampaignError, match="`action: leave` needs members"):
        load_campaign(path)
    assert load_campaign(path, ["system.membership={}"]).faults


@pytest.fixture(scope="module")
def members(lab: LocalProvider) -> Iterator[ReferenceService]:
    with reference_on(lab, membership=QUICK, agents={"balance_ns": 0}) as service:
        assert "members" in service.capabilities
        yield service


def test_on_hosts_a_member_leaves_and_joins_again(
    lab: LocalProvider, members: ReferenceService, tmp_path: Path
) -> None:
    hosts = list(lab.hosts)
    with running(lab, members, tmp_path / "ledger.jsonl") as injector:  # type: ignore[arg-type]  # any service will do
        dial = injector._cluster.dial
        await_that("all are members", lambda: list((members.members(hosts, dial) or {}).values()) == ["ACTIVE"] * 3, 20)
        target = injector.situation().leader or "n1"
        away = departure(target)
        seen = injector.inject(away)
        assert seen.verified and seen.observed["left"] == [target] and target not in seen.observed["voters"], seen
        healed = injector.heal(away)
        assert healed.verified and healed.observed["voters"][target] == 1, healed
        assert (members.members(hosts, dial) or {})[target] == "ACTIVE"
        host = next(host for host in hosts if host.name == target)
        lines = map(json.loads, host.get(members.control_of(host).path("trace.jsonl")).decode().splitlines())
        lives = [(line["incarnation"], line["to"]) for line in lines if line["event"] == "lifecycle"]
        assert (1, "LEAVING") in lives and lives[-1] == (2, "ACTIVE")
