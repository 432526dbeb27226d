"""`tri list runs` and `tri compare`: what run folders say, filtered and side by side; and what such commands import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tribulation.harness.cli.catalogue.listing import recorded_runs
from tribulation.harness.cli.main import main
from tribulation.harness.run.outcome.run_folder import RunFacts

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Three recorded runs of two campaigns."""
    for campaign, at, verdict, took_ns, verified in (
        ("one", "20260101T000000Z", "valid", 1_000_000, True),
        ("one", "20260102T000000Z", "invalid", 9_000_000, False),
        ("two", "20260103T000000Z", "unknown", 1_000_000, True),
    ):
        run = tmp_path / "runs" / campaign / at
        run.mkdir(parents=True)
        anomalies = [{"kind": "stale-read"}] if verdict == "invalid" else []
        document = {
            "schema_version": 2,
            "verdict": verdict,
            "campaign": campaign,
            "seed": 7,
            "ops": {"ok": 2, "fail": 0, "info": 0},
            "checkers": {"linearizable": {"verdict": verdict, "anomalies": anomalies}},
            "faults": [{"id": "f", "kind": "cut", "verified": verified}],
        }
        (run / "verdict.json").write_text(json.dumps(document))
        RunFacts(campaign, 7, "tri run", ["n1"], {"n1": 1}).write(run)
        events = [
            {"index": 0, "time": 0, "process": 0, "type": "invoke", "f": "write", "key": "k", "value": 1},
            {"index": 1, "time": took_ns, "process": 0, "type": "ok", "f": "write", "key": "k", "value": 1},
        ]
        (run / "history.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    return tmp_path / "runs"


def _tri(capsys: Any, *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def test_runs_are_filtered(runs: Path) -> None:
    assert [row["verdict"] for row in recorded_runs(runs)] == ["valid", "invalid", "unknown"]
    assert [row["verdict"] for row in recorded_runs(runs, campaign="one")] == ["valid", "invalid"]
    assert [row["campaign"] for row in recorded_runs(runs, verdict="unknown")] == ["two"]
    assert [row["verdict"] for row in recorded_runs(runs, campaign="one", last=1)] == ["invalid"]


@pytest.mark.parametrize("content", ['{"verdict": ', "[]", '{"a": 1, "a": 2}', '{"faults": 7, "ops": []}', None])
def test_a_damaged_verdict_hides_no_other_run(runs: Path, capsys: Any, content: str | None) -> None:
    damaged = sorted((runs / "one").glob("2*/verdict.json"))[0]
    damaged.unlink()
    damaged.mkdir() if content is None else damaged.write_text(content)
    rows = recorded_runs(runs)
    assert [row["verdict"] for row in rows] == [None, "invalid", "unknown"]
    code, reported, _ = _tri(capsys, "list", "runs", "--runs", str(runs))
    assert code == 0 and len(reported.splitlines()) == 3
    if content != '{"faults": 7, "ops": []}':
        assert "no verdict: verdict.json: " in reported and "tri check" in reported


@pytest.mark.parametrize("content", ['{"campaign": ', "[]", None, "changed"])
def test_a_run_whose_facts_are_damaged_has_no_verdict(runs: Path, capsys: Any, content: str | None) -> None:
    damaged = sorted((runs / "one").glob("2*/run.json"))[0]
    changed = damaged.read_text().replace('"tri run"', '"tri runs"')
    damaged.unlink()
    if content is not None:
        damaged.write_text(changed if content == "changed" else content)
    assert [row["verdict"] for row in recorded_runs(runs)] == [None, "invalid", "unknown"]
    assert recorded_runs(runs, verdict="valid") == []
    code, reported, _ = _tri(capsys, "list", "runs", "--runs", str(runs))
    assert code == 0 and "no verdict: " in reported and "run.json: " in reported and "tri check" in reported


def test_a_run_that_was_killed_is_listed(runs: Path, capsys: Any) -> None:
    run = sorted((runs / "one").glob("2*"))[0]
    (run / "verdict.json").unlink()
    (run / "run.json").write_text("{}")
    assert [row["verdict"] for row in recorded_runs(runs)] == [None, "invalid", "unknown"]
    assert (
        "there is none: the run is not over, or was interrupted" in _tri(capsys, "list", "runs", "--runs", str(runs))[1]
    )


def test_a_folder_of_runs_that_was_named_and_is_not_there_is_an_error(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, reported, error = _tri(capsys, "list", "runs", "--runs", str(tmp_path / "missing"))
    assert (code, reported) == (2, "") and "missing: no such folder" in error and "hint:" in error
    monkeypatch.chdir(tmp_path)
    assert _tri(capsys, "list", "runs")[:2] == (0, ""), "nothing was run here yet"


def test_runs_are_one_document(runs: Path, capsys: Any) -> None:
    code, reported, _ = _tri(capsys, "list", "runs", "--runs", str(runs), "--verdict", "invalid", "--json")
    (row,) = json.loads(reported)
    assert code == 0 and (row["faults"], row["faults_verified"], row["seed"]) == (1, 0, 7)


def test_lines_are_whole_without_a_terminal(runs: Path, capsys: Any) -> None:
    _, reported, _ = _tri(capsys, "list", "runs", "--runs", str(runs))
    assert len(reported.splitlines()) == 3 and str(runs / "two" / "20260103T000000Z") in reported


def test_a_filter_of_runs_is_refused_elsewhere(capsys: Any) -> None:
    code, _, reported = _tri(capsys, "list", "faults", "--verdict", "valid")
    assert code == 2 and "--verdict filters runs" in reported and "hint:" in reported


def test_two_runs_are_compared(runs: Path, capsys: Any) -> None:
    one, other = sorted((runs / "one").iterdir())
    code, reported, _ = _tri(capsys, "compare", str(one), str(other), "--json")
    document = json.loads(reported)
    assert code == 0 and document["a"]["p50 ms"] == 1.0 and document["b"]["p50 ms"] == 9.0
    assert document["b"]["checker linearizable"] == "invalid: stale-read"
    assert document["b"]["faults cut"] == "0 of 1 verified"
    assert {"verdict", "p99 ms", "faults cut"} <= set(document["differs"]) and "seed" not in document["differs"]
    code, reported, _ = _tri(capsys, "compare", str(one), str(other))
    assert code == 0 and "≠" in reported and "stale-read" in reported


def test_a_folder_without_a_verdict_is_refused(tmp_path: Path, capsys: Any) -> None:
    code, _, reported = _tri(capsys, "compare", str(tmp_path), str(tmp_path))
    assert code == 2 and "verdict.json" in reported and "hint:" in reported


@pytest.mark.parametrize(
    "damage",
    [
        *(
            {name: wrong}
            for name in ("checkers", "faults", "ops")
            for wrong in (None, 1, "x", True, ["x"], {"a": None})
        ),
        {"checkers": {"linearizable": {"anomalies": [None]}}},
    ],
)
def test_a_verdict_of_another_shape_is_refused_with_its_place(damage: dict[str, Any], runs: Path, capsys: Any) -> None:
    run = next((runs / "one").iterdir())
    path = run / "verdict.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **damage}))
    code, _, reported = _tri(capsys, "compare", str(run), str(run))
    assert code == 2 and f"{path}: " in reported and "hint:" in reported


@pytest.mark.parametrize(
    ("words", "forbidden"),
    [
        (("check", "HISTORY", "--json"), {"rich", "pydantic", "jinja2", "paramiko", "fabric", "networkx"}),
        (("check", "HISTORY"), {"pydantic", "jinja2", "yaml", "paramiko", "fabric", "networkx"}),
        (("list", "runs", "--json"), {"rich", "pydantic", "jinja2", "paramiko", "fabric", "networkx"}),
        (("list", "faults", "--json"), {"rich", "jinja2", "paramiko", "fabric"}),
        (("run", "CAMPAIGN", "-q", "--runs", "simulated"), {"paramiko", "fabric", "networkx"}),
        (("--help",), {"rich", "pydantic", "jinja2", "paramiko", "fabric", "networkx"}),
    ],
)
def test_a_command_imports_only_what_it_needs(words: tuple[str, ...], forbidden: set[str], runs: Path) -> None:
    history = next(runs.glob("*/*/history.jsonl"))
    campaign = runs.parent / "simulated.yaml"
    campaign.write_text("name: simulated\nduration: 1s\nhosts: {provider: sim}\nworkloads: [{register: {}}]\n")
    named = {"HISTORY": str(history), "CAMPAIGN": str(campaign)}
    given = [named.get(word, word) for word in words]
    code = "import sys\nfrom tribulation.harness.cli.main import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
    code += "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, *given],
        cwd=runs.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stderr.splitlines()[-1].split()) & forbidden == set()
