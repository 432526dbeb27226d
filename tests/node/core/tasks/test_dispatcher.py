"""The leader's part: which host gets which task when, and what is taken back."""

from __future__ import annotations

import pytest

from tribulation.node.core.interface.signals import Submitted

from .stage import Stage
from .world import Log, agent, member


def leader(log: Log | None = None, flaws: tuple[str, ...] = (), **agents: int) -> Stage:
    """n1 leads; a1 runs on n1 and a2 on n2, unless the log says otherwise."""
    stage = Stage("n1", log, flaws, **agents)
    stage.notify_members(n1=member(), n2=member(), n3=member())
    stage.notify_agents()
    stage.lead()
    return stage


def test_a_queued_task_goes_to_the_agent_of_the_submitting_node_and_the_next_one_elsewhere() -> None:
    stage = leader()
    for id_ in ("t1", "t2", "t3"):
        stage.log.submit(id_, **{"from": "n2"})
    stage.notify()
    assert stage.assigned() == {"t1": "a2", "t2": "a1"}
    assert stage.wishes["tasks/assign/1/t1"] == [
        "tasks.assign",
        {"task": "t1", "attempt": 1, "agent": "a2", "epoch": 1},
    ]
    stage.apply()
    claims = stage.traced("task-claim")
    assert [(claim["task"], claim["worker"]) for claim in claims] == [("t1", "a2"), ("t2", "a1")]
    stage.log.result("t1", claims[0]["claim"])
    stage.notify()
    assert stage.assigned() == {"t3": "a2"}


def test_the_queue_is_served_by_priority() -> None:
    stage = leader(Log({"a1": agent("n1")}))
    stage.log.submit("t1")
    stage.log.submit("t2", priority=3)
    stage.notify()
    assert stage.assigned() == {"t2": "a1"}


def test_who_does_not_lead_hands_nothing_out_but_knows_what_is_open_when_it_comes_to_lead() -> None:
    stage = leader()
    stage.lead(False)
    stage.log.submit("t1")
    stage.log.submit("t2")
    stage.log.result("t2", stage.log.assign("t2", "a1")["token"])
    stage.notify()
    assert stage.wishes == {} and stage.machine.status()["tasks_open"] == 1
    stage.lead()
    assert stage.assigned() == {"t1": "a1"}
    stage.lead(False)
    assert stage.wishes == {}


def test_a_host_gets_no_more_than_its_workers_can_run() -> None:
    stage = leader(Log({f"a{i}": agent("n1") for i in range(5)}, workers=2), workers=2)
    for number in range(5):
        stage.log.submit(f"t{number}")
    stage.notify()
    assert len(stage.assigned()) == 2
    stage.apply()
    assert stage.assigned() == {}


@pytest.mark.parametrize("state", ["DEGRADED", "LEAVING", "FAILED", "JOINING"])
def test_a_member_that_is_not_well_gets_nothing(state: str) -> None:
    stage = leader(Log({"a1": agent("n2")}))
    stage.notify_members(n2=member(state))
    stage.log.submit("t1")
    stage.notify()
    assert stage.assigned() == {}
    stage.notify_members(n2=member("ACTIVE"))
    assert stage.assigned() == {"t1": "a1"}


def test_an_agent_that_is_only_placed_gets_nothing_until_it_runs() -> None:
    stage = leader(Log({"a1": agent("n1", state="placed")}))
    stage.log.submit("t1")
    stage.notify()
    assert stage.assigned() == {}
    stage.notify_agents(a1=agent("n1"))
    assert stage.assigned() == {"t1": "a1"}


def test_an_agent_that_is_about_to_move_works_on() -> None:
    stage = leader(Log({"a1": {**agent("n1"), "moving": {"to": "n3"}}}))
    stage.log.submit("t1")
    stage.notify()
    assert stage.assigned() == {"t1": "a1"}


def test_tasks_are_routed_by_the_distance_from_where_they_were_submitted() -> None:
    stage = leader(Log({"a1": agent("n1"), "a2": agent("n2")}))
    stage.measure(n1={"n2": 1}, n3={"n1": 9, "n2": 2})
    stage.log.submit("t1", strategy="latency-aware", **{"from": "n3"})
    stage.notify()
    assert stage.assigned() == {"t1": "a2"}


def test_a_failed_task_waits_for_its_back_off_and_is_then_handed_out_again() -> None:
    stage = leader(backoff_ns=1_000_000_000)
    stage.log.submit("t1")
    stage.notify()
    stage.apply()
    stage.log.result("t1", stage.log.app.view["t1"]["token"], "broken", ok=False)
    stage.notify()
    assert stage.assigned() == {}
    stage.pass_time(999)
    assert stage.assigned() == {}
    stage.pass_time(1)
    assert "tasks/assign/2/t1" in stage.wishes


