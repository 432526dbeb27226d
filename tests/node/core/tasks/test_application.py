"""The replicated state of tasks: stories of its commands, and a random life of it in which no task is lost and none has two effects."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tribulation.node.core.application import tasks
from tribulation.node.core.application.tasks import Tasks
from tribulation.node.core.interface.entry import canonical

from .world import Log, agent, submission


def test_a_task_is_assigned_run_and_recorded_once() -> None:
    log = Log()
    assert log.submit("t1", payload={"x": 1}) == {"status": "ok", "task": "t1", "state": "queued", "submitted": 1}
    granted = log.assign("t1")
    assert (granted["token"], granted["agent"], granted["epoch"], granted["host"]) == (2, "a1", 1, "n1")
    assert log.app.view["t1"]["state"] == "assigned"
    assert log.result("t1", 2, {"y": 2})["state"] == "done"
    record = log.app.view["t1"]
    assert (record["value"], record["finished"], record["payload"]) == ({"y": 2}, 3, {})
    assert log.ledger == [["t1", 0, 2]]
    assert log.result("t1", 2, {"y": 2})["error"] == "stale-token"
    assert log.ledger == [["t1", 0, 2]]


def test_a_submission_repeated_is_answered_as_before_and_another_of_the_same_id_is_a_conflict() -> None:
    log = Log()
    log.submit("t1", payload={"x": 1})
    before = log.text()
    assert log.submit("t1", payload={"x": 1}, priority=0)["submitted"] == 1
    assert log.submit("t1", payload={"x": 2})["error"] == "conflict"
    assert log.text() == before
    log.result("t1", log.assign("t1")["token"], 5)
    assert log.submit("t1", payload={"x": 1}) == {"status": "ok", "task": "t1", "state": "done", "submitted": 1}


def test_a_full_queue_is_busy_until_something_is_finished() -> None:
    log = Log(queue=2)
    log.submit("t1")
    log.submit("t2")
    assert log.submit("t3")["error"] == "busy"
    log.result("t1", log.assign("t1")["token"])
    assert log.submit("t3")["status"] == "ok"


def test_a_queue_of_large_payloads_is_busy_by_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "QUEUE_BYTES", 2500)
    log = Log()
    assert log.submit("t1", payload={"x": "y" * 1000})["status"] == "ok"
    assert log.submit("t2", payload={"x": "y" * 1000})["status"] == "ok"
    assert log.submit("t3", payload={"x": "y" * 1000})["error"] == "busy"
    log.result("t1", log.assign("t1")["token"])
    assert log.submit("t3", payload={"x": "y" * 1000})["status"] == "ok"


def test_an_assignment_needs_the_next_attempt_the_agents_epoch_and_its_type() -> None:
    log = Log({"a1": agent("n1", epoch=7), "c1": agent("n2", epoch=8, type_="code")})
    log.submit("t1")
    assert log.assign("t1", attempt=2)["error"] == "stale-attempt"
    assert log.assign("t1", epoch=6)["error"] == "stale-epoch"
    assert log.assign("t1", "c1")["error"] == "wrong-type"
    assert log.say("tasks.assign", task="t1", attempt=1, agent="gone", epoch=1)["error"] == "not-found"
    assert log.assign("t1")["status"] == "ok"
    assert log.assign("t1", attempt=2)["error"] == "not-queued"


def test_a_release_gives_the_task_to_another_and_the_first_ones_result_is_refused() -> None:
    log = Log()
    log.submit("t1")
    first = log.assign("t1", "a1")["token"]
    assert log.release("t1", first)["state"] == "queued"
    assert log.result("t1", first)["error"] == "stale-token"
    second = log.assign("t1", "a2")["token"]
    assert second > first
    assert log.result("t1", first, "zombie")["error"] == "stale-token"
    assert log.result("t1", second, "right")["state"] == "done"
    assert log.app.view["t1"]["value"] == "right" and log.app.view["t1"]["retries"] == 0
    assert log.ledger == [["t1", 0, second]]


@pytest.mark.parametrize("after", [agent("n1", epoch=9), agent("n3", epoch=1), None])
def test_a_result_from_an_agent_that_moved_on_is_refused(after: dict[str, Any] | None) -> None:
    log = Log()
    log.submit("t1")
    token = log.assign("t1")["token"]
    log.agents.pop("a1")
    if after is not None:
        log.agents["a1"] = after
    assert log.result("t1", token)["error"] == "stale-epoch"
    assert log.app.view["t1"]["state"] == "assigned" and log.ledger == []


def test_a_task_fails_three_times_more_and_is_then_a_dead_letter_with_its_reason() -> None:
    log = Log()
    log.submit("t1", handler="fail")
    for retries in (1, 2, 3):
        assert log.result("t1", log.assign("t1")["token"], "it broke", ok=False)["state"] == "queued"
        assert (log.app.view["t1"]["retries"], log.app.view["t1"]["reason"]) == (retries, "it broke")
    assert log.result("t1", log.assign("t1")["token"], {"why": 5}, ok=False)["state"] == "dead"
    letters = log.app.query({"state": "dead"})
    assert [(one["task"], one["reason"], one["attempt"]) for one in letters] == [("t1", '{"why":5}', 4)]
    assert log.ledger == []


def test_a_chain_hands_each_value_to_the_next_step() -> None:
    log = Log({"a1": agent("n1"), "c1": agent("n2", type_="code")})
    steps = [{"type": "code", "handler": "digest", "payload": {"k": 1}}, {"type": "generic", "handler": "echo"}]
    log.submit("t1", steps=steps)
    first = log.assign("t1")["token"]
    assert log.result("t1", first, "v0")["state"] == "queued"
    record = log.app.view["t1"]
    assert (record["step"], record["type"], record["handler"]) == (1, "code", "digest")
    assert record["payload"] == {"k": 1, "input": "v0"}
    assert log.result("t1", first, "v0")["error"] == "stale-token"
    second = log.assign("t1", "c1")["token"]
    log.result("t1", second, "v1")
    assert log.app.view["t1"]["payload"] == {"input": "v1"}
    third = log.assign("t1", "a1")["token"]
    assert log.result("t1", third, "v2")["state"] == "done"
    assert log.ledger == [["t1", 0, first], ["t1", 1, second], ["t1", 2, third]]
    assert log.submit("t1", steps=steps)["state"] == "done"


def test_the_queue_is_listed_by_priority_then_by_submission() -> None:
    log = Log()
    for id_, priority in (("a", 0), ("b", 5), ("c", 0), ("d", 5)):
        log.submit(id_, priority=priority)
    assert [one["task"] for one in log.app.query({"state": "queued"})] == ["b", "d", "a", "c"]
    assert log.app.query({"state": "queued", "limit": 1})[0]["task"] == "b"
    assert log.app.query({})["queued"] == 4


def test_finished_tasks_are_forgotten_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "FINISHED_LIMIT", 2)
    log = Log()
    for id_ in ("t1", "t2", "t3"):
        log.submit(id_)
        log.result(id_, log.assign(id_)["token"])
    assert sorted(log.app.view) == ["t2", "t3"]
    counts = log.app.query({})
    assert (counts["done"], counts["forgotten"], counts["effects"]) == (2, 1, 3)


def test_values_of_finished_tasks_are_bounded_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "FINISHED_BYTES", 900)
    log = Log()
    for id_ in ("t1", "t2"):
        log.submit(id_)
        log.result(id_, log.assign(id_)["token"], "v" * 300)
    assert list(log.app.view) == ["t2"]


def test_the_ledger_is_read_in_pages_and_counts_what_it_forgot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "LEDGER_LIMIT", 20)
    monkeypatch.setattr(tasks, "SEALED_ROWS", 2)
    log = Log()
    for number in range(23):
        log.submit(f"t{number}")
        log.result(f"t{number}", log.assign(f"t{number}")["token"])
    page = log.app.query({"effects": 0, "limit": 4})
    assert (page["from"], page["next"], page["total"]) == (4, 8, 23)
    assert [row[0] for row in page["effects"]] == ["t4", "t5", "t6", "t7"]
    assert log.app.query({"effects": 23})["effects"] == []
    twin = Tasks(log.config, log.agents)
    twin.restore(json.loads(log.text()))
    assert twin.query({"effects": 0}) == log.app.query({"effects": 0}) and canonical(twin.dump()) == log.text()


WRONG = [
    ("tasks.submit", {"type": "generic", "handler": "echo"}, "task is missing"),
    ("tasks.submit", submission(""), "task is ''"),
    ("tasks.submit", submission("t", type="robot"), "not one of generic"),
    ("tasks.submit", submission("t", payload=[1]), "not an object"),
    ("tasks.submit", submission("t", payload={"x": "y" * 70_000}), "too large"),
    ("tasks.submit", submission("t", payload={"x": float("nan")}), "no JSON"),
    ("tasks.submit", submission("t", size=-1), "size is -1"),
    ("tasks.submit", submission("t", strategy="best"), "not one of local-first"),
    ("tasks.submit", submission("t", steps=[{"type": "code"}]), "wrong at step 1: handler is missing"),
    ("tasks.submit", submission("t", steps=[7]), "wrong at step 1"),
    ("tasks.submit", submission("t", colour="red"), "colour is not a field"),
    ("tasks.assign", {"task": "t", "attempt": True, "agent": "a", "epoch": 1}, "attempt is True"),
    ("tasks.result", {"task": "t", "token": 1, "epoch": 1, "ok": 1, "value": None}, "ok is 1"),
    ("tasks.result", {"task": "t", "token": 1, "epoch": 1, "ok": True, "value": "v" * 70_000}, "too large"),
    ("tasks.release", {"task": "t", "token": "1"}, "token is '1'"),
]


@pytest.mark.parametrize(("command", "fields", "words"), WRONG)
def test_what_is_wrong_is_named_with_its_value(command: str, fields: dict[str, Any], words: str) -> None:
    problem = Log().app.problem(command, fields)
    assert problem is not None and words in problem


def test_a_question_that_is_none_is_answered_with_what_is_wrong() -> None:
    app = Log().app
    assert app.query({"task": "t", "state": "done"})["error"] == "bad-request"
    assert app.query({"state": "asleep"})["error"] == "bad-request"
    assert app.query({"task": "nowhere"}) is None


def test_nodes_that_are_configured_unlike_go_by_what_came_with_the_submission() -> None:
    nodes = [Log(queue=queue, retries=retries) for queue, retries in ((1, 0), (50, 7))]
    for log in nodes:
        log.say("tasks.submit", **submission("t1", max_queue=2, max_retries=1))
        log.say("tasks.submit", **submission("t2", max_queue=2, max_retries=1))
        assert log.say("tasks.submit", **submission("t3", max_queue=2, max_retries=1))["error"] == "busy"
        for _ in range(2):
            log.result("t1", log.assign("t1")["token"], "it broke", ok=False)
        assert log.app.view["t1"]["state"] == "dead"
    assert nodes[0].text() == nodes[1].text()


def test_the_same_task_from_a_node_with_other_bounds_is_the_same_task() -> None:
    log = Log()
    log.submit("t1", max_retries=1)
    assert log.submit("t1", max_retries=5)["status"] == "ok" and log.app.view["t1"]["max_retries"] == 1


def test_flaw_result_without_token_check() -> None:
    log = Log(flaws=("result-without-token-check",))
    log.submit("t1")
    first = log.assign("t1", "a1")["token"]
    log.release("t1", first)
    second = log.assign("t1", "a2")["token"]
    log.result("t1", first)
    log.result("t1", second)
    assert log.ledger == [["t1", 0, first], ["t1", 0, second]]
    assert log.app.query({})["done"] == 1


def test_flaw_lost_worker_acknowledged() -> None:
    log = Log(flaws=("lost-worker-acknowledged",))
    log.submit("t1")
    assert log.release("t1", log.assign("t1")["token"])["state"] == "done"
    assert log.ledger == []


BOUNDS = {"max_queue": 4, "max_retries": 1}
IDS = st.sampled_from([f"t{i}" for i in range(5)])
AGENTS = st.sampled_from(["a1", "a2", "c1"])


class Life(RuleBasedStateMachine):
    """Commands as leaders and hosts might send them, also old ones and twice, while agents move. A second application gets each command twice; a third is restored now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.agents = {"a1": agent("n1"), "a2": agent("n2"), "c1": agent("n3", type_="code")}
        self.log = Log(self.agents)
        self.twice = Tasks(self.log.config, self.agents)
        self.tokens: list[tuple[str, int, int]] = []
        self.accepted: dict[str, None] = {}
        self.values = 0

    def _say(self, command: str, **fields: Any) -> dict[str, Any]:
        """Applied a second time, a command changes nothing that counts: the state is the same."""
        answer = self.log.say(command, **fields)
        self.twice.apply(self.log.index, command, fields)
        between = json.dumps(self.twice.dump(), sort_keys=True)
        self.twice.apply(self.log.index, command, fields)
        assert json.dumps(self.twice.dump(), sort_keys=True) == between
        return answer

    @rule(id_=IDS, chain=st.booleans(), priority=st.integers(0, 2))
    def submit(self, id_: str, chain: bool, priority: int) -> None:
        steps = [{"type": "code", "handler": "echo", "payload": {}}] if chain else []
        answer = self._say("tasks.submit", **submission(id_, steps=steps, priority=priority, **BOUNDS))
        if answer["status"] == "ok":
            self.accepted[id_] = None
        else:
            assert answer["error"] in ("busy", "conflict")

    @rule(id_=IDS, name=AGENTS, late=st.integers(0, 2))
    def assign(self, id_: str, name: str, late: int) -> None:
        record, epoch = self.log.app.view.get(id_), self.agents[name]["epoch"]
        attempt = max(0, (record["attempt"] if record else 0) + 1 - late)
        answer = self._say("tasks.assign", task=id_, attempt=attempt, agent=name, epoch=epoch)
        if answer["status"] == "ok":
            assert late == 0 and all(answer["token"] > token for _, token, _ in self.tokens)
            self.tokens.append((id_, answer["token"], epoch))

    @rule(which=st.integers(0, 20), ok=st.booleans())
    def result(self, which: int, ok: bool) -> None:
        if not self.tokens:
            return
        id_, token, epoch = self.tokens[-1 - which % len(self.tokens)]
        before = self.log.app.view[id_]
        self.values += 1
        answer = self._say("tasks.result", task=id_, token=token, epoch=epoch, ok=ok, value=self.values)
        rightful = before["state"] == "assigned" and before["token"] == token
        current = self.agents[before["agent"]] if rightful else None
        rightful = current is not None and (current["epoch"], current["host"]) == (epoch, before["host"])
        assert (answer["status"] == "ok") == rightful, (answer, before)

    @rule(which=st.integers(0, 5))
    def release(self, which: int) -> None:
        if self.tokens:
            id_, token, _ = self.tokens[-1 - which % len(self.tokens)]
            self._say("tasks.release", task=id_, token=token)

    @rule(name=AGENTS, host=st.sampled_from(["n1", "n2", "n3"]))
    def move(self, name: str, host: str) -> None:
        self.log.index += 1
        self.agents[name] = {**self.agents[name], "epoch": self.log.index, "host": host}

    @rule()
    def restore(self) -> None:
        data = json.loads(json.dumps(self.log.app.dump()))
        restored = Tasks(self.log.config, self.agents)
        restored.restore(data)
        assert restored.dump() == self.log.app.dump() and restored.query({}) == self.log.app.query({})
        assert list(restored.fresh) == list(restored.view)
        self.log.app = restored

    @invariant()
    def nothing_is_lost_and_nothing_has_two_effects(self) -> None:
        app, effects = self.log.app, {}
        for task, step, token in self.log.ledger:
            assert (task, step) not in effects, "two effects"
            effects[task, step] = token
        assert dict.fromkeys(sorted(app.view)) == dict.fromkeys(sorted(self.accepted))
        for id_, record in app.view.items():
            steps_done = [step for task, step in effects if task == id_]
            assert steps_done == list(range(len(steps_done)))
            if record["state"] == "done":
                assert len(steps_done) == record["step"] + 1
            else:
                assert len(steps_done) == record["step"]
            tokens = [effects[id_, step] for step in steps_done]
            assert tokens == sorted(tokens)
        counts = app.query({})
        states = [record["state"] for record in app.view.values()]
        assert all(counts[state] == states.count(state) for state in ("queued", "assigned", "done", "dead"))
        assert counts["queued"] + counts["assigned"] <= 4

    @invariant()
    def applied_twice_is_applied_once(self) -> None:
        assert self.twice.dump() == self.log.app.dump()


Life.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLife = Life.TestCase
