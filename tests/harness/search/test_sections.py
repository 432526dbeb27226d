"""What a swarm adds: never to a campaign that has it, in about as many seeds as it says, and always something that can be carried out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.search.draw import searched_plan
from tribulation.harness.search.sections import SECTION_LOAD_NS, section_of

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
