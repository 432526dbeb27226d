"""A failing run and the nearest that passes, and the moment from which it was likely to fail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tribulation.checkers.base.result import Fault, RunRecord
from tribulation.harness.cli.main import main
from tribulation.harness.errors import CampaignError
from tribulation.harness.failures.allowance import Allowance
from tribulation.harness.failures.folder import read_plan
from tribulation.harness.failures.signature import Signature
from tribulation.harness.nemesis.faults.fault import Intent
from tribulation.harness.replay.explain.describe_explanation import describe_answer, describe_explained
from tribulation.harness.replay.explain.explained import Answer, Asked, explain
from tribulation.harness.replay.explain.neighbours import Fate, changes, fate, nearest_passing
from tribulation.harness.replay.explain.onset import (
    Onset,
    Point,
    beyond_chance,
    find_onset,
    moments,
    steepest,
    what_happened,
)
from tribulation.histories import History
from tribulation.histories.model.operation import Operation, Type

from .conftest import run_folder
from .test_tries import FLAWED

STALE = Signature("linearizable", "stale-read")


@pytest.fixture(scope="module")
def flawed_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_folder(FLAWED, tmp_path_factory.mktemp("flawed"))


def silent(phase: str, detail: str) -> None:
    pass


@pytest.mark.full
def test_a_failure_is_reported_by_the_nearest_run_that_passes(flawed_run: Path) -> None:
    explained = explain(flawed_run, Asked(tries=30, salts=2, points=3), silent)
    assert explained.wanted.same_failure(STALE)
    assert 1_000_000_000 < explained.seen_ns < 2_500_000_000
    neighbour = explained.neighbour
    assert neighbour.change is not None and neighbour.done is not None
    assert fate(neighbour.change.plan, STALE)[1] is Fate.PASSES
    assert neighbour.tried == neighbour.failing + 1
    assert explained.differences and explained.answers
    assert explained.apart is not None and 0 < explained.apart.edits < explained.apart.operations
    assert explained.onset is not None and [p.salts for p in explained.onset.points] == [2, 2, 2]
    assert explained.onset.points[0].at_ns < 0 and explained.onset.points[-1].at_ns == explained.seen_ns
    assert explained.onset.points[-1].fails == 2
    text = "\n".join(describe_explained(explained))
    assert neighbour.change.what in text and "failing" in text and "passing" in text


def test_without_the_flaw_is_the_last_resort(flawed_run: Path) -> None:
    plan = read_plan(flawed_run)
    found = list(changes(plan, None))
    assert found[-1].what == "without the flaw stale-read-from-deposed-leader"
    assert found[-1].plan.options["system"]["flaws"] == []
    assert found[-2].what.startswith("without cut-") and found[-2].plan.intents == []
    assert fate(found[-1].plan, STALE)[1] is Fate.PASSES


def test_another_kind_of_anomaly_is_another_failure(flawed_run: Path) -> None:
    plan = read_plan(flawed_run)
    assert fate(plan, STALE)[1] is Fate.ALIKE
    assert fate(plan, Signature("linearizable", "lost-write"))[1] is Fate.OTHERWISE
    assert fate(replace(plan, world={"latency_mean_ns": -1}), STALE) == (None, Fate.UNKNOWN)


def test_changes_come_smallest_first_and_leave_the_rest_alone(flawed_run: Path) -> None:
    early = Intent("early", "kill", {"target": ["n1"]}, 5_000_000, None, "early")
    late = Intent("late", "kill", {"target": ["n2"]}, 900_000_000, 400_000_000, "late")
    after = Intent("after", "kill", {"target": ["n3"]}, 2_000_000_000, None, "after")
    plan = replace(read_plan(flawed_run), intents=[early, late, after])
    found = list(changes(plan, 1_000_000_000))
    assert [c.what for c in found[:4]] == ["late 1ms later", "late 1ms earlier", "early 1ms later", "early 1ms earlier"]
    assert found[1].plan.intents == [early, replace(late, at_ns=899_000_000), after]
    assert not any("early 10ms earlier" in c.what or "after" in c.what for c in found), "it would begin before the run"
    assert "late for 200ms instead of 400ms" in [c.what for c in found]


def test_the_curve_is_refined_where_it_rises() -> None:
    """A failure that is certain from 0.7 s on, and impossible to foresee before."""
    curve: dict[int, Point] = {}
    for at_ns in moments(curve, -100, 1_000_000_000, 14):
        curve[at_ns] = Point(at_ns, 20 if at_ns >= 700_000_000 else 3, 20)
    before, after = steepest([curve[at_ns] for at_ns in sorted(curve)]) or (None, None)
    assert before is not None and after is not None
    assert before.at_ns < 700_000_000 <= after.at_ns and after.at_ns - before.at_ns < 1_000_000_000 / 2**8
    assert len(curve) == 14 and min(curve) == -100 and max(curve) == 1_000_000_000


def test_a_flat_curve_is_not_refined_and_chance_is_no_jump() -> None:
    curve: dict[int, Point] = {}
    for at_ns in moments(curve, -100, 1000, 14):
        curve[at_ns] = Point(at_ns, 20, 20)
    assert len(curve) == 6
    assert not beyond_chance(Point(0, 18, 20), Point(1, 20, 20))
    assert beyond_chance(Point(0, 8, 20), Point(1, 17, 20))
    assert not beyond_chance(Point(0, 0, 0), Point(1, 20, 20))
    assert Onset([], None, []).to_json() == {"points": [], "jump": None, "events": []}


def test_what_happened_is_reported_in_order_without_the_dull() -> None:
    def line(event: str, at_ns: int) -> dict[str, object]:
        return {"node": "n1", "incarnation": 1, "seq": 0, "mono_ns": 50 + at_ns, "event": event, "term": 3}

    record = RunRecord(
        history=History([]),
        traces={"n1": [line("leader", 10), line("commit", 11), line("follower", 40)], "n2": [line("leader", 12)]},
        faults=[Fault("f", "kill", {"nodes": ["n1"]}, None, True, 5, 15, 90, 91)],
        clock_offsets_ns={"n1": (50, 0)},
    )
    assert what_happened(record, 0, 30) == [
        "0.000000 s  n1 leader term=3",
        '0.000000 s  fault f injected: {"nodes": ["n1"]}',
    ]


@pytest.mark.parametrize(
    ("failing_result", "passing_result", "said"),
    [
        ([1, 2, 2, 3], [1, 2, 3], "1.000000 s  read k: ok both, only failing 2"),
        ([1], [1, 2], "1.000000 s  read k: ok both, only passing 2"),
        ([1, 3], [1, 2], "1.000000 s  read k: ok both, only failing 3 · only passing 2"),
        ([2, 1], [1, 2], "1.000000 s  read k: ok both, in another order"),
        (4, None, "1.000000 s  read k: failing ok 4 · passing ok null"),
    ],
)
def test_answers_are_reported_by_what_differs(failing_result: object, passing_result: object, said: str) -> None:
    def read(result: object) -> Operation:
        return Operation(0, "read", Type.OK, 0, 1, 1_000_000_000, 1_000_000_001, None, result, "k")

    assert describe_answer(Answer(read(failing_result), read(passing_result))) == said


def test_what_cannot_be_explained_is_refused(small_run: Path, tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="does not fail"):
        explain(small_run, Asked(), silent)
    on_hosts = (small_run / "plan.json").read_text(encoding="utf-8").replace('"provider": "sim"', '"provider": "local"')
    (tmp_path / "plan.json").write_text(on_hosts, encoding="utf-8")
    with pytest.raises(CampaignError, match="ran on hosts"):
        explain(tmp_path, Asked(), silent)


def test_the_command(flawed_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["explain", str(flawed_run), "--points", "0", "--tries", "1"])
    assert ended.value.code == 3
    printed = capsys.readouterr().out
    assert printed.startswith("failure: linearizable/stale-read") and "none of 1 similar plans" in printed


class Ticks:
    """A clock that is `step_s` later at each look."""

    def __init__(self, step_s: float) -> None:
        self.now_s, self.step_s = 0.0, step_s

    def __call__(self) -> float:
        self.now_s += self.step_s
        return self.now_s


def test_the_time_limit_also_ends_the_search_for_a_neighbour(flawed_run: Path) -> None:
    """Only the curve looked at it: 200 similar plans of a long run took ten minutes under `--time 5s`."""
    cut = nearest_passing(read_plan(flawed_run), STALE, None, 200, Allowance(time_s=100, clock=Ticks(30)))
    assert cut.cut and cut.change is None and cut.tried == 1


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_time_limit_ends_a_moment_of_the_curve_that_is_half_measured(flawed_run: Path, jobs: int) -> None:
    done, _ = fate(read_plan(flawed_run), STALE)
    assert done is not None
    allowance = Allowance(time_s=1000, clock=Ticks(200))
    onset = find_onset(done, STALE, 2_000_000_000, salts=20, points=3, jobs=jobs, allowance=allowance)
    assert [point.salts for point in onset.points] == [2]


def test_a_run_that_does_not_fail_again_in_time_is_unknown(
    flawed_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["explain", str(flawed_run), "--time", "1ms"])
    assert ended.value.code == 3
    assert "the time ended before" in capsys.readouterr().err