def test_a_new_leader_begins_the_back_off_anew() -> None:
    stage = leader()
    stage.lead(False)
    stage.log.submit("t1")
    stage.log.result("t1", stage.log.assign("t1")["token"], "broken", ok=False)
    stage.notify()
    stage.lead()
    assert stage.assigned() == {}
    stage.pass_time(1000)
    assert "tasks/assign/2/t1" in stage.wishes


def held() -> Stage:
    stage = leader()
    stage.log.submit("t1", **{"from": "n2"})
    stage.notify()
    stage.apply()
    assert stage.log.app.view["t1"]["host"] == "n2"
    return stage


def test_what_a_failed_host_had_is_released_and_goes_elsewhere_at_once() -> None:
    stage = held()
    stage.notify_members(n2=member("FAILED"))
    token = stage.log.app.view["t1"]["token"]
    assert stage.wishes == {f"tasks/release/{token}/t1": ["tasks.release", {"task": "t1", "token": token}]}
    stage.apply()
    assert stage.assigned() == {"t1": "a1"}
    assert stage.log.app.view["t1"]["retries"] == 0


def test_what_a_host_had_before_it_was_started_again_is_released_and_it_gets_nothing_until_its_agents_are_placed_anew() -> (
    None
):
    stage = leader(Log({"a2": {**agent("n2"), "incarnation": 1}}))
    stage.notify_members(n2={**member(), "incarnation": 1})
    stage.log.submit("t1")
    stage.notify()
    stage.apply()
    stage.notify_members(n2={**member(), "incarnation": 2})
    assert [command for command, _ in stage.wishes.values()] == ["tasks.release"]
    stage.apply()
    assert stage.wishes == {}
    stage.notify_agents(a2={**agent("n2", epoch=9), "incarnation": 2})
    assert stage.assigned() == {"t1": "a2"}


def test_what_an_agent_had_before_it_moved_or_was_respawned_or_stopped_is_released() -> None:
    for after in (agent("n3", epoch=9), agent("n2", epoch=9), None):
        stage = held()
        stage.notify_agents(a2=after)
        assert [command for command, _ in stage.wishes.values()] == ["tasks.release"]


def test_an_assignment_that_lands_on_an_agent_that_has_just_moved_is_refused_and_made_again() -> None:
    stage = leader(Log({"a1": agent("n1")}))
    stage.log.submit("t1")
    stage.notify()
    stage.log.agents["a1"] = agent("n2", epoch=9)
    assert stage.apply()[0]["error"] == "stale-epoch"
    stage.notify_agents()
    assert stage.assigned() == {"t1": "a1"}
    assert stage.apply()[0]["status"] == "ok"


def test_an_assignment_of_the_leader_before_counts_and_is_not_doubled() -> None:
    """Both chose; the older one's command comes first and ours is refused."""
    stage = leader()
    stage.log.submit("t1", **{"from": "n1"})
    stage.notify()
    assert stage.assigned() == {"t1": "a1"}
    theirs = stage.log.assign("t1", "a2")["token"]
    stage.notify()
    assert stage.apply()[0]["error"] == "not-queued"
    assert stage.wishes == {} and stage.log.app.view["t1"]["token"] == theirs
    stage.log.submit("t2", **{"from": "n2"})
    stage.notify()
    assert stage.assigned() == {"t2": "a1"}, "a2 is busy with t1, a1 with nothing"


def test_changes_that_are_seen_as_one_leave_the_next_step_in_the_queue_of_its_type() -> None:
    """Assigned by the leader before, ended, and queued for another type, all in one batch of entries."""
    stage = leader(Log({"a1": agent("n1", state="placed"), "c1": agent("n2", type_="code")}))
    stage.log.submit("t1", steps=[{"type": "code", "handler": "echo"}])
    stage.notify()
    stage.log.result("t1", stage.log.assign("t1", "a1")["token"], 1)
    stage.notify()
    assert stage.assigned() == {"t1": "c1"}


def test_an_answer_to_a_wish_that_was_replaced_changes_nothing() -> None:
    stage = held()
    stage.hear(Submitted("tasks/assign/1/t1", 99, {"status": "fail", "error": "not-queued"}))
    assert stage.wishes == {}


def test_flaw_task_lost_on_failover() -> None:
    stage = leader(flaws=("task-lost-on-failover",))
    stage.log.submit("t1", **{"from": "n2"})
    stage.notify()
    stage.apply()
    stage.notify_members(n2=member("FAILED"))
    stage.notify_agents(a2=agent("n3", epoch=9))
    assert stage.wishes == {}
