"""The liveness phase: step by step without a clock, then whole runs of a correct and of a flawed cluster in the simulator."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tribulation.checkers import Budget, Verdict
from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.errors import CampaignError
from tribulation.harness.nemesis.faults.fault import Intent
from tribulation.harness.run.drive.actions import ActionDone, Verb
from tribulation.harness.run.drive.runner import Phase, Runner
from tribulation.harness.run.outcome.verdict import Judgement, judge_record
from tribulation.harness.run.plan.build import make_plan
from tribulation.harness.run.plan.plan import Liveness, Pace, Plan
from tribulation.harness.run.plan.requirements import Requirements
from tribulation.harness.run.simulated import simulate

from .test_runner import SECOND, play
from .test_runner import make_plan as story

REST = Intent("liveness-isolated", "cut", {"core": "majority", "rest": "isolated"}, 0, None, "liveness-isolated")
ENDLESS = Intent("f1", "pause", {"target": "one"}, SECOND, None, "f1")
PASSED = Intent("f2", "cut", {"shape": "halves"}, SECOND, SECOND, "f2")
PACE = Pace(3 * SECOND, 5 * SECOND)


def with_liveness(settle_ns: int | None = None) -> Plan:
    return replace(story((ENDLESS, PASSED)), liveness=Liveness(SECOND, 3 * SECOND, settle_ns, (REST,)))


def actions_of(log: list) -> list[tuple[int, Verb, str | None, Phase]]:
    return [entry for entry in log if isinstance(entry[1], Verb)][3:]


def test_the_rest_is_broken_before_what_the_load_left_is_healed():
    runner, log = play(with_liveness())
    end_ns = runner.marks["liveness_end"]
    assert actions_of(log) == [
        (4 * SECOND, Verb.INJECT, "liveness-isolated", Phase.ISOLATE),
        (4 * SECOND + 5_000_000, Verb.HEAL, "f1", Phase.ISOLATE),
        (end_ns, Verb.HEAL_ALL, None, Phase.HEAL),
    ]
    assert runner.marks["core_healed"] == 4 * SECOND + 10_000_000
    assert end_ns == runner.marks["core_healed"] + 3 * SECOND
    assert list(runner.marks) == ["load_end", "core_healed", "liveness_end", "healed", "quiet_end", "end"]


def test_what_is_aimed_at_a_leader_comes_after_everything_healed_and_settled():
    runner, log = play(with_liveness(settle_ns=2 * SECOND))
    assert actions_of(log) == [
        (4 * SECOND, Verb.HEAL_ALL, None, Phase.ISOLATE),
        (6 * SECOND + 5_000_000, Verb.INJECT, "liveness-isolated", Phase.ISOLATE),
        (runner.marks["liveness_end"], Verb.HEAL_ALL, None, Phase.HEAL),
    ]


@pytest.mark.parametrize(
    ("latency_ns", "pace", "load_end_ns"),
    [
        (SECOND // 100, PACE, 4 * SECOND + SECOND // 20 - 1_000_000),
        (SECOND // 100, None, 4 * SECOND),
        # It is waited for no longer than the plan allows.
        (2 * SECOND, PACE, 9 * SECOND),
    ],
)
def test_a_core_is_drawn_when_no_change_of_voters_is_under_way(
    latency_ns: int, pace: Pace | None, load_end_ns: int
) -> None:
    change = Intent("v1", "voters", {"set": {"n3": 0}}, 4 * SECOND - 1_000_000, None, "v1")
    plan = replace(story((change,)), liveness=Liveness(SECOND, 3 * SECOND, None, (REST,)), pace=pace)
    runner, _ = play(plan, latency_ns=latency_ns)
    assert runner.marks["load_end"] == load_end_ns
    runner, _ = play(replace(plan, liveness=None), latency_ns=latency_ns)
    assert runner.marks["load_end"] == 4 * SECOND, "without a liveness phase no core is asked for"


def test_clients_go_on_until_the_phase_ends_and_what_they_did_can_be_pinned():
    plan = with_liveness()
    runner, log = play(plan)
    tried = [(at_ns, phase) for at_ns, _, op, phase in log if hasattr(op, "f")]
    assert sum(phase is Phase.LIVENESS for _, phase in tried) > 40
    assert not any(phase in (Phase.HEAL, Phase.QUIET) for _, phase in tried)
    assert runner.issued[-1].at_ns > runner.marks["liveness_end"] - SECOND
    again, _ = play(replace(plan, pinned=runner.issued))
    assert again.issued == runner.issued


def test_a_fault_under_way_at_the_loads_end_is_waited_for():
    runner = Runner(replace(with_liveness(), intents=(replace(ENDLESS, at_ns=3 * SECOND),)))
    (under_way,) = runner.step(3 * SECOND).actions
    assert runner.step(4 * SECOND).actions == [] and runner.phase is Phase.ISOLATE
    (breaking,) = runner.step(5 * SECOND, [ActionDone(under_way)]).actions
    (healing,) = runner.step(5 * SECOND, [ActionDone(breaking)]).actions
    assert (breaking.intent, healing.verb) == (REST, Verb.HEAL)


@pytest.mark.parametrize("settle_ns", [None, 2 * SECOND])
@pytest.mark.parametrize("at_ns", [4 * SECOND, 4 * SECOND + 1_000_000, 5 * SECOND, 8 * SECOND])
def test_who_asks_to_stop_is_obeyed_in_every_part_of_it(settle_ns, at_ns):
    class Stopped(Runner):
        def step(self, now_ns, completions=()):
            if now_ns >= at_ns:
                self.stop()
            return super().step(now_ns, completions)

    runner, log = play(with_liveness(settle_ns), make=Stopped)
    assert actions_of(log)[-1][1] is Verb.HEAL_ALL
    assert runner.marks["end"] < at_ns + SECOND


CAMPAIGN = """
name: alone
hosts: {{provider: sim, nodes: {nodes}}}
seed: 5
duration: 3s
settle: 1s
system: {{flaws: {flaws}}}
workloads:
  - register: {{keys: 2, clients: {nodes}, rate: 60/s}}
