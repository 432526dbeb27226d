"""JSON Schemas: what commands print and write fits them, every campaign of ours does, and mistakes do not."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tribulation.harness.cli.catalogue.entries import NAMES, entry
from tribulation.harness.cli.catalogue.schemas import TITLES, schema
from tribulation.harness.cli.main import main
from tribulation.harness.user_files.yaml_loader import load_yaml

ROOT = Path(__file__).resolve().parents[3]
FILES = runpy.run_path(str(ROOT / "scripts/make_reference.py"))["schemas"]()
CAMPAIGNS = [*sorted((ROOT / "campaigns").rglob("*.yaml")), *sorted((ROOT / "systems").glob("*.yaml"))]


def problems(name: str, document: Any) -> list[str]:
    found = Draft202012Validator(schema(name)).iter_errors(json.loads(json.dumps(document)))
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message[:200]}" for error in found]


@pytest.mark.parametrize("name", TITLES)
def test_a_schema_is_valid_and_the_stored_one_is_current(name: str) -> None:
    Draft202012Validator.check_schema(schema(name))
    stored = (ROOT / "docs/reference/schemas" / f"{name}.json").read_text(encoding="utf-8")
    assert stored == FILES[f"{name}.json"], "hint: make map"


def test_every_campaign_of_ours_fits_its_schema() -> None:
    validator = Draft202012Validator(schema("campaign"))
    read = {path.name: load_yaml(path)[0] for path in CAMPAIGNS}
    assert len(read) > 60
    wrong = {name: [error.message[:200] for error in validator.iter_errors(one)] for name, one in read.items()}
    assert {name: errors for name, errors in wrong.items() if errors} == {}


def test_every_example_of_a_fault_and_a_workload_fits() -> None:
    for kind, section in (("fault", "faults"), ("workload", "workloads")):
        for name in NAMES[kind]():
            campaign = {"name": "x", "workloads": [{"register": {}}]}
            campaign[section] = [yaml.safe_load(entry(kind, name).example.removeprefix("- "))]
            assert problems("campaign", campaign) == [], name


MISTAKES: list[tuple[str, Callable[[dict[str, Any]], object]]] = [
    ("a key", lambda of: of.update(setle="3s")),
    ("a fault", lambda of: of["faults"].append({"partitoin": {"shape": "halves"}})),
    ("two faults in one item", lambda of: of["faults"].append({"kill": {}, "pause": {}})),
    ("a fault's field", lambda of: of["faults"].append({"kill": {"target": "leader", "evry": "5s"}})),
    ("a fault's value", lambda of: of["faults"].append({"partition": {"shape": "thirds"}})),
    ("a workload's field", lambda of: of["workloads"][0]["register"].update(clinets=3)),
    ("a type", lambda of: of.update(seed="seven")),
    ("a duration without unit", lambda of: of.update(duration=30)),
    ("a section", lambda of: of["hosts"].update(provider="docker")),
]


@pytest.mark.parametrize(("what", "change"), MISTAKES, ids=[what for what, _ in MISTAKES])
def test_a_mistake_is_seen_in_an_editor(what: str, change: Callable[[dict[str, Any]], object]) -> None:
    good = yaml.safe_load((ROOT / "campaigns/quickstart.yaml").read_text(encoding="utf-8"))
    bad = deepcopy(good)
    change(bad)
    assert problems("campaign", good) == [] and problems("campaign", bad) != []


def test_the_schema_of_a_campaign_has_defaults_as_one_writes_them() -> None:
    found = schema("campaign")
    assert found["properties"]["duration"]["default"].endswith("s")
    assert {"restart_after", "for", "target", "every"} <= found["$defs"]["KillSpec"]["properties"].keys()


def test_an_inventory_fits() -> None:
    host = {"name": "n1", "address": "192.0.2.1", "port": 22, "login_timeout": "10s"}
    assert problems("inventory", {"consent": True, "hosts": [host]}) == []
    assert problems("inventory", {"consent": True, "hosts": [{**host, "adress": "x"}]}) != []


@pytest.fixture(scope="module")
def tri(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[int, Any]]:
    folder = tmp_path_factory.mktemp("schemas")

    def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
        with pytest.raises(SystemExit) as ended, pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            main(list(words))
        return int(ended.value.code or 0), json.loads(capsys.readouterr().out)

    return call


def test_what_commands_print_and_write_fits(
    tri: Callable[..., tuple[int, Any]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    runs = str(tmp_path / "runs")
    few = ("--set", "duration=3s", "--set", "faults=[{partition: {shape: leader-minority, after: 1s, for: 1s}}]")
    code, told = tri(capsys, "run", "flaws/ack-before-majority", "--hosts", "sim", "--json", "--runs", runs, *few)
    assert code in (0, 1, 3) and problems("verdict", told) == []
    folder = Path(told["run"])
    for name in ("run", "plan", "verdict"):
        assert problems(name, json.loads((folder / f"{name}.json").read_text())) == []
    for name in ("history", "ledger"):
        lines = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
        validator = Draft202012Validator(schema(name))
        wrong = [error.message for line in lines[1:] for error in validator.iter_errors(line)]
        assert len(lines) > 3 and wrong == []
    assert problems("verdict", tri(capsys, "check", str(folder), "--json")[1]) == []
    assert problems("runs", tri(capsys, "list", "runs", "--runs", runs, "--json")[1]) == []
    found = tri(
        capsys,
        "search",
        "flaws/ack-before-majority",
        "--seeds",
        "2",
        "--jobs",
        "1",
        "--json",
        "--runs",
        runs,
        "--folders",
        "0",
    )
    assert problems("search", found[1]) == []


@pytest.mark.parametrize("what", ["campaigns", "workloads", "systems", "faults", "checkers", "flaws"])
def test_lists_fit(what: str, tri: Callable[..., tuple[int, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    assert problems("list", tri(capsys, "list", what, "--json")[1]) == []


def test_entries_and_schemas_are_shown(tri: Callable[..., tuple[int, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    for kind in NAMES:
        assert problems("show", tri(capsys, "show", kind, NAMES[kind]().__iter__().__next__(), "--json")[1]) == []
    assert tri(capsys, "show", "schema", "campaign")[1] == schema("campaign")
