"""Mutants: plans that can be carried out, drawn by their seed, and different from their parents."""

from __future__ import annotations

import json
from pathlib import Path

from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.nemesis.catalog.knobs import Knobs
from tribulation.harness.run.plan.plan import Plan
from tribulation.harness.run.simulated import node_configs, world_of
from tribulation.harness.search.draw import keeps_time, searched_plan
from tribulation.harness.search.mutate import CHANGES, MAX_FAULTS, TARGETS, mutated

ROOT = Path(__file__).resolve().parents[3]
ALL_FAULTS = load_campaign(ROOT / "campaigns/all-faults.yaml", hosts="sim")
PARENTS = [searched_plan(ALL_FAULTS, seed) for seed in range(8)]


def whole(plan: Plan) -> bool:
    """Whether it can be carried out: it reads back, its world and nodes can be made, its faults have names of their own and end within the load."""
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))).to_json() == plan.to_json()
    world_of(plan)
    node_configs(plan)
    ids = [intent.id for intent in plan.intents]
    assert len(set(ids)) == len(ids)
    assert [intent.at_ns for intent in plan.intents] == sorted(intent.at_ns for intent in plan.intents)
    return all(
        intent.at_ns >= 0 and intent.at_ns + (intent.for_ns or 0) <= plan.timing.load_ns for intent in plan.intents
    )


def test_a_mutant_is_determined_by_its_parents_and_seed():
    assert mutated(PARENTS[:2], 5).to_json() == mutated(PARENTS[:2], 5).to_json()
    drawn = {json.dumps(mutated(PARENTS[:1], seed).to_json()) for seed in range(40)}
    assert len(drawn) > 35


def test_every_change_leaves_a_plan_that_can_be_carried_out():
    for seed in range(30):
        for change in CHANGES:
            assert whole(change(PARENTS[seed % 8], Knobs(seed, "test"), f"{seed}"))


def test_mutants_of_mutants_can_be_carried_out_and_do_not_grow_for_ever():
    plan = PARENTS[0]
    for seed in range(300):
        plan = mutated([plan], seed) if seed % 5 else mutated([plan, PARENTS[seed % 8]], seed)
        assert whole(plan)
        assert len(plan.intents) <= 2 * MAX_FAULTS
        assert all(len(intent.id) < 100 for intent in plan.intents)


def test_two_parents_give_their_faults_before_and_after_a_moment():
    second, first = sorted(PARENTS, key=lambda plan: len(plan.intents))[-2:]
    names = {intent.id for intent in first.intents}, {intent.id for intent in second.intents}
    both = 0
    for seed in range(20):
        ids = {intent.id for intent in mutated([first, second], seed).intents}
        both += bool(ids & names[0] - names[1]) and bool(ids & names[1] - names[0])
    assert both > 5


def test_the_system_and_its_voters_are_never_changed():
    for seed in range(40):
        plan = mutated(PARENTS[:2], seed)
        assert plan.options["system"]["flaws"] == [] and plan.voters == PARENTS[0].voters
        targets = {intent.parameters["target"] for intent in plan.intents if "target" in intent.parameters}
        assert all(isinstance(target, list) or target in (*TARGETS, "random(1)") for target in targets)


def test_nothing_is_asked_of_liveness_in_a_world_that_became_too_slow():
    alive = [plan for plan in (searched_plan(ALL_FAULTS, seed) for seed in range(40)) if plan.liveness is not None]
    mutants = [mutated([plan], seed) for plan in alive for seed in range(20)]
    assert all(plan.liveness is None or keeps_time(plan) for plan in mutants)
    assert any(plan.liveness is None for plan in mutants) and any(plan.liveness for plan in mutants)


def test_a_plan_without_faults_can_be_mutated():
    bare = searched_plan(ALL_FAULTS.model_copy(update={"faults": []}), 3, swarm=False)
    assert all(whole(mutated([bare], seed)) for seed in range(20))


def test_a_mutant_too_slow_to_promise_recovery_asks_no_checker_for_it():
    plans = [searched_plan(ALL_FAULTS, seed) for seed in range(60)]
    parents = [plan for plan in plans if plan.liveness is not None]
    mutants = [mutated([parent], seed) for parent in parents for seed in range(15)]
    slow = [mutant for mutant in mutants if mutant.liveness is None]
    assert slow and all("recovery" not in mutant.options["checker_options"] for mutant in slow)
    quick = [mutant for mutant in mutants if mutant.liveness is not None]
    assert quick and all("recovery" in mutant.options["checker_options"] for mutant in quick)
