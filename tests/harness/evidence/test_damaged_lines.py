"""Lines that make no sense cost what rests on them, and no more: not the verdict on the rest, and not an exit code that says something else."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tribulation.harness.cli.main import main
from tribulation.harness.run.outcome.run_folder import read_facts
from tribulation.harness.run.outcome.verdict import judge

from .damage import rewrite


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[Path], Path]:
    return lambda run: Path(shutil.copytree(run, tmp_path / "run"))


def insert(run: Path, name: str, text: str) -> None:
    lines = (run / name).read_text().split("\n")
    (run / name).write_text("\n".join([*lines[:5], text, *lines[5:]]))


def test_what_a_node_wrote_into_its_trace_hides_no_stale_read(stale_run: Path, copy) -> None:
    run = copy(stale_run)
    insert(run, "trace/n1.jsonl", "panic: not a trace line")
    read_facts(run).sealed(run)
    judgement = judge(run)
    assert judgement.exit_code == 1 and judgement.results["linearizable"].anomalies
    assert any(gap["name"] == "trace/n1.jsonl" and "cannot be read" in gap["why"] for gap in judgement.document["gaps"])


def test_nor_does_it_leave_a_sound_run_valid(sound_run: Path, copy) -> None:
    run = copy(sound_run)
    insert(run, "trace/n1.jsonl", "panic: not a trace line")
    read_facts(run).sealed(run)
    assert judge(run).exit_code == 3


def test_a_history_with_all_its_lines_and_fewer_bytes_was_changed(sound_run: Path, copy) -> None:
    run = copy(sound_run)
    path = run / "history.jsonl"
    lines = path.read_text().split("\n")
    at, line = next((i, json.loads(text)) for i, text in enumerate(lines) if '"f":"write"' in text and '"ok"' in text)
    lines[at] = json.dumps({**line, "f": "w"}, separators=(",", ":"))
    path.write_text("\n".join(lines))
    (gap,) = judge(run).record.gaps
    assert gap.changed and gap.why == "is not what the run wrote"


@pytest.mark.parametrize("observed", ["x", 5, [1]])
def test_a_ledger_line_that_no_injector_writes_is_a_gap(sound_run: Path, copy, observed: object) -> None:
    run = copy(sound_run)
    path = run / "ledger.jsonl"
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    changed = [
        {**line, "observed": observed} if line.get("phase") in ("verified", "healed") else line for line in lines
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in changed))
    assert judge(run).exit_code == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts.update(files={}),
        lambda facts: facts.update(files={}, state="of tomorrow"),
        lambda facts: facts.update(phases=None),
        lambda facts: facts.update(checkers="linearizable"),
    ],
)
def test_facts_that_no_run_writes_vouch_for_nothing(sound_run: Path, copy, change) -> None:
    run = copy(sound_run)
    rewrite("run.json", change)(run)
    (run / "ledger.jsonl").write_text("")
    assert judge(run).exit_code == 3


def test_facts_of_this_version_without_their_digest_vouch_for_nothing(sound_run: Path, copy) -> None:
    """Without that line every other fact, such as the list of errors, could be changed, and the run stayed valid."""
    run = copy(sound_run)
    document = json.loads((run / "run.json").read_text())
    del document["digest"]
    (run / "run.json").write_text(json.dumps(document))
    judgement = judge(run)
    assert judgement.exit_code == 3
    assert "it has no digest, although its version writes one" in str(judgement.document["gaps"])


def test_an_empty_ledger_of_an_older_run_is_missing_what_its_plan_has(sound_run: Path, copy) -> None:
    run = copy(sound_run)
    rewrite("run.json", lambda facts: [facts.pop(name) for name in ("state", "files", "traced")])(run)
    (run / "ledger.jsonl").write_text("")
    judgement = judge(run)
    assert judgement.document["doubts"] == ["evidence is missing: ledger.jsonl: has no fault, and the plan has some"]


def test_facts_that_cannot_be_read_leave_the_plan_to_judge_by(stale_run: Path, copy) -> None:
    run = copy(stale_run)
    (run / "run.json").unlink()
    (run / "run.json").mkdir()
    assert judge(run).exit_code == 1


def in_the_ledger(run: Path, change: Callable[[dict], object]) -> None:
    path = run / "ledger.jsonl"
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    for line in lines:
        change(line)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    read_facts(run).sealed(run)


@pytest.mark.parametrize("edges", [[["n1"]], [["n1", "n2", "n3"]], [[1, 2]], ["n1"], 5, None, {"n1": "n2"}])
def test_edges_that_are_none_are_a_gap_in_the_ledger(sound_run: Path, copy, edges: object) -> None:
    run = copy(sound_run)
    in_the_ledger(run, lambda line: line["what"].update(edges=edges) if "what" in line else None)
    judgement = judge(run)
    assert judgement.exit_code == 3
    assert [gap["part"] for gap in judgement.document["gaps"]] == ["ledger"], judgement.document["gaps"]
    assert not any("raised" in (result.reason or "") for result in judgement.results.values())


@pytest.mark.parametrize("name", ["history.jsonl", "ledger.jsonl", "trace/n1.jsonl", "logs/n1/node.log"])
@pytest.mark.parametrize("made", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_a_pipe_or_an_endless_file_in_the_place_of_evidence_is_a_gap(sound_run: Path, copy, name: str, made) -> None:
    run = copy(sound_run)
    (run / name).unlink()
    made(run / name)
    judgement = judge(run)
    assert any(gap["name"] == name for gap in judgement.document["gaps"])


def test_what_grew_without_end_is_not_read(sound_run: Path, copy) -> None:
    run = copy(sound_run)
    with (run / "ledger.jsonl").open("r+b") as file:
        file.truncate(1 << 40)
    begun_s = time.process_time()
    assert judge(run).exit_code == 3
    assert time.process_time() - begun_s < 30


@pytest.mark.parametrize(
    "change",
    [
        lambda verdict: verdict["faults"][0]["intended"].update(edges=[[1, 2]]),
        lambda verdict: verdict["faults"][0].update(start_ns="x"),
        lambda verdict: verdict.update(faults=5),
        lambda verdict: verdict.update(phases={"load_end": 10**400}),
        lambda verdict: verdict.update(checkers={"x": []}),
        lambda verdict: verdict.update(power_model=[]),
    ],
)
def test_a_report_of_a_verdict_that_was_changed_is_refused(
    sound_run: Path, copy, change, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copy(sound_run)
    rewrite("verdict.json", change)(run)
    with pytest.raises(SystemExit) as ended:
        main(["report", str(run)])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and "verdict.json: " in said and "hint: " in said
