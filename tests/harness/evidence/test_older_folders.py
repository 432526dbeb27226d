"""Folders that a version without seals wrote are judged by what is there; folders of nothing are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tribulation.harness.errors import CampaignError
from tribulation.harness.run.outcome.verdict import judge

from .damage import cut_bytes, remove, rewrite


@pytest.fixture
def older(sound_run: Path, tmp_path: Path) -> Path:
    """As the version before wrote it: no state, no digests, and none of the later facts."""
    run = Path(shutil.copytree(sound_run, tmp_path / "run"))
    later = ("state", "files", "traced", "uncollected", "gaps")
    rewrite("run.json", lambda facts: [facts.pop(name) for name in later])(run)
    return run


def test_it_is_judged_as_before(older: Path) -> None:
    judgement = judge(older)
    assert judgement.verdict.value == "valid", judgement.document
    assert judgement.document["gaps"] == []


def test_lines_that_are_missing_are_not_noticed_without_a_seal(older: Path) -> None:
    (older / "trace/n2.jsonl").unlink()
    assert judge(older).document["gaps"] == []


def test_a_torn_line_is(older: Path) -> None:
    cut_bytes("ledger.jsonl", 9)(older)
    judgement = judge(older)
    assert judgement.verdict.value == "unknown"
    assert judgement.document["doubts"] == ["evidence is missing: ledger.jsonl: its last line is cut"]


def test_so_is_a_ledger_that_is_missing_where_the_plan_has_faults(older: Path) -> None:
    remove("ledger.jsonl")(older)
    judgement = judge(older)
    assert judgement.verdict.value == "unknown"
    assert judgement.document["doubts"] == ["evidence is missing: ledger.jsonl: is missing, and the plan has faults"]


def test_what_a_later_version_knows_besides_is_left_out(sound_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(sound_run, tmp_path / "run"))
    rewrite("run.json", lambda facts: facts.update(of_tomorrow=1))(run)
    assert judge(run).verdict.value == "valid"


def test_a_folder_without_facts_and_plan_is_no_run(sound_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(sound_run, tmp_path / "run"))
    remove("run.json")(run)
    (run / "plan.json").write_text("[]")
    with pytest.raises(CampaignError, match=r"has no run: run\.json: there is none; and no plan\.json") as refused:
        judge(run)
    assert "history.jsonl" in (refused.value.hint or "")
    with pytest.raises(CampaignError, match="has no run") as refused:
        judge(tmp_path)
    assert "history.jsonl" not in (refused.value.hint or ""), "there is no history to check"


def test_an_unchanged_run_has_the_verdict_that_it_had(sound_run: Path, stale_run: Path) -> None:
    for run in (sound_run, stale_run):
        recorded, again = json.loads((run / "verdict.json").read_text()), judge(run).document
        for name in ("verdict", "expected", "gaps", "doubts", "ops", "phases"):
            assert again[name] == recorded[name], name
        assert {name: found["verdict"] for name, found in again["checkers"].items()} == {
            name: found["verdict"] for name, found in recorded["checkers"].items()
        }
