"""JSON Schemas: what commands print and write fits them, every campaign of ours does, and mistakes do not."""

from __future__ import annotations

import contextlib
import io
import json
import runpy
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.documents import problems
from tribulation.harness.cli.catalogue.entries import NAMES, entry
from tribulation.harness.cli.catalogue.schemas import TITLES, schema
from tribulation.harness.cli.machines.deploy import _row
from tribulation.harness.cli.main import main
from tribulation.harness.cluster.bench import Result, document
from tribulation.harness.cluster.picture import Picture, Row
from tribulation.harness.cluster.scenarios import SCENARIOS
from tribulation.harness.deploy.deploy import HostResult
from tribulation.harness.deploy.plan import HostPlan, Refusal, Step
from tribulation.harness.deploy.status import NodeStatus
from tribulation.harness.errors import HostError
from tribulation.harness.user_files.yaml_loader import load_yaml

FAILING = "flaws/ack-before-majority"
ROOT = Path(__file__).resolve().parents[3]
CAMPAIGNS = [*sorted((ROOT / "campaigns").rglob("*.yaml")), *sorted((ROOT / "systems").glob("*.yaml"))]


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    return runpy.run_path(str(ROOT / "scripts/make_reference.py"))["schemas"]()  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", TITLES)
def test_a_schema_is_valid_and_the_stored_one_is_current(files: dict[str, str], name: str) -> None:
    Draft202012Validator.check_schema(schema(name))
    stored = (ROOT / "docs/reference/schemas" / f"{name}.json").read_text(encoding="utf-8")
    assert stored == files[f"{name}.json"], "hint: make map"


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


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Make a failing run and return the JSON it printed; `run` is its folder."""
    printed, runs = io.StringIO(), tmp_path_factory.mktemp("ran") / "runs"
    faults = "faults=[{partition: {shape: leader-minority, after: 1s, for: 1s}}]"
    few = ("--set", "duration=3s", "--set", faults, "--set", "workloads=[{register: {rate: 200/s}}]")
    words = ["run", FAILING, "--hosts", "sim", "--seed", "5", "--json", "--runs", str(runs), *few]
    with pytest.raises(SystemExit) as ended, contextlib.redirect_stdout(printed):
        main(words)
    assert ended.value.code == 1
    return dict(json.loads(printed.getvalue()))


def test_a_run_and_its_files_fit(
    ran: dict[str, Any], tri: Callable[..., tuple[int, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(ran["run"])
    assert problems("verdict", ran) == []
    for name in ("run", "plan", "verdict"):
        assert problems(name, json.loads((folder / f"{name}.json").read_text())) == []
    for name in ("history", "ledger"):
        lines = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
        validator = Draft202012Validator(schema(name))
        wrong = [error.message for line in lines[1:] for error in validator.iter_errors(line)]
        assert len(lines) > 3 and wrong == []
    assert problems("verdict", tri(capsys, "check", str(folder), "--json")[1]) == []
    assert problems("runs", tri(capsys, "list", "runs", "--runs", str(folder.parents[1]), "--json")[1]) == []


def test_a_search_fits(tri: Callable[..., tuple[int, Any]], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    few = ("--seeds", "2", "--jobs", "1", "--json", "--runs", str(tmp_path), "--folders", "0")
    assert problems("search", tri(capsys, "search", FAILING, *few)[1]) == []


FEW = ("--tries", "2", "--jobs", "1", "--json")
OF_A_RUN: list[tuple[str, tuple[str, ...]]] = [
    ("compare", ("compare", "RUN", "RUN", "--json")),
    ("replay", ("replay", "RUN", "--json")),
    ("replay", ("replay", "RUN", "--tier", "c", "--runs", "RUN/more", *FEW)),
    ("explain", ("explain", "RUN", "--salts", "2", "--points", "3", *FEW)),
    ("shrunk-history", ("shrink", "RUN/history.jsonl", "--tries", "5", "--json")),
]


@pytest.mark.parametrize(("name", "words"), OF_A_RUN, ids=[" ".join(words[:3]) for _, words in OF_A_RUN])
def test_what_is_printed_of_a_run_fits(
    name: str,
    words: tuple[str, ...],
    ran: dict[str, Any],
    tri: Callable[..., tuple[int, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert problems(name, tri(capsys, *(word.replace("RUN", ran["run"]) for word in words))[1]) == []


SMALL = "name: small\nduration: 1s\nhosts: {provider: sim, nodes: 3}\nworkloads: [{register: {rate: 20/s}}]\n"


def test_repeated_runs_fit(
    tri: Callable[..., tuple[int, Any]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    words = ("run", str(tmp_path / "small.yaml"), "--repeat", "2", "--seed", "1", "--runs", str(tmp_path), "--json")
    reported = tri(capsys, *words)[1]
    assert problems("repeat", reported) == [] and len(reported["runs"]) == 2
    own = {"run": "x", "failure": "a/b", "alike": reported["rates"]["valid"]}
    of_hosts = {name: reported[name] for name in ("confidence", "rates", "failures", "runs", "exit_code")}
    assert problems("replay", {**of_hosts, **own}) == []


def test_a_field_that_is_missing_or_unknown_is_seen() -> None:
    good = {"host": "n1", "ok": True, "detail": "", "elapsed_s": 0.5, "error": None}
    assert problems("deploy", {"hosts": [good]}) == []
    assert problems("deploy", {"hosts": [{**good, "more": 1}]}) != []
    assert problems("deploy", {"hosts": [{"host": "n1"}]}) != []


def test_rows_of_hosts_nodes_and_scenarios_fit() -> None:
    results = [HostResult("n1", True, "ready", 0.1), HostResult("n2", False, "refused", 0.1, HostError("no login"))]
    assert problems("deploy", {"hosts": [_row(result) for result in results]}) == []
    assert problems("deploy", {"hosts": [_row(NodeStatus("n1", "runs", "1a2b", True, "leader", 3, 9, 0, 1.5))]}) == []
    plans = [HostPlan("n1", [Step("install", "node.pyz")]), HostPlan("n2", refusals=[Refusal("port taken", "free it")])]
    assert problems("deploy", {"plan": [plan.to_json() for plan in plans]}) == []
    row = Row("n1", "10.0.0.1", "worker", "alive", "leader", 1, 0, 4, "python", None)
    for seen in (Picture("n1", False), Picture("n1", True, "n1", 2, rows=(row,), tasks={"done": 1})):
        assert problems("nodes", seen.to_json()) == []
    some = next(iter(SCENARIOS.values()))
    measured = [Result(some, "2 s", True), Result(some, "no", None)]
    assert problems("cluster-bench", document(measured)) == []


def test_lists_of_labs_and_heals_fit(tri: Callable[..., tuple[int, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRI_LABS", "labs")
        assert problems("hosts-list", tri(capsys, "hosts", "list", "--json")[1]) == []
        assert problems("heal", tri(capsys, "heal", "--json")[1]) == []


@pytest.mark.parametrize("what", ["campaigns", "workloads", "systems", "faults", "checkers", "flaws"])
def test_lists_fit(what: str, tri: Callable[..., tuple[int, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    assert problems("list", tri(capsys, "list", what, "--json")[1]) == []


def test_entries_and_schemas_are_shown(tri: Callable[..., tuple[int, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    for kind in NAMES:
        assert problems("show", tri(capsys, "show", kind, NAMES[kind]().__iter__().__next__(), "--json")[1]) == []
    assert tri(capsys, "show", "schema", "campaign")[1] == schema("campaign")
