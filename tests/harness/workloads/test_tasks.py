"""The workload of tasks: what its clients do, and how its operations become a conversation with a node."""

from __future__ import annotations

from typing import Any

import pytest

from tribulation.harness.systems.base import Op, Outcome
from tribulation.harness.systems.reference.agent_calls import SETTLED
from tribulation.harness.systems.reference.client import ReferenceProtocol, Request
from tribulation.harness.systems.reference.task_name import TaskName
from tribulation.harness.workloads.generators import Context, Generator
from tribulation.harness.workloads.tasks import TaskSpec, TaskWorkload


def operations(generator: Generator, count: int, client: int = 0, clients: int = 2) -> list[Op]:
    found = []
    for i in range(count):
        emit, generator = generator.next(Context(7, "tasks", client, clients, i, 0))
        if emit is None:
            break
        found.append(emit.op)
        generator = generator.update(emit.op, Outcome("ok"))
    return found


def test_agents_are_spawned_first_each_by_one_client_and_then_tasks_are_submitted() -> None:
    load = TaskWorkload("tasks", TaskSpec(agents=5)).load()
    first, other = (operations(load, 20, client) for client in (0, 1))
    assert [op.value for op in first[:3]] == ["a0.generic", "a2.generic", "a4.generic"]
    assert [op.value for op in other[:2]] == ["a1.generic", "a3.generic"]
    tasks = [op.value for op in first[3:] + other[2:]]
    assert {op.f for op in first[3:]} == {"submit"}
    assert len(set(tasks)) == len(tasks)
    assert {TaskName.parse(task).strategy for task in tasks} > {"local-first", "round-robin"}


@pytest.mark.parametrize(
    "name",
    [TaskName(17), TaskName(3, "code", "sleep", 20, "latency-aware", 2, 1), TaskName(4, handler="learn", amount=9)],
)
def test_a_task_says_what_it_is_by_its_name(name: TaskName) -> None:
    assert TaskName.parse(str(name)) == name
    fields = name.fields()
    assert fields["task"] == str(name) and len(fields["steps"]) == name.steps and fields["handler"] == name.handler


def test_a_name_of_another_make_is_refused() -> None:
    with pytest.raises(ValueError, match="'x7' is not a task of a workload"):
        TaskName.parse("x7")


def talk(op: Op, *replies: dict[str, Any]) -> tuple[list[dict[str, Any]], Outcome | None]:
    """What a client asks, and the outcome after these replies (None: it would go on)."""
    protocol = ReferenceProtocol()
    step: Any = protocol.begin(op, 1.0)
    asked = []
    for reply in replies:
        assert isinstance(step, Request)
        asked.append({name: value for name, value in step.body.items() if name not in ("id", "deadline_ms")})
        step = protocol.receive({"id": step.body["id"], **reply})
    return asked, step if isinstance(step, Outcome) else None


def page(*rows: list[Any], start: int = 0, total: int) -> dict[str, Any]:
    return {
        "status": "ok",
        "results": [{"effects": list(rows), "from": start, "next": start + len(rows), "total": total}],
    }


def test_the_ledger_is_read_page_by_page_and_only_last_steps_are_effects() -> None:
    one, chain = str(TaskName(1)), str(TaskName(2, steps=1))
    first = page([one, 0, 5], [chain, 0, 6], total=3)
    asked, outcome = talk(Op("effects"), first, page([chain, 1, 9], start=2, total=3))
    assert [body["with"]["effects"] for body in asked] == [0, 2]
    assert outcome is not None
    assert outcome.value == [{"task": one, "claim": 5}, {"task": chain, "claim": 9}]


def test_a_ledger_that_forgot_its_beginning_is_no_answer() -> None:
    _, outcome = talk(Op("effects"), page(["t", 0, 1], start=10, total=11))
    assert outcome is not None and (outcome.type, outcome.error) == ("fail", "ledger-forgotten")


def test_whoever_waits_for_all_tasks_is_refused_while_some_are_open() -> None:
    counts = {"status": "ok", "results": [{"queued": 1, "assigned": 2}]}
    _, outcome = talk(Op("effects", None, SETTLED), counts)
    assert outcome is not None and (outcome.type, outcome.error, outcome.extra["unfinished"]) == (
        "fail",
        "unfinished",
        3,
    )


def test_what_may_have_been_done_is_in_doubt_without_an_answer_and_what_was_only_read_is_not() -> None:
    for op, type_ in ((Op("submit", None, str(TaskName(1))), "info"), (Op("effects"), "fail")):
        protocol = ReferenceProtocol()
        protocol.begin(op, 1.0)
        assert protocol.expire().type == type_


def test_an_agent_is_moved_from_the_epoch_that_it_has() -> None:
    record = {"status": "ok", "results": [{"epoch": 12, "host": "n1"}]}
    moved = {"status": "ok", "awaited": True, "record": {"epoch": 20, "host": "n2"}, "index": 19}
    asked, outcome = talk(Op("migrate", None, ["a.generic", "n2"]), record, moved)
    assert asked[1] == {"do": "agents.move", "with": {"agent": "a.generic", "epoch": 12, "to": "n2"}, "await": True}
    assert outcome is not None and outcome.value == {"host": "n2", "epoch": 20, "awaited": True}
    _, refused = talk(Op("migrate", None, ["b.generic", "n2"]), {"status": "ok", "results": [None]})
    assert refused is not None and refused.error == "not-found"
