"""`tri run --repeat`: each run has the next seed and a folder of its own, an outcome may end them, and what ended is reported."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tribulation.checkers import CheckResult, Verdict
from tribulation.harness.cli.main import main
from tribulation.harness.cli.runs import repeating
from tribulation.harness.cli.runs.repeating import repeats
from tribulation.harness.errors import CampaignError, HostError
from tribulation.harness.failures.signature import Signature
from tribulation.harness.shrink import folder, hosts

CAMPAIGN = """
name: small
hosts: {provider: sim, nodes: 3}
duration: 2s
settle: 1s
workloads: [{register: {clients: 2, rate: 20/s}}]
"""
CODES = {"valid": 0, "invalid": 1, "unknown": 3}


def judged(verdict: str, seed: int) -> Any:
    document = {"errors": [], "doubts": ["a fault was not seen"] if verdict == "unknown" else [], "run": f"runs/{seed}"}
    results = {"set": CheckResult("set", Verdict(verdict))}
    return SimpleNamespace(
        verdict=Verdict(verdict),
        exit_code=CODES[verdict],
        results=results,
        document=document,
        record=SimpleNamespace(history=None),
    )


def repeated(outcomes: list[Any], until: str | None = None) -> list[tuple[int, str, int]]:
    def run(seed: int) -> Any:
        outcome = outcomes[seed - 10]
        if isinstance(outcome, Exception):
            raise outcome
        return judged(outcome, seed)

    found = repeats(run, range(10, 10 + len(outcomes)), until, lambda line: None)
    return [(one.seed, one.outcome, one.exit_code) for one in found]


def test_it_ends_at_the_outcome_that_it_waits_for() -> None:
    outcomes = ["valid", "unknown", "invalid", "valid"]
    assert repeated(outcomes, "invalid") == [(10, "valid", 0), (11, "unknown", 3), (12, "invalid", 1)]
    assert [outcome for _, outcome, _ in repeated(outcomes)] == outcomes


def test_hosts_that_cannot_be_had_are_an_outcome_and_a_wrong_campaign_is_none() -> None:
    assert repeated(["valid", HostError("no host", "")])[1] == (11, "error", 4)
    with pytest.raises(CampaignError):
        repeated([CampaignError("wrong", "")])


def tri(capsys: Any, *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def test_each_run_has_the_next_seed_and_a_folder_that_records_it(tmp_path: Path, capsys: Any) -> None:
    campaign = tmp_path / "small.yaml"
    campaign.write_text(CAMPAIGN)
    words = ("run", str(campaign), "--repeat", "2", "--seed", "7", "--runs", str(tmp_path / "runs"), "-q")
    code, out, _ = tri(capsys, *words, "--json")
    document = json.loads(out)
    assert (code, document["exit_code"], document["asked"], document["campaign"]) == (0, 0, 2, "small")
    assert document["rates"]["valid"]["count"] == 2 and document["rates"]["valid"]["high"] == 1.0
    folders = [Path(run["run"]) for run in document["runs"]]
    assert len(set(folders)) == 2
    assert [json.loads((folder / "run.json").read_text())["seed"] for folder in folders] == [7, 8]
    code, out, _ = tri(capsys, *words, "--until", "valid")
    assert code == 0 and "valid: 1 of 1 (100%; 95% interval 21% to 100%)" in out and "ended after 1 of 2 runs" in out


@pytest.mark.parametrize("more", [("--keep",), ("--fail-on", "invalid"), ("--junit", "a.xml")])
def test_what_does_not_go_with_it_is_refused(tmp_path: Path, capsys: Any, more: tuple[str, ...]) -> None:
    campaign = tmp_path / "small.yaml"
    campaign.write_text(CAMPAIGN)
    code, _, said = tri(capsys, "run", str(campaign), "--repeat", "2", *more)
    assert code == 2 and "--repeat cannot be combined with" in said
    code, _, said = tri(capsys, "run", str(campaign), "--until", "valid")
    assert code == 2 and "--until needs --repeat" in said


@pytest.mark.parametrize(
    ("outcomes", "code", "said"),
    [
        (["valid", "invalid", "unknown", "valid"], 0, "fails by set/lost-write in 1 of 4 (25%"),
        (["valid", "unknown"], 3, "fails by set/lost-write in 0 of 2 (0%"),
        ([HostError("no host", "")] * 2, 4, "fails by set/lost-write in 0 of 2 (0%"),
    ],
)
def test_a_replay_of_an_own_system_says_how_often_it_fails_alike(
    monkeypatch: Any, capsys: Any, outcomes: list[Any], code: int, said: str
) -> None:
    wanted, left = Signature("set", "lost-write"), list(outcomes)

    def run(plan: Any) -> Any:
        outcome = left.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return judged(outcome, 7)

    def found(results: Any, history: Any) -> list[Signature]:
        return [wanted] if results["set"].verdict is Verdict.INVALID else []

    source = SimpleNamespace(plan=SimpleNamespace(seed=7, options={"system": {}}), signatures=lambda: [wanted])
    monkeypatch.setattr(folder, "read_recorded", lambda target: source)
    monkeypatch.setattr(hosts, "runs_on_hosts", lambda source, settings: run)
    monkeypatch.setattr(repeating, "signatures", found)
    assert repeating.replayed(Path("runs/a"), len(outcomes), None, Path("runs"), False) == code
    assert said in capsys.readouterr().out and left == []
