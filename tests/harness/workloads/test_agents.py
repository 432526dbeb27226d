"""The workload of agents: what its clients do, and how its operations become a conversation with a node."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tribulation.harness.systems.base import Op, Outcome
from tribulation.harness.systems.reference.agent_calls import SETTLED
from tribulation.harness.workloads.agents import AgentSpec, AgentWorkload
from tribulation.harness.workloads.generators import Context

from .test_tasks import operations, talk

OK = {"status": "ok"}


def workload(**options: object) -> AgentWorkload:
    return AgentWorkload("agents", AgentSpec(nodes=("n1", "n2"), **options))  # type: ignore[arg-type]


def test_first_the_pool_answers_and_then_agents_come_move_and_go() -> None:
    ops = operations(workload().load(), 300, clients=4)
    assert ops[0].f == "pool"
    assert {op.f for op in ops[1:]} == {"spawn", "deploy", "migrate", "stop", "pool"}


def test_a_client_has_no_more_than_its_share_and_names_each_agent_once() -> None:
    alive: set[str] = set()
    named: list[str] = []
    for op in operations(workload(agents=12, deployed=3).load(), 500, clients=2):
        if op.f in ("spawn", "deploy"):
            new = [op.value] if op.f == "spawn" else op.value
            named += new
            alive.update(new)
        elif op.f == "stop":
            alive.remove(op.value)
        elif op.f == "migrate":
            assert op.value[0] in alive and op.value[1] in ("n1", "n2")
        assert len(alive) <= 6
    assert len(set(named)) == len(named)
    other = operations(workload(agents=12).load(), 100, client=1, clients=2)
    assert not set(named) & {op.value for op in other if op.f == "spawn"}


def test_what_was_refused_did_not_happen() -> None:
    """An agent whose stop was refused is there still, one whose spawn was refused is not."""
    mine = workload(mix={"spawn": 1, "stop": 1}, agents=4)
    generator = mine.load()
    alive: list[str] = []
    for count in range(200):
        emit, generator = generator.next(Context(7, "agents", 0, 4, count, 0))
        assert emit is not None
        op = emit.op
        assert op.f != "stop" or op.value in alive
        refused = count % 3 == 1
        if op.f == "spawn" and not refused:
            alive.append(op.value)
        elif op.f == "stop" and not refused:
            alive.remove(op.value)
        generator = generator.update(op, Outcome("fail" if refused else "ok"))
        assert len(alive) <= 1


def test_without_nodes_nobody_is_moved() -> None:
    ops = operations(AgentWorkload("agents", AgentSpec()).load(), 200)
    assert "migrate" not in {op.f for op in ops}


@pytest.mark.parametrize("options", [{"agents": 3}, {"mix": {"spawn": 0}}, {"mix": {"spawn": -1, "pool": 2}}])
def test_a_spec_that_cannot_be(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AgentSpec(**options)  # type: ignore[arg-type]


def test_many_are_deployed_with_one_command() -> None:
    place = {"host": "n1", "slot": 0, "epoch": 7}
    reply = {**OK, "placed": {"a.code": place}, "refused": {"b.data": ["no-room", "…"]}, "records": {}}
    asked, outcome = talk(Op("deploy", None, ["a.code", "b.data"]), reply)
    agents = [{"agent": "a.code", "type": "code"}, {"agent": "b.data", "type": "data"}]
    assert asked == [{"do": "agents.deploy", "with": {"agents": agents}, "await": True}]
    assert outcome is not None and outcome.type == "ok"
    assert outcome.value == {"placed": {"a.code": {"host": "n1", "epoch": 7}}, "refused": {"b.data": "no-room"}}


def test_a_stop_without_an_answer_is_in_doubt_and_a_refused_one_is_not() -> None:
    _, outcome = talk(Op("stop", None, "a.code"), {"status": "unknown", "error": "timeout"})
    assert outcome is not None and (outcome.type, outcome.value) == ("info", "a.code")
    _, outcome = talk(Op("stop", None, "a.code"), {"status": "fail", "error": "no-quorum"})
    assert outcome is not None and (outcome.type, outcome.error) == ("fail", "no-quorum")


def test_the_pool_as_it_is_and_as_it_has_settled() -> None:
    here = {"host": "n1", "epoch": 7, "state": "running", "moving": None, "slot": 3}
    moving = {**here, "host": "n2", "moving": {"to": "n1"}}
    reply = {**OK, "results": [{"hosts": {}, "agents": {"b": moving, "a": here}}], "index": 9}
    _, outcome = talk(Op("pool"), reply)
    assert outcome is not None and [one["agent"] for one in outcome.value] == ["a", "b"]
    assert outcome.value[0] == {"agent": "a", "host": "n1", "epoch": 7, "state": "running"}
    _, outcome = talk(Op("pool", None, SETTLED), reply)
    assert outcome is not None and (outcome.type, outcome.extra["unsettled"]) == ("fail", ["b"])
