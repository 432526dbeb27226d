"""The host's part: what runs, what is thrown away, and what the traces say."""

from __future__ import annotations

from tribulation.node.core.records.task_fields import LOSSES_LIMIT, losses

from .stage import Stage
from .world import Log, agent


def host(**more: object) -> Stage:
    """n2, where a2 runs at epoch 1."""
    stage = Stage("n2", Log())
    stage.run_here({"a2": 1}, {"a2": {"n": 4, "m": [1]}})
    return stage


def given(stage: Stage, id_: str = "t1", name: str = "a2", **fields: object) -> int:
    stage.log.submit(id_, **fields)
    token = int(stage.log.assign(id_, name)["token"])
    stage.notify()
    return token


def test_an_assigned_task_runs_with_what_it_reads_and_its_result_goes_to_the_log() -> None:
    stage = host()
    token = given(stage, payload={"x": 1, "reads": ["n", "absent"]})
    task = stage.runs[0]
    assert (task.run, task.handler, task.state) == (1, "echo", {"n": 4})
    about = {"id": "t1", "step": 0, "token": token, "attempt": 1, "retries": 0, "agent": "a2"}
    assert task.payload == {"x": 1, "reads": ["n", "absent"], "task": about}
    stage.end(1, {"y": 2}, changes={"n": 5})
    assert [(work.agent, work.epoch, work.changes) for work in stage.works] == [("a2", 1, {"n": 5})]
    fields = {"task": "t1", "token": token, "epoch": 1, "ok": True, "value": {"y": 2}}
    assert stage.wishes == {f"tasks/result/{token}/t1": ["tasks.result", fields]}
    stage.apply()
    assert stage.log.ledger == [["t1", 0, token]]
    assert [name for name, _ in stage.traces] == ["fence", "task-effect", "task-ack"]
    assert stage.traced("fence") == [{"resource": "t1", "token": token, "accepted": True, "holder": "a2"}]
    effect = stage.traced("task-effect")[0]
    assert (effect["task"], effect["claim"], effect["worker"]) == ("t1", token, "a2")


def test_tasks_of_others_and_of_agents_that_do_not_run_here_yet_do_not_run() -> None:
    stage = Stage("n2", Log())
    given(stage, "t1", "a1")
    given(stage, "t2", "a2")
    assert stage.runs == []
    stage.run_here({"a2": 1})
    assert [task.payload["task"]["id"] for task in stage.runs] == ["t2"]
    stage.run_here({"a2": 1}, {"a2": {"n": 1}})
    assert len(stage.runs) == 1


def test_a_failure_is_brought_to_the_log_with_its_reason() -> None:
    stage = host()
    given(stage)
    stage.end(1, "it broke", ok=False, changes={"n": 9})
    assert stage.works == []
    stage.apply()
    assert stage.log.app.view["t1"]["reason"] == "it broke"
    assert [name for name, _ in stage.traces] == ["fence"]


def test_a_value_that_is_too_large_is_a_failure() -> None:
    stage = host()
    given(stage)
    stage.end(1, "v" * 70_000)
    stage.apply()
    assert "too large: it has 70002 bytes" in stage.log.app.view["t1"]["reason"]


def test_changes_that_no_state_can_hold_are_a_failure() -> None:
    stage = host()
    given(stage)
    stage.end(1, "value", changes={"": 1})
    stage.apply()
    assert stage.works == [] and stage.log.ledger == []
    assert "the key '' is not a text" in stage.log.app.view["t1"]["reason"]


def test_a_run_whose_task_was_released_is_dropped_and_its_answer_unheard() -> None:
    stage = host()
    token = given(stage)
    stage.log.release("t1", token)
    stage.notify()
    assert stage.dropped == [1]
    assert stage.traced("task-discarded")[0]["why"] == "its token is not the newest any more"
    stage.end(1, "late")
    assert stage.wishes == {} and stage.works == []


def test_a_task_that_was_given_here_anew_runs_anew() -> None:
    stage = host()
    token = given(stage)
    stage.log.release("t1", token)
    newer = int(stage.log.assign("t1", "a2")["token"])
    stage.notify()
    assert stage.dropped == [1] and stage.runs[1].payload["task"]["token"] == newer


