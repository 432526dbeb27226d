"""The zoo's hunt on flaws that show quickly: found, told, made small, and gone on with where it stopped."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from tribulation.harness.errors import CampaignError
from tribulation.harness.search.zoo import zoo
from tribulation.harness.search.zoo.ablate import ablate, ablations, again, in_question
from tribulation.harness.search.zoo.hunt import Caught, Effort, Tally, hunt, is_done
from tribulation.harness.search.zoo.state import Ablated, open_state
from tribulation.harness.search.zoo.table import BEGIN, END, KEPT_ALL_THE_SAME, markdown, write_between
from tribulation.harness.search.zoo.trials import Trial, attempts
from tribulation.harness.simulator.soak.aims import AIMED, UNREACHABLE
from tribulation.harness.simulator.soak.run import objections, run_plan
from tribulation.harness.simulator.soak.sorts import COMPOSED, SORT_OF, SORTS, sorts_of, without
from tribulation.node.flaws.switch import FLAWS

QUICK = "ack-before-fsync"
NEEDY = "lease-survives-transfer"


@pytest.fixture(scope="module")
def needy() -> Caught:
    """A flaw that only its aim meets, within so few seeds."""
    return hunt(NEEDY, Effort(seeds=6, unaimed=2))


def quiet() -> Console:
    return Console(file=StringIO())


def test_a_flaw_is_hunted_to_its_first_hit_and_some_seeds_beyond(capsys: pytest.CaptureFixture[str]):
    assert zoo.zoo_command([QUICK], seeds=4, as_json=True) == 0
    result = json.loads(capsys.readouterr().out)
    (flaw,) = result["flaws"]
    assert flaw["name"] == QUICK and flaw["found"] and flaw["checker"] == FLAWS[QUICK].checker == "raft-safety"
    assert flaw["as_expected"] and flaw["aim"] is None and flaw["tried"] == 4
    assert flaw["per_1000"] > 0 and "--flaw ack-before-fsync" in flaw["command"]
    assert result["false_alarms"] == 0 and result["correct_seeds"] == flaw["tried"]


@pytest.mark.full
def test_what_plans_without_an_aim_do_not_meet_is_found_by_the_aim_and_told_apart(needy: Caught):
    assert needy.random == Tally(None, 2, ()) and needy.found
    told = needy.summary()
    assert told["aim"] == AIMED[NEEDY] == "transfer-and-cut" and told["checker"] == "linearizable"
    assert needy.needs == ("cut", "transfer") and needy.smallest == ("transfer-cut leader",)
    assert Caught.from_json(json.loads(json.dumps(needy.to_json()))) == needy


@pytest.mark.full
def test_the_smallest_plan_fails_alike_and_nothing_can_be_left_out(needy: Caught):
    plan = again(needy)
    result = run_plan(plan)
    assert result.failure is not None and result.failure[1] == needy.sentence and result.command == needy.command
    assert len(plan.actions) == len(needy.smallest) < needy.actions
    for action in plan.actions:
        rest = tuple(other.number for other in plan.actions if other is not action)
        left = run_plan(plan.only(rest)).failure
        assert left is None or left[0] != result.failure[0]


@pytest.mark.full
def test_a_flaw_is_hunted_again_without_a_sort_of_fault_that_it_needs(needy: Caught):
    assert in_question(needy) == ["transfer", "cut", "cut+kill+power+pause"]
    done = ablate(needy, "transfer", 1, lambda text: None)
    assert (
        done.alone
        and done.needed
        and (done.hits_without, done.seeds) == (0, needy.tally.tried - needy.tally.hits[0] - 1)
    )
    assert ablations(needy, {"transfer": done}, 1, lambda text: None) == [done], "and not again"


def test_few_hits_show_no_need():
    def needed(hits_with: int, hits_without: int, alone: bool = True) -> bool:
        return Ablated(QUICK, "cut", None, 200, hits_with, hits_without, alone).needed

    assert needed(5, 0) and needed(5, 1) and needed(50, 10)
    assert not needed(4, 0) and not needed(9, 2) and not needed(50, 0, alone=False)


def test_a_run_that_stopped_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "deep" / "zoo.jsonl"
    assert zoo.zoo_command([QUICK], seeds=5, state=path, console=quiet()) == 0
    whole = path.read_text()
    path.write_text(whole + '{"caught": {"na')
    monkeypatch.setattr(zoo, "hunt", None)
    assert zoo.zoo_command([QUICK], seeds=5, state=path, console=quiet()) == 0
    assert path.read_text() == whole


def test_a_run_that_is_not_stopped_tells_who_would_object_too():
    """Raft's broken promise comes first; the stale read that follows from it is what clients see."""
    caught = hunt("ack-before-majority", Effort(3, after=0))
    assert caught.expected == "linearizable" and caught.checkers == ["raft-safety"]
    assert caught.as_expected and caught.gone_on == caught.tally.hits[0]
    assert ("raft-safety", "commit-without-quorum") in objections(Trial(0, "ack-before-majority").plan())


