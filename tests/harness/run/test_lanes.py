"""Of the faults of a lane one is on at a time, however long the hosts take over each."""

from __future__ import annotations

import json
from dataclasses import replace

from tribulation.harness.nemesis.faults.fault import Intent
from tribulation.harness.run.drive.actions import LANE_REST_NS, ActionDone, FaultAction, Faults, Verb

SECOND = 1_000_000_000


def kill(name: str, at_s: float, lane: str = "nodes") -> Intent:
    return Intent(name, "kill", {"target": "one"}, int(at_s * SECOND), SECOND, name, lane)


def names(actions: list[FaultAction]) -> list[tuple[str, str]]:
    return [(action.verb.value, action.intent.id) for action in actions if action.intent]


def test_a_fault_waits_until_the_one_before_it_in_its_lane_is_healed_and_the_lane_has_rested() -> None:
    faults = Faults([kill("a", 1), kill("b", 2), kill("c", 2.5), kill("x", 2, "")])
    (a,) = faults.due(1 * SECOND)
    faults.ended(5 * SECOND, ActionDone(a))
    x = faults.due(5 * SECOND)
    assert names(x) == [("inject", "x")], "a slow host has not healed a yet; what has no lane waits for nothing"
    (heal,) = faults.due(6 * SECOND)
    assert names([heal]) == [("heal", "a")] and faults.due(7 * SECOND) == []
    faults.ended(8 * SECOND, ActionDone(heal))
    assert faults.due(8 * SECOND) == [] and 8 * SECOND + LANE_REST_NS in faults.next_ns()
    assert names(faults.due(8 * SECOND + LANE_REST_NS)) == [("inject", "b")], "in the order of their times"
    assert [intent.id for intent in faults.never_begun] == ["c"]


def test_what_was_on_before_waits_until_everything_has_been_on_once() -> None:
    faults = Faults([kill("a.1", 0), kill("b.1", 1), kill("c.1", 0, "clocks"), kill("c.2", 2, "clocks")])
    a, c = faults.due(0)
    faults.ended(SECOND, ActionDone(c))
    (heal,) = faults.due(2 * SECOND)
    faults.ended(2 * SECOND, ActionDone(heal))
    assert faults.due(9 * SECOND) == [], "b is late, since a takes long; the clocks' lane is free, but has had its turn"
    faults.ended(9 * SECOND, ActionDone(a))
    (heal,) = faults.due(10 * SECOND)
    faults.ended(10 * SECOND, ActionDone(heal))
    assert names(faults.due(11 * SECOND)) == [("inject", "b.1"), ("inject", "c.2")]


def test_a_fault_that_failed_frees_its_lane() -> None:
    faults = Faults([kill("a", 0), kill("b", 0)])
    (a,) = faults.due(0)
    faults.ended(SECOND, ActionDone(a, failed=True))
    assert names(faults.due(SECOND + LANE_REST_NS)) == [("inject", "b")]


def test_heals_come_before_what_begins_at_the_same_moment() -> None:
    faults = Faults([kill("a", 0, ""), kill("b", 2, "")])
    (a,) = faults.due(0)
    faults.ended(SECOND, ActionDone(a))
    assert names(faults.due(2 * SECOND)) == [(Verb.HEAL.value, "a"), (Verb.INJECT.value, "b")]


def test_a_plan_of_before_has_no_lanes_in_its_json() -> None:
    from tribulation.harness.run.plan.plan import _intent_json

    plain, laned = kill("a", 0, ""), kill("b", 0)
    drawn = replace(plain, drawn=True)
    assert "drawn" not in _intent_json(plain) and Intent(**json.loads(json.dumps(_intent_json(drawn)))) == drawn
    assert "lane" not in _intent_json(plain) and Intent(**json.loads(json.dumps(_intent_json(laned)))) == laned


def test_a_fault_that_waited_so_long_that_the_load_would_be_over_does_not_begin() -> None:
    faults = Faults([kill("a", 0), kill("b", 2)], load_ns=4 * SECOND)
    (a,) = faults.due(0)
    faults.ended(SECOND, ActionDone(a))
    (heal,) = faults.due(2 * SECOND)
    faults.ended(2 * SECOND + SECOND // 2, ActionDone(heal))
    assert faults.due(3 * SECOND + SECOND // 2) == [], "it would last to 4.5 s"
    assert [intent.id for intent in faults.never_begun] == ["b"] and faults.next_ns() == []


def test_a_fault_that_is_planned_to_the_end_may_begin_a_little_late() -> None:
    faults = Faults([kill("a", 3)], load_ns=4 * SECOND)
    assert names(faults.due(3 * SECOND + SECOND // 20)) == [("inject", "a")]
