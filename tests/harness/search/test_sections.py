"""What a swarm adds: never to a campaign that has it, in about as many seeds as it says, and always something that can be carried out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.run.simulated import node_configs, world_of
from tribulation.harness.search.draw import searched_plan
from tribulation.harness.search.sections import (
    OUTAGE,
    OUTAGE_PERIOD_NS,
    QUIET_MIX,
    QUIET_RATE,
    SECTION_LOAD_NS,
    section_of,
)
from tribulation.harness.search.swarm import OUTAGE_PERIODS, outage_periods
from tribulation.harness.simulator.coverage.detection_bounds import detection_bounds

ROOT = Path(__file__).resolve().parents[3]
QUICKSTART = load_campaign(ROOT / "campaigns/quickstart.yaml", hosts="sim")


def test_some_seeds_have_memory_or_members_and_most_have_neither() -> None:
    found = Counter(section_of(QUICKSTART, seed) for seed in range(400))
    assert 30 < found["memory"] < 70 and 45 < found["members"] < 100 and found[None] > 230


def test_a_campaign_with_a_section_of_its_own_gets_no_other() -> None:
    campaign = load_campaign(ROOT / "campaigns/memory.yaml", hosts="sim")
    assert {section_of(campaign, seed) for seed in range(60)} == {None}


def test_plans_have_the_workload_of_their_section_and_time_for_it() -> None:
    seen = Counter()
    for seed in range(120):
        plan = searched_plan(QUICKSTART, seed)
        system = plan.options["system"]
        for section, workloads in (("memory", {"memory"}), ("membership", {"tasks", "agents"})):
            if system[section] is not None:
                seen[section] += 1
                assert workloads & set(plan.workloads) and plan.timing.load_ns >= SECTION_LOAD_NS
    assert seen["memory"] > 3 and seen["membership"] > 6


def test_races_transactions_and_sequential_reads_are_drawn_apart() -> None:
    plans = [searched_plan(QUICKSTART, seed) for seed in range(120)]
    races = [plan for plan in plans if "race" in plan.workloads]
    transactions = [plan for plan in plans if "transactions" in plan.workloads]
    sequential = [plan for plan in plans if plan.workloads["register"].spec.levels.get("sequential")]
    assert 25 < len(races) < 85 and 10 < len(transactions) < 50 and 15 < len(sequential) < 60
    assert {plan.workloads["transactions"].spec.of for plan in transactions} == {"lists", "registers"}


def test_some_seeds_begin_with_an_outage_that_detectors_must_notice_and_leave_them_time_at_the_end() -> None:
    seeds = [seed for seed in range(400) if outage_periods(seed) is not None]
    assert 15 < len(seeds) < 60
    found = 0
    for seed in seeds:
        plan = searched_plan(QUICKSTART, seed)
        outages = [intent for intent in plan.intents if intent.key.startswith(OUTAGE)]
        found += len(outages)
        for outage in outages:
            over_ns = outage.at_ns + (outage.for_ns or 0)
            assert all(intent is outage or intent.at_ns > over_ns for intent in plan.intents)
            assert (outage.for_ns or 0) >= min(OUTAGE_PERIODS) * OUTAGE_PERIOD_NS
            bounds = detection_bounds([config.membership for config in node_configs(plan).values()])
            assert plan.timing.quiet_ns > bounds["detection_ns"] > bounds["probing_ns"] > 0
            world = world_of(plan)
            assert not any((world.loss_ppm, world.reorder_ppm, world.late_ppm, world.datagram_loss_ppm))
    assert found > len(seeds) // 2


def test_some_seeds_load_without_waiting_for_answers() -> None:
    plans = [searched_plan(QUICKSTART, seed) for seed in range(120)]
    loads = [plan.workloads["register"].spec for plan in plans]
    opened = [spec for spec in loads if spec.open_loop]
    assert 4 < len(opened) < 25 and all(spec.bursts and spec.clients > 50 for spec in opened)


def test_in_half_of_these_seeds_one_node_has_nearly_all_clients() -> None:
    plans = [searched_plan(QUICKSTART, seed) for seed in range(240)]
    opened = [plan for plan in plans if plan.workloads["register"].spec.open_loop]
    crowded = [plan for plan in opened if plan.workloads["register"].spec.clients_at]
    assert len(opened) / 4 < len(crowded) < 3 * len(opened) / 4
    for plan in crowded:
        (node,) = plan.workloads["register"].spec.clients_at
        slots = [slot for slot in plan.slots if slot.workload == "register"]
        assert {slot.node for slot in slots if not slot.only_final} == {node}
        assert {slot.node for slot in slots} == set(plan.nodes)


def test_some_seeds_hardly_write() -> None:
    plans = [searched_plan(load_campaign(ROOT / "campaigns/all-faults.yaml", hosts="sim"), seed) for seed in range(120)]
    calm = [plan for plan in plans if plan.workloads["register"].spec.mix == QUIET_MIX]
    assert 2 < len(calm) < 20
    assert all(plan.workloads["set"].spec.rate <= QUIET_RATE for plan in calm if "set" in plan.workloads)