def test_a_suspended_host_drops_its_runs_and_begins_them_again_when_it_may() -> None:
    stage = host()
    token = given(stage)
    stage.run_here({})
    assert stage.dropped == [1] and stage.machine.status()["tasks_running"] == 0
    stage.run_here({"a2": 1})
    assert stage.runs[1].run == 2 and stage.runs[1].payload["task"]["token"] == token


def test_a_run_that_ends_after_its_agent_left_has_no_result() -> None:
    """The thread's answer and the loss of the right come in one step: the right counts."""
    stage = host()
    given(stage)
    stage.run_here({"a2": 2})
    stage.end(1, "late", changes={"n": 1})
    assert stage.wishes == {} and stage.works == []


def test_a_result_on_its_way_is_judged_by_the_log_and_not_here() -> None:
    stage = host()
    token = given(stage)
    stage.end(1, "mine")
    stage.log.release("t1", token)
    newer = int(stage.log.assign("t1", "a2")["token"])
    stage.notify()
    assert len(stage.runs) == 1, "the former run of this task is not settled yet"
    assert stage.apply()[0]["error"] == "stale-token"
    assert stage.traced("fence") == [{"resource": "t1", "token": token, "accepted": False, "holder": "a2"}]
    assert "is void" in stage.traced("task-discarded")[0]["why"]
    assert stage.runs[1].payload["task"]["token"] == newer


def test_an_earlier_step_of_a_chain_is_no_effect_of_the_task_for_the_checkers() -> None:
    stage = host()
    first = given(stage, steps=[{"type": "generic", "handler": "digest"}])
    stage.end(1, "v0")
    stage.apply()
    assert [name for name, _ in stage.traces] == ["fence", "task-step"]
    second = int(stage.log.assign("t1", "a2")["token"])
    stage.notify()
    assert stage.runs[1].handler == "digest" and stage.runs[1].payload["input"] == "v0"
    stage.end(2, "v1")
    stage.apply()
    assert [name for name, _ in stage.traces][2:] == ["fence", "task-effect", "task-ack"]
    assert [line["token"] for line in stage.traced("fence")] == [first, second]


def test_after_a_restart_what_is_assigned_here_runs_again() -> None:
    log = Log()
    log.submit("t1")
    log.assign("t1", "a2")
    stage = Stage("n2", log)
    stage.notify()
    stage.run_here({"a2": 1})
    assert len(stage.runs) == 1


def test_an_agent_that_came_here_by_migration_runs_nothing_that_was_given_before() -> None:
    stage = Stage("n2", Log({"a1": agent("n1")}))
    given(stage, "t1", "a1")
    stage.log.agents["a1"] = agent("n2", epoch=9)
    stage.run_here({"a1": 9})
    assert stage.runs == []


def test_a_task_that_ends_its_hosts_is_a_dead_letter_at_last() -> None:
    """An attempt that is lost with its host counts. After so many the next host does not begin it, but reports a failure, and those have a bound."""
    stage = host()
    stage.log.submit("t1", max_retries=2)
    for _ in range(LOSSES_LIMIT):
        token = int(stage.log.assign("t1", "a2")["token"])
        stage.notify()
        stage.log.say("tasks.release", task="t1", token=token)
        stage.notify()
    begun = len(stage.runs)
    assert begun == LOSSES_LIMIT
    for _ in range(3):
        assert stage.log.app.view["t1"]["state"] == "queued"
        stage.log.assign("t1", "a2")
        stage.notify()
        stage.apply()
    record = stage.log.app.view["t1"]
    assert (record["state"], record["retries"], len(stage.runs)) == ("dead", 2, begun)
    assert record["reason"] == f"{LOSSES_LIMIT} attempts were lost with their hosts, so it is not begun again"


def test_failures_and_finished_steps_are_no_losses() -> None:
    record = {"attempt": 9, "retries": 3, "max_retries": 3, "step": 0}
    assert losses(record) == 5
    assert losses({**record, "step": 1}) == 1 and losses({**record, "step": 2}) == 0


def test_a_payload_of_an_older_log_that_no_float_can_hold_is_begun_like_any_other() -> None:
    stage = host()
    given(stage, payload={"ms": 10**400, "timeout_s": 10**400})
    assert len(stage.runs) == 1
