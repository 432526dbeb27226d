"""A simulated run replayed: equal when nothing was changed, else the first difference with its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tribulation.harness.cli.main import main
from tribulation.harness.errors import CampaignError
from tribulation.harness.failures.folder import read_plan
from tribulation.harness.replay.compare.differences import first_difference, plain
from tribulation.harness.replay.runs.simulated import first_unequal, replay_simulated


def edit(path: Path, change: Callable[[Any], None]) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    if document.pop("digest", None) is not None:
        del document["schema_version"]  # as a version that wrote neither
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")


def tri(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def test_the_same_plan_gives_the_same_run(small_run: Path) -> None:
    replay = replay_simulated(small_run)
    assert replay.equal and replay.same_sources
    assert replay.recorded == replay.digest
    assert replay.judgement.document["verdict"] == "valid"


def test_a_changed_plan_differs_and_the_first_line_is_named(own_run: Path) -> None:
    """The kill comes a millisecond later: the history's line of it is the first that differs."""
    edit(own_run / "plan.json", lambda plan: plan["intents"][0].update(at_ns=plan["intents"][0]["at_ns"] + 1_000_000))
    replay = replay_simulated(own_run)
    assert not replay.equal
    assert replay.window is not None and replay.window.after == 0
    first = replay.differences[0]
    assert first.where == "history.jsonl" and first.fields == ["time"]
    assert first.replayed is not None and first.replayed["f"] == "inject"
    assert first.time_ns == 600_000_000


def test_a_changed_file_is_reported_from_a_changed_run(own_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = own_run / "trace" / "n2.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[20] = json.dumps({**json.loads(lines[20]), "term": 99})
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    replay = replay_simulated(own_run)
    assert replay.recorded == replay.digest and replay.window is None
    assert [(d.where, d.line, d.fields) for d in replay.differences] == [("trace/n2.jsonl", 21, ["term"])]
    assert tri("replay", str(own_run)) == 1
    printed = capsys.readouterr().out
    assert "every step is equal" in printed
    assert "trace/n2.jsonl:21" in printed


def test_without_a_digest_lines_are_compared(own_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(own_run / "run.json", lambda facts: facts.update(options={}))
    assert tri("replay", str(own_run)) == 0
    printed = capsys.readouterr().out
    assert "unknown core" in printed.splitlines()[0]
    assert "recorded no digest" in printed


def test_another_core_is_said_first_and_settles_nothing(own_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(own_run / "run.json", lambda facts: facts["options"].update(core="0123456789abcdef", digest="other"))
    assert tri("replay", str(own_run)) == 3
    assert capsys.readouterr().out.startswith("another core")


def test_a_kept_replay_is_a_run_like_the_first(small_run: Path, tmp_path: Path) -> None:
    assert tri("replay", str(small_run), "--save", "--runs", str(tmp_path / "kept")) == 0
    kept = (tmp_path / "kept" / "latest").resolve()
    for name in ("history.jsonl", "ledger.jsonl", "digests.json", "trace/n1.jsonl", "plan.json", "campaign.yaml"):
        assert (kept / name).read_bytes() == (small_run / name).read_bytes(), name


def test_nothing_is_left_behind_without_keep(own_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert tri("replay", str(own_run), "--json") == 0
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda run: (run / "plan.json").unlink(), "holds no plan.json"),
        (lambda run: (run / "plan.json").write_text("{"), r"plan\.json:1: not JSON"),
        (lambda run: (run / "history.jsonl").write_text("{\n{}\n"), r"history\.jsonl:1"),
    ],
)
def test_damage_is_refused_with_its_place(own_run: Path, spoil: Callable[[Path], object], said: str) -> None:
    spoil(own_run)
    with pytest.raises(CampaignError, match=said):
        read_plan(own_run)
        replay_simulated(own_run)


def test_differences_are_those_of_json() -> None:
    assert plain({"a": (1, {2: 3})}) == {"a": [1, {"2": 3}]}
    assert first_difference("x", [{"a": (1,)}], [{"a": [1]}]) is None
    longer = first_difference("x", [{"a": 1}], [{"a": 1}, {"b": 2}])
    assert longer is not None and longer.recorded is None and longer.line == 2 and longer.fields == []
    assert longer.described() == ["x:2: only replayed has this line", '  replayed  {"b": 2}']


def test_two_replays_that_differ_name_the_step() -> None:
    assert first_unequal(["a", "b"], ["a", "b"]) is None
    assert first_unequal(["a", "b"], ["a", "c"]) == "step 2: b | c"
    assert first_unequal(["a"], ["a", "c"]) == "step 2: only one of them has it"


def test_another_simulator_is_said_too(own_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A change of the simulator, or of a world's defaults, is no fault of the run's."""
    edit(own_run / "run.json", lambda facts: facts["options"].update(simulator="0123456789abcdef", digest="other"))
    assert tri("replay", str(own_run)) == 3
    assert capsys.readouterr().out.startswith("another simulator: recorded with 0123456789abcdef")
