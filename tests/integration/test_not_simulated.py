"""A system of one's own is never simulated: what the reference cluster would do in its name says nothing about it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.full import full
from tribulation.harness.campaign.model import Campaign
from tribulation.harness.run.plan.build import make_plan

OWN = "name: own\n{hosts}system: {{file: {file}}}\nduration: 1s\nworkloads: [register: {{}}]\n"
WRITE = '{"index":0,"time":0,"process":0,"type":"invoke","f":"write","key":"k","value":1,"workload":"register"}\n'


@pytest.fixture(params=["own.py", *full("no-such-file.py")])
def campaign(request, tmp_path: Path) -> Path:
    (tmp_path / "own.py").write_text("raise AssertionError('the file of a campaign that is refused is not run')\n")
    path = tmp_path / "own.yaml"
    path.write_text(OWN.format(hosts="hosts: {provider: local, nodes: 3}\n", file=request.param))
    return path


@pytest.mark.parametrize("words", [("run", "CAMPAIGN", "--hosts", "sim"), ("search", "CAMPAIGN", "--seeds", "1")])
def test_campaigns_are_refused_with_the_line(tri, campaign: Path, words):
    ended = tri(*(str(campaign) if word == "CAMPAIGN" else word for word in words))
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert f"{campaign}:3" in ended.stderr and "cannot be simulated" in ended.stderr and "hint: " in ended.stderr
    assert not (campaign.parent / "runs").exists()


@pytest.fixture(params=["sim", "local"])
def run(request, tmp_path: Path) -> Path:
    """What a run of an own system leaves: on hosts, or by what simulated the reference cluster in its name."""
    folder = tmp_path / "run"
    folder.mkdir()
    campaign = Campaign.model_validate(
        {
            "name": "own",
            "hosts": {"provider": request.param, "nodes": 3},
            "system": {"file": "own.py"},
            "seed": 1,
            "workloads": [{"register": {}}],
        }
    )
    (folder / "plan.json").write_text(json.dumps(make_plan(campaign, tmp_path).to_json()))
    (folder / "history.jsonl").write_text(WRITE)
    return folder


@pytest.mark.parametrize(
    "words",
    [
        ("replay", "RUN"),
        ("run", "--plan", "RUN/plan.json"),
        *full(("replay", "RUN", "--tier", "c"), ("explain", "RUN")),
    ],
)
def test_run_folders_are_refused_before_anything_is_simulated(tri, run: Path, words):
    ended = tri(*(word.replace("RUN", str(run)) for word in words))
    assert (ended.exit_code, ended.stdout) == (2, ""), ended.stderr
    on_hosts = words == ("replay", "RUN") and '"provider": "local"' in (run / "plan.json").read_text()
    assert ("did not fail" if on_hosts else "the system of own.py cannot be simulated") in ended.stderr
    assert "hint: " in ended.stderr and sorted(path.name for path in run.parent.iterdir()) == ["run"]


def test_shrinking_a_simulated_run_of_it_is_refused(tri, run: Path):
    plan = run / "plan.json"
    plan.write_text(plan.read_text().replace('"provider": "local"', '"provider": "sim"'))
    ended = tri("shrink", str(run))
    assert ended.exit_code == 2 and "the system of own.py cannot be simulated" in ended.stderr


def test_two_systems_in_one_campaign_are_refused(tri, tmp_path: Path):
    path = tmp_path / "both.yaml"
    path.write_text("name: both\nsystem:\n  name: mine\n  file: own.py\nworkloads: [register: {}]\n")
    ended = tri("run", str(path))
    assert ended.exit_code == 2 and f"{path}:3: system.name" in ended.stderr and "remove `name`" in ended.stderr