@pytest.mark.full
def test_a_hunt_goes_on_from_what_is_known():
    short = hunt(QUICK, Effort(6, after=1))
    assert short.tally.tried == short.tally.hits[0] + 2
    assert hunt(QUICK, Effort(6, after=3), known=short) == hunt(QUICK, Effort(6, after=3))
    assert is_done(short, Effort(6, 1)) and not is_done(short, Effort(6, 3)) and not is_done(None, Effort(6, 1))
    unmet = hunt(NEEDY, Effort(1, after=0, unaimed=0))
    assert unmet.random.tried == 0 and unmet.aimed is not None and unmet.aimed.tried == 1
    assert is_done(unmet, Effort(1, 0, 0)) and not is_done(unmet, Effort(2, 0))


def test_a_line_that_is_none_is_named(tmp_path: Path):
    path = tmp_path / "zoo.jsonl"
    path.write_text('{"other": 5}\nmush\n')
    with pytest.raises(CampaignError, match=r"zoo\.jsonl:2"):
        open_state(path)


def test_an_unknown_flaw_is_refused():
    with pytest.raises(CampaignError, match="no such flaw"):
        zoo.zoo_command(["nonesuch"])


def test_what_is_not_found_makes_the_command_fail():
    assert zoo.zoo_command(["lease-drift-ignored"], seeds=1, console=quiet()) == 1


def test_several_processes_give_the_same_in_the_same_order():
    trials = [Trial(seed, QUICK) for seed in range(6)]
    assert list(attempts(trials, jobs=2)) == list(attempts(trials))


def test_the_correct_node_has_the_plan_of_the_flaw():
    flawed, correct = Trial(3, "no-truncate-tail").plan(), Trial(3, "no-truncate-tail", correct=True).plan()
    assert correct.config == {**flawed.config, "flaws": []} and correct.actions == flawed.actions
    assert correct.config["max_batch"] == FLAWS["no-truncate-tail"].settings["max_batch"]


@pytest.mark.parametrize("sort", SORTS)
def test_a_plan_without_a_sort_has_none_of_it_and_all_else(sort: str):
    seen = False
    for aim in (None, "clock-and-cut", "transfer-and-cut", "bridge", "rot", "wipe", "membership", "drift", "reject"):
        for seed in range(12):
            plan = Trial(seed, QUICK, aim).plan()
            less = without(plan, sort)
            assert sorts_of(less) == tuple(other for other in sorts_of(plan) if other != sort)
            parts = [COMPOSED.get(action.kind, (action.kind,)) for action in plan.actions]
            others = [
                action for action, kinds in zip(plan.actions, parts, strict=True) if sort not in map(SORT_OF.get, kinds)
            ]
            assert [action for action in less.actions if action in plan.actions] == others
            seen = seen or sort in sorts_of(plan)
    assert seen
    assert KEPT_ALL_THE_SAME[sort]


@pytest.mark.full
def test_the_tables_go_between_their_markers(tmp_path: Path, needy: Caught):
    state = open_state(None)
    state.add(needy)
    state.add(Ablated(NEEDY, "cut", AIMED[NEEDY], 5, 5, 0, True))
    zoo.run(state, [NEEDY], 1, zoo.Talk(quiet()), Effort(6, unaimed=2))
    text = markdown(state, [NEEDY], zoo.document(state, [NEEDY]))
    assert f"| {NEEDY} | yes |" in text and f"| {NEEDY} | cut | 5 | 5 | 0 |" in text
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_between(page, text)
    write_between(page, text)
    assert page.read_text() == f"before\n{BEGIN}\n{text}\n{END}\nafter\n"
    page.write_text("nothing")
    with pytest.raises(CampaignError, match="no place"):
        write_between(page, text)


def test_what_no_plan_without_an_aim_can_meet_has_an_aim():
    assert set(UNREACHABLE) <= set(AIMED) <= set(FLAWS)
