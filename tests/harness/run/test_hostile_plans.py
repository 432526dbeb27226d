"""Whatever a plan.json says, reading it ends soon, in a plan or in a refusal with its place; nothing is simulated."""

from __future__ import annotations

import copy
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.cli.main import main
from tribulation.harness.errors import CampaignError
from tribulation.harness.evidence.documents import required_document
from tribulation.harness.run.plan.build import make_plan
from tribulation.harness.run.plan.plan import Plan
from tribulation.harness.run.simulated import cluster_of

SOON_S = 1.5
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "150"))
CAMPAIGN = """
name: many
hosts: {provider: sim, nodes: 5}
system: {membership: {}, agents: {}, memory: {}}
seed: 5
duration: 8s
liveness: {rest: bridged}
workloads:
  - register: {keys: 2, clients: 3, rate: 60/s, bursts: {every: 2s, for: 500ms, rate: 90/s}}
  - set: {clients: 1, rate: 10/s}
  - tasks: {}
faults:
  - partition: {shape: isolate-one, target: leader, after: 500ms, for: 1s}
  - partition: {shape: grudge, edges: [[n1, n2]], after: 2s, for: 1s}
  - link: {shape: halves, loss: 5%, delay: 5ms, after: 3s, for: 1s}
  - flap: {shape: bridge, after: 4s, for: 1s}
  - kill: {target: follower, on: leader-elected, after: 1s, restart_after: 500ms}
  - power-loss: {target: "random(2)", after: 4s, for: 1s}
  - disk: {target: one, effect: slow, delay: 20ms, after: 1s, for: 1s}
  - clock: {target: [n2], offset: 60s, after: 1s, for: 1s}
  - voters: {set: {n5: 0}, after: 5s}
  - membership: {target: [n4], after: 6s, for: 500ms}
"""
STORED = Path(__file__).parents[3] / "histories" / "corpus"


def _campaign(folder: Path) -> Path:
    path = folder / "many.yaml"
    path.write_text(CAMPAIGN)
    return path


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """A plan with faults of every form, one with its operations written out, and one of each that is kept."""
    folder = tmp_path_factory.mktemp("plans")
    whole = make_plan(load_campaign(_campaign(folder)), folder).to_json()
    kept = [json.loads(path.read_text()) for path in sorted(STORED.glob("*/plan.json"))[:3]]
    return [json.loads(json.dumps(whole)), *kept]


HOSTILE: list[Any] = [
    None, -1, 0, 1, 10**400, -(10**400), 1 << 63, 1 << 61, 10**15, 0.5, 1e300, True, "x", "", "n1", "\x00", "x" * 100_000, [], {}, [None], [[]], {"x": None},
    json.loads("[" * 400 + "]" * 400),
]  # fmt: skip


def _places(value: Any) -> list[tuple[Any, Any]]:
    names: Any = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place for name in names for place in ((value, name), *_places(value[name]))]


