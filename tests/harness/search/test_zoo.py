"""The zoo's hunt: flaws in their plans, the correct node in the same ones, and a state that a stopped hunt goes on from."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from itertools import chain
from pathlib import Path

import pytest
from rich.console import Console

from tests.full import full
from tribulation.harness.errors import CampaignError
from tribulation.harness.search.zoo import hunt as hunts
from tribulation.harness.search.zoo.hunt import CAMPAIGNS, Shown, State, Wanted, attempt, open_state
from tribulation.harness.search.zoo.table import BEGIN, END, markdown, rows, write_between
from tribulation.harness.search.zoo.zoo import zoo_command
from tribulation.node.flaws.switch import FLAWS, SHOWN

ROOT = Path(__file__).resolve().parents[3]
RECORDED = ROOT / "benchmarks/zoo.jsonl"
QUICK = "ack-before-fsync"
SAMPLE = ("commit-counts-learners", "value-changed-in-place", "ack-before-majority")
SEEDS = range(1, 31)


def quiet() -> Console:
    return Console(file=StringIO())


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> State:
    copy = tmp_path_factory.mktemp("zoo") / "zoo.jsonl"
    copy.write_bytes(RECORDED.read_bytes())
    return open_state(copy)


@pytest.mark.parametrize("flaw", [*SAMPLE, *full(*(name for name in FLAWS if name not in SAMPLE))])
def test_a_flaw_is_caught_by_its_checker(flaw: str, recorded: State) -> None:
    """Seeds that caught it before are tried first: unless plans have changed, one is enough."""
    hits = [one.seed for one in recorded.shown if one.flaw == flaw and one.flawed and one.objections]
    outcomes = (attempt(Wanted(flaw, seed, flawed=True)) for seed in chain(hits[:1], SEEDS))
    assert any(one.objections for one in outcomes)


def test_the_recorded_hunt_caught_every_flaw_without_a_false_alarm(recorded: State) -> None:
    found = rows(recorded.shown, list(FLAWS))
    assert [row.name for row in found if not row.caught] == []
    assert [(row.name, row.alarms) for row in found if row.alarms or not row.correct] == []


def test_the_page_has_the_table_of_the_recorded_hunt(recorded: State) -> None:
    page = (ROOT / "docs/reference/flaws.md").read_text(encoding="utf-8")
    shown = page.partition(BEGIN)[2].partition(END)[0].strip()
    assert shown == markdown(rows(recorded.shown, list(FLAWS))).strip()


def test_every_flaw_with_a_campaign_of_its_own_has_the_file() -> None:
    assert [name for name in SHOWN if not (CAMPAIGNS / f"{name}.yaml").is_file()] == []


def test_the_correct_node_has_the_plan_and_the_settings_of_the_flaw() -> None:
    flawed, correct = (Wanted("no-truncate-tail", 3, flawed).task().plan() for flawed in (True, False))
    system = {**flawed.options["system"], "flaws": []}
    assert correct == replace(flawed, options={**flawed.options, "system": system})
    assert system["max_batch"] == FLAWS["no-truncate-tail"].settings["max_batch"]


def test_a_hunt_ends_for_a_flaw_that_is_caught_and_goes_on_where_it_was_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "deep" / "zoo.jsonl"
    assert zoo_command([QUICK], seeds=4, as_json=True, state=path, until_found=True, console=quiet()) == 0
    (row,) = json.loads(capsys.readouterr().out)["flaws"]
    assert row["caught"] and row["expected_checker"] == "raft-safety" and row["correct"] == row["tried"] < 4
    whole = path.read_text()
    path.write_text(whole + '{"flaw": "ack')
    monkeypatch.setattr(hunts, "attempt", None)
    assert zoo_command([QUICK], seeds=4, state=path, until_found=True, console=quiet()) == 0
    assert path.read_text() == whole


def test_trials_that_were_made_are_not_made_again() -> None:
    state = State()
    both = [Wanted("ghost-member", 1, flawed) for flawed in (True, False)]
    assert list(state.missing(["ghost-member"], 1, until_found=True)) == both
    state.add(Shown("ghost-member", 1, True, "invalid", ("membership/incarnation-regressed",)))
    assert list(state.missing(["ghost-member"], 1, until_found=True)) == both[1:]
    assert list(state.missing(["ghost-member"], 2, until_found=True)) == []
    assert len(list(state.missing(["ghost-member"], 2, until_found=False))) == 2


def test_an_alarm_of_the_correct_node_and_a_flaw_that_is_not_caught_fail_the_command(tmp_path: Path) -> None:
    path = tmp_path / "zoo.jsonl"
    state = open_state(path)
    state.add(Shown(QUICK, 1, True, "valid", ()))
    state.add(Shown(QUICK, 1, False, "invalid", ("set/lost-write",)))
    assert zoo_command([QUICK], seeds=1, state=path, console=quiet()) == 1
    state.add(Shown(QUICK, 2, True, "invalid", ("raft-safety/leader-incomplete",)))
    state.add(Shown(QUICK, 2, False, "valid", ()))
    assert zoo_command([QUICK], seeds=2, state=path, console=quiet()) == 1, "the false alarm stays"


@pytest.mark.parametrize("line", ["mush", "{}", '{"caught": {}}'])
def test_a_line_that_is_no_trial_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "zoo.jsonl"
    path.write_text(
        f"{json.dumps({'flaw': QUICK, 'seed': 1, 'flawed': True, 'verdict': 'valid', 'objections': []})}\n{line}\n"
    )
    with pytest.raises(CampaignError, match=r"zoo\.jsonl:2"):
        open_state(path)


def test_an_unknown_flaw_is_refused() -> None:
    with pytest.raises(CampaignError, match="unknown flaw"):
        zoo_command(["nonesuch"])


def test_the_table_goes_between_its_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_between(page, "new")
    assert page.read_text() == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    page.write_text("nothing")
    with pytest.raises(CampaignError, match="no place"):
        write_between(page, "new")
