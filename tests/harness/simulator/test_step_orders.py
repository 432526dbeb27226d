"""Schedules at the granularity of steps: every order is one that slower messages, threads or disks could bring about, and it depends on the seed alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.run.plan.plan import Plan
from tribulation.harness.run.simulated import simulate
from tribulation.harness.search.draw import searched_plan
from tribulation.harness.simulator.step_orders import StepOrders

HUNT = Path(__file__).resolve().parents[3] / "campaigns/hunt.yaml"
FAULT = None
ITEMS = st.lists(st.tuples(st.sampled_from([FAULT, 1, 2, 3]), st.integers(0, 60)), max_size=20)
"""Actor and time."""


def ran(seed: int, within: int, items: list) -> list[tuple[int | None, int, int, int]]:
    """Actor, number, due time and time of each, as they came."""
    kernel, seen = StepOrders(seed, within, 5), []

    def note(actor: int | None, number: int, due: int) -> None:
        seen.append((actor, number, due, kernel.now_ns))

    for number, (actor, due) in enumerate(items):
        if actor is FAULT:
            kernel.schedule(due, note, actor, number, due)
        else:
            kernel.schedule_step(actor, due, note, actor, number, due)
    kernel.run_until(100)
    assert kernel.next_ns is None and kernel.now_ns == 100
    return seen


@given(st.integers(0, 1000), st.integers(0, 30), ITEMS)
def test_no_step_is_early_none_is_overtaken_too_long_actors_keep_their_order_and_faults_their_time(seed, within, items):
    seen = ran(seed, within, items)
    assert sorted(number for _, number, _, _ in seen) == list(range(len(items)))
    assert [now for *_, now in seen] == sorted(now for *_, now in seen)
    assert all(due <= now <= due + within for _, _, due, now in seen)
    assert all(due == now for actor, _, due, now in seen if actor is FAULT)
    for actor in (FAULT, 1, 2, 3):
        own = [(due, number) for one, number, due, _ in seen if one == actor]
        assert own == sorted(own)
    assert seen == ran(seed, within, items)


@given(ITEMS)
def test_without_a_bound_the_order_is_that_of_time(items):
    assert [number for _, number, _, _ in ran(1, 0, items)] == sorted(range(len(items)), key=lambda n: (items[n][1], n))


def test_two_steps_meet_in_both_orders():
    orders = {tuple(number for _, number, _, _ in ran(seed, 10, [(1, 3), (2, 8)])) for seed in range(30)}
    assert orders == {(0, 1), (1, 0)}


def test_a_run_in_other_orders_is_a_function_of_its_plan():
    plan = searched_plan(load_campaign(HUNT, hosts="sim"), 4)
    plan = replace(plan, world={**plan.world, "overtake_ns": 5_000_000, "overtake_change_every": 20})
    done = simulate(plan)
    assert done.cluster.kernel.overtaken > 100
    assert simulate(Plan.from_json(plan.to_json())).digest == done.digest
