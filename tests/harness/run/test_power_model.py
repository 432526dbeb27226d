"""Which power model a run goes by, where that stands, and what its verdict says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tribulation.checkers import RunRecord, Verdict
from tribulation.checkers.base.result import Fault
from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.errors import CampaignError
from tribulation.harness.nemesis.faults.fault import Situation
from tribulation.harness.nemesis.faults.power_models import model_of
from tribulation.harness.nemesis.topology.resolve import resolve
from tribulation.harness.run.outcome.verdict import power_model
from tribulation.harness.run.plan.build import make_plan
from tribulation.histories import History

HEAD = "name: power\nhosts: {nodes: 3}\nduration: 10s\nworkloads: [{register: {}}]\n"
OWN = "system: {file: own.py}\n"


def plan(tmp_path: Path, faults: str, system: str = "", hosts: str | None = None) -> Any:
    (tmp_path / "own.py").write_text("def service(options): ...\ndef client(options): ...\n")
    path = tmp_path / "campaign.yaml"
    path.write_text(f"{HEAD}{system}faults: {faults}\n")
    return make_plan(load_campaign(path, hosts=hosts), tmp_path)


@pytest.mark.parametrize(
    ("system", "faults", "model", "written"),
    [
        ("", "[power-loss: {target: one, after: 1s}]", "strict", None),
        ("", "[power-loss: {target: one, after: 1s, model: journaled}]", "journaled", "journaled"),
        (OWN, "[power-loss: {target: one, after: 1s}]", "journaled", "journaled"),
        (OWN, "[disk: {target: one, effect: torn-write, after: 1s}]", "journaled", "journaled"),
        (OWN, "[power-loss: {target: one, after: 1s, model: strict}]", "strict", "strict"),
    ],
)
def test_the_model_is_the_systems_unless_the_campaign_names_one(
    tmp_path: Path, system: str, faults: str, model: str, written: str | None
) -> None:
    """What went without a word before goes without one now: plans of the reference node do not change."""
    made = plan(tmp_path, faults, system)
    (intent,) = made.intents
    what = resolve(intent, Situation(["n1", "n2", "n3"], {}, None, ["n1"]), 1).what
    assert model_of(made.intents) == model and what.get("model") == written


def test_what_one_fault_names_is_the_whole_runs(tmp_path: Path) -> None:
    made = plan(
        tmp_path,
        "[power-loss: {target: one, after: 1s, for: 1s, model: strict}, disk: {target: one, effect: lost-writes, after: 5s, for: 1s}, "
        "disk: {target: one, effect: full, after: 7s, for: 1s}]",
        OWN,
    )
    assert [intent.parameters.get("model") for intent in made.intents] == ["strict", "strict", None]


@pytest.mark.parametrize(
    ("faults", "hosts", "said"),
    [
        (
            "[power-loss: {target: one, after: 1s, for: 1s, model: strict}, disk: {target: one, effect: lost-writes, after: 5s, model: journaled}]",
            None,
            r"campaign.yaml:\d+.*two power models, journaled and strict",
        ),
        ("[power-loss: {target: one, after: 1s, model: journaled}]", "sim", "simulator"),
        ("[disk: {target: one, effect: full, after: 1s, model: strict}]", None, "`model` needs an effect"),
        ("[power-loss: {target: one, after: 1s, model: paranoid}]", None, "'journaled' or 'strict'"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, faults: str, hosts: str | None, said: str) -> None:
    with pytest.raises(CampaignError, match=said):
        plan(tmp_path, faults, hosts=hosts)


def record(kind: str, intended: dict[str, Any], observed: dict[str, Any] | None) -> RunRecord:
    fault = Fault("f.1", kind, intended, observed, True, 0)
    return RunRecord(History(()), faults=(fault,))


def test_the_verdict_names_the_model_and_what_only_the_strict_one_may_have_found() -> None:
    assert power_model(record("kill", {"nodes": ["n1"]}, {}), Verdict.INVALID) is None
    simulated = record("power", {"nodes": ["n1"]}, {"processes": {}, "lost_bytes": {"n1": 0}})
    assert power_model(simulated, Verdict.INVALID) == {"model": "strict"}
    journaled = record("power", {"model": "journaled"}, {"answers": {}, "model": "journaled"})
    assert power_model(journaled, Verdict.INVALID) == {"model": "journaled"}
    strict = record("disk", {"effect": "lost-writes", "model": "strict"}, {"results": {}, "model": "strict"})
    assert power_model(strict, Verdict.VALID) == {"model": "strict"}
    assert "loses more than journaling" in (power_model(strict, Verdict.INVALID) or {})["note"]
    assert power_model(record("power", {"model": "journaled"}, None), Verdict.VALID) is None, "it was never on"


def test_a_system_that_names_no_directory_loses_nothing_with_the_power_and_the_verdict_says_so() -> None:
    found = power_model(record("power", {"model": "journaled"}, {"answers": {"n1": "nothing"}}), Verdict.VALID)
    assert found is not None and found["model"] == "none" and "data_directory" in found["note"]
    unanswered = {"answers": {"n1": "nothing"}, "not_asked": ["n1"]}
    assert power_model(record("power", {"model": "journaled"}, unanswered), Verdict.VALID) == {"model": "journaled"}