faults:
  - kill: {{target: leader, after: 1s}}
liveness: {{rest: {rest}, within: 4s, for: 9s}}
"""


def run(tmp_path: Path, rest: str, nodes: int = 5, flaws: str = "[]") -> tuple[Plan, Judgement]:
    path = tmp_path / "alone.yaml"
    path.write_text(CAMPAIGN.format(rest=rest, nodes=nodes, flaws=flaws), encoding="utf-8")
    plan = make_plan(load_campaign(path), tmp_path)
    done = simulate(plan)
    return plan, judge_record(done.record, done.facts, Budget(), "here")


@pytest.mark.full
@pytest.mark.parametrize("rest", ["isolated", "bridged", "ring", "clogged", "down"])
def test_a_correct_cluster_recovers_without_the_rest(rest, tmp_path):
    plan, judged = run(tmp_path, rest)
    recovery = judged.results["recovery"]
    assert judged.verdict is Verdict.VALID, judged.document["checkers"]
    assert len(recovery.stats["core"]) == (5 if rest == "ring" else 3)
    assert recovery.stats["recovery_ms"]["write"] < 4_000
    listed = [event for event in judged.record.history.events if event.f == "inject"]
    assert listed[-1].value["core"] == recovery.stats["core"], "the history records it as it records every fault"
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_leaders_that_depose_each_other_without_end_are_found(tmp_path):
    _, judged = run(tmp_path, "ring", flaws="[no-prevote-bridge-livelock]")
    assert [anomaly.kind for anomaly in judged.results["recovery"].anomalies] == ["terms-grow"]
    assert [name for name, result in judged.results.items() if result.verdict is Verdict.INVALID] == ["recovery"]


@pytest.mark.parametrize(
    ("faults", "refused"),
    [
        ("[voters: {set: {n5: 0}, after: 1s}]", True),
        ("[membership: {target: follower, after: 1s, for: 2s}]", True),
        ("[all: {kinds: [kill, membership]}]", True),
        ("[all: {kinds: [kill, partition]}]", False),
        ("[kill: {target: one, after: 1s, for: 2s}]", False),
    ],
)
def test_a_ring_is_refused_together_with_changes_of_voters(faults, refused, tmp_path):
    """Its majorities are of the nodes, so of changed voters it need not contain a quorum."""
    path = tmp_path / "ring.yaml"
    text = f"name: c\nduration: 60s\nworkloads:\n  - register: {{}}\nfaults: {faults}\nliveness: {{rest: ring}}\n"
    path.write_text(text, encoding="utf-8")
    if not refused:
        load_campaign(path)
        return
    with pytest.raises(CampaignError, match=r"ring\.yaml:6.*change the voters"):
        load_campaign(path)


@pytest.mark.parametrize(
    ("liveness", "words"),
    [
        ("{core: [n1, n9]}", "no node 'n9'"),
        ("{core: [n1, n2]}", "is not a quorum of"),
        ("{core: [n1, n2, n3, n4, n5]}", "every node is in the core"),
        ("{for: 3s}", "`for: 3s` is not longer than `within: 10s`"),
        ("{whitin: 3s}", "whitin"),
    ],
)
def test_a_campaign_that_asks_what_cannot_be_is_refused_with_its_line(liveness, words, tmp_path):
    path = tmp_path / "bad.yaml"
    text = f"name: bad\nhosts: {{nodes: 5}}\nworkloads:\n  - register: {{}}\nliveness: {liveness}\n"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CampaignError, match=r"bad\.yaml:5") as refused:
        load_campaign(path)
    assert words in str(refused.value)


def test_what_breaks_the_rest_is_asked_of_the_hosts(tmp_path):
    path = tmp_path / "clogged.yaml"
    text = "name: clogged\nworkloads:\n  - register: {}\nliveness: {rest: clogged}\n"
    path.write_text(text, encoding="utf-8")
    assert Requirements.of(load_campaign(path)).needs() == {"clog"}


def failing(verb: Verb, name: str | None):
    """A story in which this action fails, in the isolation."""

    class Failing(Runner):
        def step(self, now_ns, completions=()):
            changed = [
                ActionDone(done.action, True, "n2 is away")
                if isinstance(done, ActionDone)
                and self.phase is Phase.ISOLATE
                and done.action.verb is verb
                and (done.action.intent and done.action.intent.id) == name
                else done
                for done in completions
            ]
            return super().step(now_ns, changed)

    return Failing


@pytest.mark.parametrize(
    ("verb", "name", "settle_ns"),
    [
        (Verb.HEAL, "f1", None),
        (Verb.INJECT, "liveness-isolated", None),
        (Verb.HEAL_ALL, None, 2 * SECOND),
        (Verb.INJECT, "liveness-isolated", 2 * SECOND),
    ],
)
def test_a_core_that_may_not_be_whole_owes_nothing(verb, name, settle_ns):
    runner, log = play(with_liveness(settle_ns), make=failing(verb, name))
    assert "core_healed" not in runner.marks and "n2 is away" in runner.unhealed
    assert log[-1][3] is Phase.FINAL and "healed" in runner.marks, "the last heal of everything worked"
    assert Phase.LIVENESS not in {entry[3] for entry in log}
