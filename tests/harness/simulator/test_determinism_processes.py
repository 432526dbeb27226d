"""A plan determines its run in every process: other Pythons, hash seeds, places, zones and locales; and where two runs part is found."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from tribulation.harness.run.plan.plan import Plan
from tribulation.harness.run.simulated import simulate

SCRIPT = Path(__file__).resolve().parents[3] / "scripts/determinism.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("determinism", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["determinism"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def plans(script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    paths: list[Path] = script.make_plans(tmp_path_factory.mktemp("plans"), 4, 1)
    return paths


def test_a_sample_of_plans_in_processes_that_differ(script: ModuleType, plans: list[Path], tmp_path: Path) -> None:
    said: list[str] = []
    assert script.survey(plans[:2], 3, [sys.executable], tmp_path, said.append) == 0
    assert said[-1].endswith("no plans with more than one digest")
    for path, line in zip(plans[:2], said, strict=False):
        here = simulate(Plan.from_json(json.loads(path.read_text(encoding="utf-8"))))
        assert line.endswith(f"1 digest: {here.digest}"), "a fresh process does what this one does"


def test_settings_meet_in_many_ways(script: ModuleType) -> None:
    stream = script.settings(["a", "b"], ["x", "y", "z"])
    some = [next(stream) for _ in range(100)]
    assert {(one.python, one.hash_seed) for one in some} == {(p, h) for p in "ab" for h in script.HASH_SEEDS}
    assert len({(one.python, one.hash_seed, one.zone, one.locale, one.directory, one.options) for one in some}) > 50


def test_a_plan_that_does_something_else_in_one_process_is_found_with_the_step(
    script: ModuleType, plans: list[Path], tmp_path: Path
) -> None:
    """One of two plans drops its last fault: the runs are alike until then."""
    path = plans[1]
    plan = Plan.from_json(json.loads(path.read_text(encoding="utf-8")))
    last = max(plan.intents, key=lambda intent: intent.at_ns)
    other = tmp_path / "other.json"
    fewer = replace(plan, intents=[intent for intent in plan.intents if intent is not last])
    other.write_text(json.dumps(fewer.to_json()), encoding="utf-8")
    listed = []
    for number, each in enumerate((path, other)):
        setting = script.Setting(sys.executable, "random", "UTC", "C", str(tmp_path), (), number)
        script.run_elsewhere(setting, each, tmp_path / str(number))
        listed.append((tmp_path / str(number)).read_text(encoding="utf-8").split("\n"))
    assert (
        len(listed[0]) > 500 and script.first_difference(listed[0], listed[0]) == "both runs printed the same this time"
    )
    difference = script.first_difference(*listed)
    same = next(place for place, (a, b) in enumerate(zip(*listed, strict=False)) if a != b)
    assert f"same until: {listed[0][same - 1]}"[:200] in difference
    assert f"one:   {listed[0][same]}"[:200] in difference and f"other: {listed[1][same]}"[:200] in difference
