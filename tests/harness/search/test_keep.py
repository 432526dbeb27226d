"""Failures as run folders: whole ones for failures, what there is for crashes; each says how it is repeated, and it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tribulation.harness.cli.main import main
from tribulation.harness.run.settings import Settings
from tribulation.harness.search.engine import Findings, Search
from tribulation.harness.search.keep import keep_failures, keep_trial
from tribulation.harness.search.trial import Task, lost_trial, run_trial

from .campaigns import campaign

FLAWED = campaign("ack-before-majority")
WANTED = Search(FLAWED, range(9), swarm=False)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings("", tmp_path, tmp_path / "runs", lambda phase, detail: None)


def test_each_first_plan_is_kept_once_and_no_more_than_asked_for(settings: Settings):
    found = Findings()
    for seed in (3, 4):
        found.add(run_trial(Task(FLAWED, seed, swarm=False)))
    assert len(found.groups) > 1
    assert dict(keep_failures(found, WANTED, settings, limit=0)) == {}
    kept = keep_failures(found, WANTED, settings, limit=5)
    assert set(kept) == {group.first.seed for group in found.in_order()}
    assert all(folder.same for folder in kept.values())
    folder = kept[3]
    assert (
        json.loads((folder.run_dir / "run.json").read_text())["command"]
        == folder.repeat
        == f"tri replay {folder.run_dir}"
    )


def test_findings_are_reported_where_folders_cannot_be_written(tmp_path: Path):
    listed: list[str] = []
    settings = Settings("", tmp_path, Path("/proc/runs"), lambda phase, detail: listed.append(detail))
    found = Findings()
    found.add(run_trial(Task(FLAWED, 3, swarm=False)))
    assert dict(keep_failures(found, WANTED, settings, limit=5)) == {} and found.groups
    assert listed[-1].startswith("cannot write /proc/runs") and "hint: " in listed[-1]


def test_a_crash_leaves_its_plan_its_story_and_its_traces(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    steps = 0

    def broken(core) -> None:
        nonlocal steps
        steps += 1
        assert steps % 2, "every second check"

    with monkeypatch.context() as patch:
        patch.setattr("tribulation.node.core.core.Core.check", broken)
        trial = run_trial(Task(FLAWED, 3, swarm=False))
        kept = keep_trial(trial, WANTED, settings)
    assert kept.crashed and kept.same and kept.repeat == f"tri run --plan {kept.run_dir}/plan.json"
    story = (kept.run_dir / "crash.txt").read_text()
    assert story.startswith("the core of n") and "every second check" in story and "Traceback" in story
    assert (kept.run_dir / "trace/n1.jsonl").stat().st_size > 0
    with pytest.raises(SystemExit) as ended:
        main(["run", "--plan", f"{kept.run_dir}/plan.json", "--runs", str(settings.runs)])
    assert ended.value.code == 1, "the repaired node still has the campaign's flaw"
    assert "ack" in capsys.readouterr().out


def test_a_plan_that_took_its_worker_along_is_not_tried_here(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    def never(*_: object, **__: object) -> None:
        pytest.fail("it would take this process along")

    trial = lost_trial(Task(FLAWED, 3, swarm=False))
    monkeypatch.setattr("tribulation.harness.search.keep.attempt", never)
    kept = keep_trial(trial, WANTED, settings)
    assert kept.same and "the worker process died" in (kept.run_dir / "crash.txt").read_text()


def test_a_plan_is_carried_out_as_it_is(settings: Settings, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    path = tmp_path / "plan.json"
    for text, words, hint in (
        ("{}", ["--seed", "3"], "omit the others"),
        ("{}", [], "written by `tri run`"),
        ("no", [], "name the plan.json"),
    ):
        path.write_text(text)
        with pytest.raises(SystemExit) as ended:
            main(["run", "--plan", str(path), *words])
        assert ended.value.code == 2 and hint in capsys.readouterr().err
