"""The plan as an artefact: written, read back, pinned, carried out again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tribulation.checkers import Budget, Verdict
from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.campaign.model import Campaign
from tribulation.harness.errors import CampaignError
from tribulation.harness.run.outcome.verdict import judge, judge_record
from tribulation.harness.run.plan.build import make_plan
from tribulation.harness.run.plan.plan import Plan
from tribulation.harness.run.settings import Settings
from tribulation.harness.run.simulated import run_in_simulator, simulate, without_flaws
from tribulation.harness.simulator.errors import SimulationError
from tribulation.harness.simulator.options import SimOptions

CAMPAIGN = """
name: small
hosts: {provider: sim, nodes: 3}
seed: 5
duration: 3s
settle: 1s
workloads:
  - register: {keys: 2, clients: 3, rate: 60/s}
  - set: {clients: 1, rate: 10/s}
faults:
  - partition: {shape: isolate-one, target: leader, after: 500ms, for: 1s}
  - kill: {target: follower, after: 1s, restart_after: 500ms}
"""


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    path = tmp_path / "small.yaml"
    path.write_text(CAMPAIGN, encoding="utf-8")
    return load_campaign(path)


def test_a_plan_survives_its_file(campaign: Campaign, tmp_path: Path) -> None:
    plan = make_plan(campaign, tmp_path)
    again = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    assert again == plan
    assert again.to_json() == plan.to_json()


@pytest.mark.parametrize("spoilt", [{"nodes": None}, {"slots": [[1]]}, {"workloads": {"nothing": {}}}, {"timing": {}}])
def test_what_is_no_plan_is_refused_with_its_place(
    campaign: Campaign, tmp_path: Path, spoilt: dict[str, object]
) -> None:
    data = {**make_plan(campaign, tmp_path).to_json(), **spoilt}
    with pytest.raises(CampaignError, match=r"some/plan\.json: not a plan"):
        Plan.from_json(data, "some/plan.json")


def test_a_plan_alone_determines_the_run(campaign: Campaign, tmp_path: Path) -> None:
    plan = make_plan(campaign, tmp_path)
    first, again = simulate(plan), simulate(Plan.from_json(json.loads(json.dumps(plan.to_json()))))
    assert first.digest == again.digest
    assert simulate(replace(plan, seed=6)).digest != first.digest
    assert len(first.record.faults) == 2 and all(fault.verified for fault in first.record.faults)


def test_pinned_operations_are_tried_as_they_were_drawn(campaign: Campaign, tmp_path: Path) -> None:
    plan = make_plan(campaign, tmp_path)
    drawn = simulate(plan)
    pinned = replace(plan, pinned=drawn.issued)
    assert Plan.from_json(json.loads(json.dumps(pinned.to_json()))) == pinned
    assert simulate(pinned).digest == drawn.digest
    fewer = replace(pinned, pinned=drawn.issued[: len(drawn.issued) // 2])
    assert simulate(fewer).issued == fewer.pinned


def test_a_client_left_out_leaves_the_others_what_they_do(campaign: Campaign, tmp_path: Path) -> None:
    plan = make_plan(campaign, tmp_path)
    drawn = simulate(plan)
    less = replace(plan, pinned=drawn.issued, slots=[slot for slot in plan.slots if slot.slot != 1])
    assert [p for p in simulate(less).issued if p.slot == 2][:5] == [p for p in drawn.issued if p.slot == 2][:5]
    assert all(pinned.slot != 1 for pinned in simulate(less).issued)


def test_memory_and_folder_are_judged_alike(campaign: Campaign, tmp_path: Path) -> None:
    settings = Settings("tri run", tmp_path, tmp_path / "runs", lambda phase, detail: None)
    judgement = run_in_simulator(campaign, settings)
    run_dir = Path(judgement.document["run"])
    from_files = judge(run_dir)
    assert from_files.document == judgement.document
    assert judgement.verdict is Verdict.VALID
    plan = Plan.from_json(json.loads((run_dir / "plan.json").read_text(encoding="utf-8")))
    assert simulate(plan).facts.options["digest"] == judgement.record.options["digest"]


def test_flaws_can_be_taken_out_of_a_plan(campaign: Campaign, tmp_path: Path) -> None:
    flawed = campaign.model_copy(
        update={"system": campaign.system.model_copy(update={"flaws": ["stale-read-from-deposed-leader"]})}
    )
    plan = make_plan(flawed, tmp_path)
    assert without_flaws(plan) == make_plan(campaign, tmp_path)
    done = simulate(plan)
    judged = judge_record(done.record, done.facts, Budget(), "memory")
    assert judged.document["campaign"] == "small"


def test_the_whole_plan_and_world_are_for_users_that_asked_for_them(campaign: Campaign, tmp_path: Path) -> None:
    listed: list[tuple[str, str]] = []
    lines: list[tuple[str, str]] = []
    settings = Settings(
        "tri run small.yaml",
        tmp_path,
        tmp_path / "runs",
        lambda phase, detail: lines.append((phase, detail)),
        notify_lines=lambda what, document: listed.append((what, document)),
    )
    run_in_simulator(campaign, settings)
    assert lines[0][0] == "simulate"
    assert max(len(line) for _, detail in lines for line in detail.splitlines()) < 100
    assert [what for what, _ in listed] == ["plan", "world"]
    assert set(json.loads(listed[0][1])) == set(make_plan(campaign, tmp_path).to_json()) - {"world"}
    assert [option.split("=")[0] for option in listed[1][1].split()] == list(SimOptions().to_json())


def test_a_world_with_an_unknown_option_is_refused_by_name(campaign: Campaign, tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="no option 'los_ppm' of a world"):
        simulate(replace(make_plan(campaign, tmp_path), world={"los_ppm": 1}))