@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data())
def test_any_value_in_a_plan_is_taken_or_refused_with_its_place_and_soon(
    plans: list[dict[str, Any]], data: st.DataObject
) -> None:
    plan = copy.deepcopy(data.draw(st.sampled_from(plans), label="plan"))
    for _ in range(data.draw(st.integers(1, 2), label="changes")):
        places = _places(plan)
        holder, name = places[data.draw(st.integers(0, len(places) - 1), label="place")]
        value = data.draw(st.sampled_from([*HOSTILE, "gone"]))
        if value == "gone":
            del holder[name]
        else:
            holder[name] = copy.deepcopy(value)
    begun_s = time.thread_time()
    try:
        found = Plan.from_json(plan, "some/plan.json")
        event("taken")
        assert found.timing.load_ns <= 1000 * 3600 * 10**9
        written = json.dumps(found.to_json(), allow_nan=False)
        assert Plan.from_json(json.loads(written), "some/plan.json") == found
    except CampaignError as error:
        event("refused")
        assert error.message.startswith("some/plan.json: not a plan: ") and error.hint
        assert len(str(error)) < 2000
    assert time.thread_time() - begun_s < SOON_S


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("timing", "load_ns"), 10**30, "load_ns"),
        (("timing", "load_ns"), 10**16, "$.timing.load_ns"),
        (("timing", "operation_ns"), 0, "$.timing.operation_ns"),
        (("seed",), -1, "$.seed"),
        (("nodes", 0), "n2", "$.nodes: 'n2' is there twice"),
        (("slots", 0, 4), "n9", "$.slots: no node 'n9'"),
        (("slots", 1, 0), 0, "$.slots: 0 is there twice"),
        (("workloads", "register", "rate"), "99999999/s", "$.workloads.register.rate"),
        (("workloads", "register", "rate"), 10**400, "$.workloads.register.rate"),
        (("workloads", "register", "clients"), 10**6, "$.workloads.register.clients"),
        (("intents", 0, "kind"), "meteor", "unknown kind 'meteor'"),
        (("intents", 0, "parameters"), {}, "has no 'target'"),
        (("intents", 0, "at_ns"), -5, "at_ns"),
        (("liveness", "for_ns"), 10**18, "$.liveness.for_ns"),
        (("options", "system", "snapshot_threshold"), -1, "$.options.system.snapshot_threshold"),
        (("options", "hosts", "nodes"), 10**6, "$.options.hosts.nodes"),
        (("options", "hosts"), None, "$.options.hosts"),
        (("options", "checkers"), 5, "$.options.checkers"),
        (("options", "checkers"), [], "$.options.checkers"),
        (("options", "checker_options"), 1.5, "$.options.checker_options"),
        (("options", "expect"), [], "$.options.expect"),
        (("options", "plugins"), "x", "$.options.plugins"),
        (("options", "system", "flaws"), None, "$.options.system.flaws"),
        (("world", "redial_min_ns"), 0, "$.world.redial_min_ns"),
        (("world", "meteor"), 1, "no option 'meteor' of a world"),
        (("voters", "n9"), 1, "$.voters: no node 'n9'"),
    ],
)
def test_a_value_beyond_its_bounds_is_named(
    plans: list[dict[str, Any]], place: tuple[Any, ...], value: Any, said: str
) -> None:
    plan = copy.deepcopy(plans[0])
    holder: Any = plan
    for name in place[:-1]:
        holder = holder[name]
    holder[place[-1]] = value
    with pytest.raises(CampaignError) as raised:
        Plan.from_json(plan, "some/plan.json")
    assert said in raised.value.message


def test_more_nodes_than_the_simulator_has_are_refused(plans: list[dict[str, Any]]) -> None:
    plan = {**plans[0], "nodes": [f"n{number + 1}" for number in range(33)]}
    with pytest.raises(CampaignError, match=r"\$\.nodes: 33 nodes"):
        Plan.from_json(plan)


def test_a_name_that_stands_twice_in_an_object_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text('{"timing": {"load_ns": 1, "load_ns": 2}}')
    with pytest.raises(CampaignError, match="an object has 'load_ns' twice"):
        required_document(path, "name a plan.json")


@pytest.mark.parametrize(
    ("command", "what"), [("run --plan", "plan.json"), ("replay", ""), ("shrink", ""), ("explain", "")]
)
def test_every_command_refuses_a_plan_that_was_changed_by_hand(
    plans: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, what: str
) -> None:
    plan = {**plans[0], "timing": {**plans[0]["timing"], "load_ns": 10**16}}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    (tmp_path / "history.jsonl").write_text("")
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), str(tmp_path / what)])
    said = capsys.readouterr().err
    assert ended.value.code == 2, said
    assert "plan.json: not a plan: Expected `int` <= 3600000000000000 - at `$.timing.load_ns`" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"checker_options": {"max_recovery_s": "x"}}, "option max_recovery_s: must be a finite number"),
        ({"checker_options": {"linearizable": []}}, "the options of checker 'linearizable' must be a mapping"),
        ({"checkers": ["no-such"]}, "no checker 'no-such'"),
    ],
)
def test_checkers_and_options_that_there_are_not_are_refused_before_the_run_is_simulated(
    plans: list[dict[str, Any]], options: dict[str, Any], said: str
) -> None:
    plan = Plan.from_json({**plans[0], "options": {**plans[0]["options"], **options}})
    with pytest.raises(CampaignError) as raised:
        cluster_of(plan)
    assert said in raised.value.message and raised.value.hint
