"""`tri search` as a user has it: tables or JSON, run folders that replay, exit codes, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.integration.running import with_default_signals
from tribulation.harness.cli.main import main
from tribulation.harness.cli.runs.search import _campaign_of

from .campaigns import campaign

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def flawed(tmp_path: Path) -> Path:
    return written(tmp_path / "flawed.yaml", "ack-before-majority")


@pytest.fixture
def correct(tmp_path: Path) -> Path:
    return written(tmp_path / "correct.yaml")


def written(path: Path, *flaws: str) -> Path:
    data = campaign(*flaws, duration="2s").model_dump(mode="json", by_alias=True, exclude_none=True)
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return path


def tri(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_what_fails_is_reported_kept_and_replays(
    flawed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert tri("search", flawed, "--seeds", "8", "--jobs", "1", "--json") == 1
    reported = json.loads(capsys.readouterr().out)
    assert reported["trials"] == 8 and reported["failed"] >= 1 and sum(reported["verdicts"].values()) == 8
    first = reported["failures"][0]
    folder = Path(first["run"])
    assert first["same_again"] and first["repeat"] == f"tri replay {folder}"
    assert {"campaign.yaml", "plan.json", "history.jsonl", "trace", "verdict.json", "report.html", "search.json"} <= {
        path.name for path in folder.iterdir()
    }
    assert json.loads((folder / "search.json").read_text())["seed"] == first["first_seed"]
    (page,) = folder.parent.glob("search-*.html")
    text = page.read_text()
    assert f'<a href="{folder.name}/report.html">' in text and f"tri shrink {folder}" in text
    assert f"{first['checker']}/{first['kind']}" in text and f"{first['trials']} of {reported['trials']} trials" in text
    assert "<script" not in text and "default-src 'none'" in text
    assert tri("replay", folder) == 0
    assert "equal" in capsys.readouterr().out
    assert tri("check", folder) == 1
    assert f"{first['checker']}" in capsys.readouterr().out


def test_tables_are_for_people(flawed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert tri("search", flawed, "--seeds", "10", "--jobs", "1", "--runs", tmp_path / "runs", "--folders", "0") == 1
    reported = capsys.readouterr()
    assert "flaws      ack-before-majority" in reported.err and "seeds      10 from 1" in reported.err
    assert "sometimes" in reported.out and "never" in reported.out
    assert "first seed" in reported.out and "10 trials (0 mutants)" in reported.out
    assert reported.out.rstrip().endswith(f"repeat  tri search {flawed} --first 1 --seeds 10")
    assert not (tmp_path / "runs").exists()


def test_nothing_is_found_in_a_correct_node(correct: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    assert (
        tri("search", correct, "--seeds", "3", "--cpu-time", "10m", "--no-swarm", "--jobs", "1", "--runs", tmp_path)
        == 0
    )
    reported = capsys.readouterr()
    assert (
        "nothing failed" in reported.out
        and "3 trials (0 mutants): 3 valid" in reported.out
        and "as written" in reported.err
    )
    assert f"repeat  tri search {correct} --first 1 --seeds 3 --cpu-time 600s --no-swarm" in reported.out


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ([], "tri search quickstart"),
        (["CAMPAIGN", "--all-flaws"], "remove the campaign"),
        (["CAMPAIGN", "--flaw", "ack-before-fsyncs"], "ack-before-fsync"),
        (["CAMPAIGN", "--dask", "nonsense://x"], "dask scheduler"),
        (["CAMPAIGN", "--set", "system={file: mine.py}"], "cannot be simulated"),
    ],
)
def test_what_cannot_be_searched_is_refused_with_a_hint(
    correct: Path, words: list[str], hint: str, capsys: pytest.CaptureFixture[str]
):
    assert tri("search", *(correct if word == "CAMPAIGN" else word for word in words)) == 2
    assert hint in capsys.readouterr().err


def test_a_flaw_is_hunted_by_its_name(
    correct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """Planted into the campaign that is given; else into its own, or into the one around which flaws are hunted."""
    monkeypatch.chdir(tmp_path)
    words = ("--flaw", "ack-before-majority", "--until-found", "--seeds", "12", "--jobs", "1", "--folders", "0")
    assert tri("search", correct, *words) == 1
    reported = capsys.readouterr()
    assert (
        "flaws      ack-before-majority" in reported.err
        and "--set 'system.flaws=[ack-before-majority]'" in reported.out
    )
    assert _campaign_of(["suspicion-restarts"]).stem == "suspicion-restarts"
    assert _campaign_of(["dup-vote-counted"]).stem == "hunt"


def test_ctrl_c_reports_what_was_found_and_leaves_no_process(flawed: Path, tmp_path: Path):
    """The terminal sends the signal to the whole group, workers included."""
    words = ["search", str(flawed), "--seeds", "100000", "--jobs", "2", "--json", "--folders", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tribulation.harness.cli", *words, "--runs", str(tmp_path / "runs")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=with_default_signals,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "trials" in line and " 0 failed" not in line:
            break
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    reported = json.loads(out)
    assert reported["interrupted"] and reported["trials"] >= 1 and "interrupted: what was found" in err
    assert Path(reported["failures"][0]["run"], "verdict.json").exists()
    assert "Traceback" not in err
    deadline = time.monotonic() + 20
    while _group(process.pid):
        assert time.monotonic() < deadline, "workers were left behind"
        time.sleep(0.05)


def _group(leader: int) -> list[int]:
    """Living processes of the group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == leader and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found
