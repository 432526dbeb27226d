"""Faults that wait for an event: they start at it, one at a time, within the load and outside recovery, on the node that the event is about."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from tribulation.harness.agent.follow import Follower
from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.errors import CampaignError
from tribulation.harness.nemesis.agent_client.shipping import bundle
from tribulation.harness.nemesis.faults.fault import Intent
from tribulation.harness.nemesis.faults.triggers import EVENTS, Happened
from tribulation.harness.nemesis.schedule.schedule import expand
from tribulation.harness.nemesis.specs.specs import FaultSpec
from tribulation.harness.run.drive.actions import ActionDone, FaultAction, Faults
from tribulation.harness.run.plan.build import make_plan
from tribulation.harness.run.plan.plan import Plan
from tribulation.harness.run.simulated import simulate
from tribulation.harness.shrink import edits
from tribulation.harness.shrink.focus import moments_of

ITEMS: TypeAdapter[list[FaultSpec]] = TypeAdapter(list[FaultSpec])
MS, SECOND = 1_000_000, 1_000_000_000
KILL = {"target": "trigger", "on": "leader-elected", "after": "5ms", "for": "1s", "times": 2}
CAMPAIGN = """
name: moments
hosts: {provider: sim, nodes: 5}
system: {snapshot_threshold: 100}
seed: 4
duration: 12s
workloads:
  - register: {keys: 2, clients: 5, rate: 100/s}
faults:
  - partition: {shape: leader-minority, after: 1s, for: 1s}
  - kill: {target: trigger, on: leader-elected, after: 5ms, for: 1s, times: 2}
  - pause: {target: trigger, on: snapshot-begun, for: 500ms}
  - clock: {target: leader, bump: 1s, on: commit-advanced, for: 1s}
