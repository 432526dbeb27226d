"""Drawn plans: a function of campaign and seed, the campaign's own faults among them, and never another system than the campaign's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.full import full
from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.errors import CampaignError
from tribulation.harness.nemesis.topology.liveness import LivenessSpec
from tribulation.harness.run.plan.build import make_plan
from tribulation.harness.run.plan.plan import Plan
from tribulation.harness.run.simulated import node_configs, world_of
from tribulation.harness.search.draw import LOADS_NS, OPERATIONS, keeps_time, searched_plan

ROOT = Path(__file__).resolve().parents[3]
QUICKSTART = load_campaign(ROOT / "campaigns/quickstart.yaml", hosts="sim")
CAMPAIGNS = sorted((ROOT / "campaigns").rglob("*.yaml"))


def test_a_seed_stands_for_one_plan():
    plan = searched_plan(QUICKSTART, 7)
    assert plan.seed == 7
    assert plan.to_json() == searched_plan(QUICKSTART, 7).to_json()
    assert len({json.dumps(searched_plan(QUICKSTART, seed).to_json()) for seed in range(30)}) == 30


def test_without_a_swarm_the_plan_is_the_campaigns():
    written = make_plan(QUICKSTART.model_copy(update={"seed": 9}), Path())
    assert searched_plan(QUICKSTART, 9, swarm=False).to_json() == written.to_json()


@pytest.mark.parametrize("seeds", [range(8), *full(range(8, 25))], ids=["some", "more"])
@pytest.mark.parametrize("path", CAMPAIGNS, ids=[path.stem for path in CAMPAIGNS])
def test_every_campaign_has_a_plan_for_every_seed_that_can_be_read_back_and_carried_out(path: Path, seeds: range):
    campaign = load_campaign(path, hosts="sim")
    for seed in seeds:
        plan = searched_plan(campaign, seed, directory=path.parent)
        data = json.loads(json.dumps(plan.to_json()))
        assert Plan.from_json(data).to_json() == plan.to_json()
        assert all(config.flaws == tuple(campaign.system.flaws) for config in node_configs(plan).values())
        assert world_of(plan).check_every > 0 and "check_every" not in plan.world
        assert all(intent.at_ns < plan.timing.load_ns for intent in plan.intents)


@pytest.mark.parametrize("name", ["quickstart", "swarm"])
def test_faults_that_a_seed_drew_are_marked_and_those_that_a_user_wrote_are_not(name: str):
    campaign = load_campaign(ROOT / f"campaigns/{name}.yaml", hosts="sim")
    written = {intent.id for intent in make_plan(campaign.model_copy(update={"seed": 1}), Path()).intents}
    kept = 0
    for seed in range(20):
        intents = searched_plan(campaign, seed).intents
        as_written = name == "quickstart" and {intent.id for intent in intents} == written
        kept += as_written
        assert all(intent.drawn is not as_written for intent in intents)
        assert not any(intent.drawn for intent in searched_plan(campaign, seed, swarm=False).intents)
    assert kept > 0 or name == "swarm"


def test_a_trial_is_short():
    for seed in range(60):
        plan = searched_plan(QUICKSTART, seed)
        rate = sum(work.spec.rate for work in plan.workloads.values() if not work.spec.reactive)
        assert rate * plan.timing.load_ns / 1e9 <= max(OPERATIONS) + 1
        assert plan.timing.load_ns in (*LOADS_NS, QUICKSTART.duration)


def test_the_campaigns_own_faults_are_as_written_in_some_seeds_and_among_others_in_others():
    alone = mixed = without = 0
    written = {intent.key: intent.parameters for intent in make_plan(QUICKSTART, Path()).intents}
    for seed in range(80):
        plan = searched_plan(QUICKSTART, seed)
        keys = {intent.key for intent in plan.intents}
        alone += keys == set(written)
        kills = [intent for intent in plan.intents if intent.kind == "kill" and intent.for_ns == QUICKSTART_KILL_NS]
        mixed += bool(kills) and keys != set(written)
        without += not kills
    assert 8 <= alone <= 32 and mixed > 5 and without > 5


QUICKSTART_KILL_NS = 2_000_000_000


def test_a_load_too_short_for_all_kinds_that_a_seed_composes_ends_no_search():
    campaign = load_campaign(ROOT / "campaigns/swarm.yaml", hosts="sim", overrides=["duration=24s"])
    lengths = {searched_plan(campaign, seed).timing.load_ns for seed in range(60)}
    assert campaign.duration in lengths, "where they fit, they are as written"


def test_some_seeds_ask_for_recovery_with_the_rest_still_broken():
    plans = [searched_plan(QUICKSTART, seed) for seed in range(120)]
    alive = [plan for plan in plans if plan.liveness is not None]
    assert 20 < len(alive) < 50 and all(keeps_time(plan) for plan in alive)
    assert len({plan.liveness.intents[0].id for plan in alive if plan.liveness}) > 4
    rings = [plan for plan in alive if plan.liveness and plan.liveness.intents[0].id == "liveness-ring"]
    assert not any(intent.kind == "voters" for plan in rings for intent in plan.intents)


def test_the_recovery_that_a_campaign_asks_for_is_asked_of_every_seed_in_a_world_that_allows_it():
    campaign = QUICKSTART.model_copy(update={"liveness": LivenessSpec(rest="ring")})
    plans = [searched_plan(campaign, seed) for seed in range(60)]
    assert all(plan.liveness is not None and keeps_time(plan) for plan in plans)
    assert 0 < sum(not plan.world for plan in plans) < 40
    assert not any(intent.kind == "voters" for plan in plans for intent in plan.intents)


def test_a_world_that_is_slow_for_its_nodes_promises_no_leader():
    plan = searched_plan(QUICKSTART, 1, swarm=False)
    assert keeps_time(plan)
    assert not keeps_time(replace(plan, world={**plan.world, "latency_mean_ns": 20_000_000}))
    assert not keeps_time(replace(plan, world={**plan.world, "fsync_mean_ns": 40_000_000}))


def test_leases_that_a_campaign_asks_for_stay():
    campaign = load_campaign(ROOT / "campaigns/flaws/wall-clock-lease.yaml", hosts="sim")
    assert all(searched_plan(campaign, seed).options["system"]["lease_reads"] for seed in range(20))


def test_a_system_from_a_file_cannot_be_searched(tmp_path: Path):
    path = tmp_path / "own.yaml"
    path.write_text("name: own\nsystem: {file: mine.py}\nworkloads: [{register: {}}]\nhosts: {provider: sim}\n")
    with pytest.raises(CampaignError, match=r"mine.py cannot be simulated.*\n\nhint: "):
        searched_plan(load_campaign(path), 1)
