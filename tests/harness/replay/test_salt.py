"""Salted draws: nothing changes before the moment, and chance is another after it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.replay.compare.differences import run_differences
from tribulation.harness.run.plan.build import make_plan
from tribulation.harness.run.plan.plan import Plan
from tribulation.harness.run.simulated import Simulated, simulate

from .recorded import CAMPAIGN, KILL_AND_CUT

AFTER_NS = 1_700_000_000
"""Of run time: within the cut, after the kill."""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    place = tmp_path_factory.mktemp("salt")
    (place / "campaign.yaml").write_text(CAMPAIGN + KILL_AND_CUT, encoding="utf-8")
    return make_plan(load_campaign(place / "campaign.yaml"), place)


def salted(plan: Plan, salt: int, after_ns: int) -> Simulated:
    start_ns = simulate(replace(plan, timing=replace(plan.timing, load_ns=1, quiet_ns=0, final_ns=1))).start_ns
    return simulate(replace(plan, world={**plan.world, "salt": salt, "salt_after_ns": start_ns + after_ns}))


def test_the_world_is_the_same_until_then_and_another_after(plan: Plan) -> None:
    whole = simulate(plan)
    for salt in (1, 2):
        done = salted(plan, salt, AFTER_NS)
        differences = run_differences(whole.record, done.record)
        assert done.digest != whole.digest
        # A packet that leaves at the very moment takes at least the least latency.
        assert min(d.time_ns for d in differences if d.time_ns is not None) > AFTER_NS
        assert min(d.time_ns for d in differences if d.time_ns is not None) < AFTER_NS + 100_000_000


def test_each_salt_is_a_chance_of_its_own_and_repeats(plan: Plan) -> None:
    digests = {salt: salted(plan, salt, AFTER_NS).digest for salt in (1, 2, 3)}
    assert len(set(digests.values())) == 3
    assert salted(plan, 2, AFTER_NS).digest == digests[2]


def test_no_salt_changes_nothing(plan: Plan) -> None:
    assert salted(plan, 0, AFTER_NS).digest == simulate(plan).digest
    assert Plan.from_json(replace(plan, world={"salt": 5, "salt_after_ns": 9}).to_json()).world["salt"] == 5