"""


def intents(*faults: dict[str, Any], load_ns: int = 30 * SECOND) -> list[Intent]:
    return expand(ITEMS.validate_python(list(faults)), seed=1, load_ns=load_ns)


def ids(actions: list[FaultAction]) -> list[str]:
    return [f"{action.verb.value} {action.intent.id[-1]}" for action in actions if action.intent]


def test_each_start_waits_for_an_event_of_its_own_and_for_the_one_before() -> None:
    faults = Faults(intents({"kill": KILL}))
    assert faults.due(9 * SECOND) == [] and faults.next_ns() == [] and faults.listening(0) == {"leader-elected"}
    faults.happened(SECOND, Happened("commit-advanced", "n1", SECOND))
    faults.happened(2 * SECOND, Happened("leader-elected", "n2", 2 * SECOND))
    faults.happened(2 * SECOND, Happened("leader-elected", "n3", 2 * SECOND))
    assert faults.next_ns() == [2 * SECOND + 5 * MS] and faults.listening(2 * SECOND) == frozenset()
    (first,) = faults.due(2 * SECOND + 5 * MS)
    assert ids([first]) == ["inject 1"] and first.trigger == Happened("leader-elected", "n2", 2 * SECOND)
    faults.ended(3 * SECOND, ActionDone(first))
    (heal,) = faults.due(4 * SECOND)
    faults.ended(4 * SECOND, ActionDone(heal))
    faults.happened(5 * SECOND, Happened("leader-elected", "n4", 5 * SECOND))
    assert ids(faults.due(6 * SECOND)) == ["inject 2"] and faults.never_begun == []


def test_an_event_that_comes_too_late_or_before_a_recovery_sets_nothing_off() -> None:
    (one,) = intents({"kill": {**KILL, "times": 1}}, {"recovery": {"every": "10s", "for": "3s"}}, load_ns=20 * SECOND)
    assert one.on is not None and one.on["windows"] == [[0, 9 * SECOND], [13 * SECOND, 19 * SECOND]]
    for at_s, starts in ((9.5, False), (11, False), (19.5, False), (14, True)):
        faults = Faults([one])
        faults.happened(int(at_s * SECOND), Happened("leader-elected", "n1", int(at_s * SECOND)))
        assert bool(faults.next_ns()) is starts, at_s


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({**KILL, "on": "leader-elect"}, "no event 'leader-elect'; there are leader-elected"),
        ({**KILL, "on": "migration-half-done"}, "is reserved"),
        ({**KILL, "every": "3s"}, "cannot be combined with `every` or `stagger`"),
        ({"target": "trigger", "after": "1s"}, "set `on`"),
        ({"target": "one", "on": "leader-elected", "times": 2}, "needs `for`"),
    ],
)
def test_what_makes_no_sense_is_refused(fault: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ITEMS.validate_python([{"kill": fault}])


def test_whenever_they_come_two_of_a_kind_need_leave_to_overlap() -> None:
    with pytest.raises(CampaignError, match="can be active together"):
        intents({"kill": KILL}, {"kill": {"target": "one", "after": "3s", "for": "1s"}})


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    path = tmp_path_factory.mktemp("campaign") / "moments.yaml"
    path.write_text(CAMPAIGN, encoding="utf-8")
    return make_plan(load_campaign(path), path.parent)


def test_the_simulator_strikes_at_the_moment_again_and_again_the_same(plan: Plan) -> None:
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    done = simulate(plan)
    triggers = {fault.id: fault.intended["trigger"] for fault in done.record.faults if "trigger" in fault.intended}
    assert {trigger["event"] for trigger in triggers.values()} == set(EVENTS) and not done.facts.skipped
    for fault in done.record.faults:
        if fault.id in triggers and fault.kind in ("kill", "pause"):
            assert fault.intended["nodes"] == [triggers[fault.id]["node"]] and fault.verified
            wanted_ms = 5.0 if fault.kind == "kill" else 0.0
            assert fault.observed is not None and fault.observed["trigger_to_inject_ms"] == wanted_ms
    lines = done.record.traces[triggers[min(triggers, key=lambda name: "kill" not in name)]["node"]]
    assert any(line["event"] == "leader" for line in lines)
    assert simulate(plan).digest == done.digest


@pytest.mark.full
def test_times_take_the_place_of_events(plan: Plan) -> None:
    """What shrinking does first: the same faults at the same moments, without waiting for anything."""
    done = simulate(plan)
    timed = edits.at_moments(plan, moments_of(done.record))
    assert all(
        intent.on is None and intent.parameters["target"] != "trigger"
        for intent in timed.intents
        if intent.kind != "cut"
    )
    again = simulate(timed)
    times = {fault.id: (fault.start_ns, fault.kind) for fault in done.record.faults}
    assert {fault.id: (fault.start_ns, fault.kind) for fault in again.record.faults} == times


def line(event: str, age_ns: int = 0) -> str:
    return json.dumps({"node": "n1", "seq": 1, "mono_ns": time.monotonic_ns() - age_ns, "event": event}) + "\n"


def test_a_follower_reads_what_is_new_whole_lines_only_and_a_trace_begun_anew(tmp_path: Path) -> None:
    trace, reported = tmp_path / "trace.jsonl", list[tuple[str, int]]()
    trace.write_text(line("leader"))
    asked = {"trace": str(trace), "events": {"leader": "leader-elected"}, "files": {}, "spare_s": 0}
    follower = Follower(asked, lambda event, age_ns: reported.append((event, age_ns)))
    follower.read()
    assert reported == [], "what was there before is no news"
    with trace.open("a") as file:
        file.write(line("commit") + line("leader", 5 * MS)[:20])
        file.flush()
        follower.read()
        assert reported == []
        file.write(line("leader", 5 * MS)[20:] + 'not json with "leader"\n')
    follower.read()
    assert [event for event, _ in reported] == ["leader-elected"]
    trace.write_text(line("leader"))
    follower.read()
    assert len(reported) == 2


def test_of_many_events_few_are_reported(tmp_path: Path) -> None:
    trace, reported = tmp_path / "trace.jsonl", list[str]()
    asked = {"trace": str(trace), "events": {"commit": "commit-advanced"}, "files": {}, "spare_s": 60}
    follower = Follower(asked, lambda event, age_ns: reported.append(event))
    trace.write_text(line("commit") * 100)
    follower.read()
    assert reported == ["commit-advanced"]


@pytest.fixture
def followed(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """The agent's program following a folder of this machine."""
    program, home = tmp_path / "agent.pyz", tmp_path / "node"
    program.write_bytes(bundle())
    (home / "data").mkdir(parents=True)
    files = {str(home / "data/snapshot.tmp"): "snapshot-begun"}
    asked = {"trace": str(home / "trace.jsonl"), "events": {"leader": "leader-elected"}, "files": files, "spare_s": 0}
    command = [sys.executable, "-I", str(program), "follow", str(tmp_path), json.dumps(asked)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        assert json.loads(process.stdout.readline()) == {"event": "", "age_ns": 0}
        yield process, home
        process.stdin.close()
        assert process.wait(10) == 0, "it ends with its input"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_line_and_a_file_are_reported_as_they_come(followed: tuple[subprocess.Popen[str], Path]) -> None:
    process, home = followed
    assert process.stdout is not None

    def heard() -> dict[str, Any]:
        while True:
            said: dict[str, Any] = json.loads(process.stdout.readline())  # type: ignore[union-attr]
            if said["event"]:
                return said

    (home / "trace.jsonl").write_text(line("leader", 7 * MS))
    said = heard()
    assert said["event"] == "leader-elected" and said["age_ns"] >= 7 * MS
    # As short-lived as a snapshot's file may be: made, and renamed at once.
    (home / "data/snapshot.tmp").write_text("")
    (home / "data/snapshot.tmp").rename(home / "data/snapshot")
    assert heard() == {"event": "snapshot-begun", "age_ns": 0}


def test_a_plan_without_events_says_nothing_of_them(plan: Plan) -> None:
    plain = replace(plan, intents=[intent for intent in plan.intents if intent.on is None])
    assert not any("on" in intent or "lane" in intent for intent in plain.to_json()["intents"])
