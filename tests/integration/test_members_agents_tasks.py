"""Members, agents and tasks under faults, in the simulator: the correct node stands them, and the flaws' campaigns are red."""

from __future__ import annotations

from pathlib import Path

import pytest

from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.search.trial import Task, Trial, run_trial
from tribulation.harness.search.zoo.hunt import Wanted, attempt
from tribulation.node.flaws.switch import FLAWS

ROOT = Path(__file__).resolve().parents[2]
QUICKEST = ("task-lost-on-failover", "host-outlives-lease", "ghost-member", "seeds-ignored", "capacities-ignored")


def trial(name: str, seed: int, *overrides: str) -> Trial:
    path = ROOT / f"campaigns/{name}.yaml"
    return run_trial(Task(load_campaign(path, overrides, hosts="sim"), seed, swarm=False, directory=path.parent))


def test_tasks_in_flight_take_effect_once_whatever_becomes_of_their_hosts() -> None:
    found = trial("tasks-in-flight", 11)
    assert (found.verdict, found.explanations, found.doubts) == ("valid", (), ())


@pytest.mark.parametrize("name", ["agents", "members"])
def test_agents_and_members_may_come_and_go_under_faults(name: str) -> None:
    found = trial(name, 5, "duration=25s")
    assert (found.verdict, found.explanations, found.doubts) == ("valid", (), ())


@pytest.mark.full
@pytest.mark.parametrize("flaw", QUICKEST)
def test_the_campaign_of_a_flaw_is_red(flaw: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    shown = attempt(Wanted(flaw, 3, flawed=True))
    assert any(objection.startswith(FLAWS[flaw].checker + "/") for objection in shown.objections), shown
