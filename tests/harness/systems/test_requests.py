"""Administrative requests: a node's core takes each as it is written, and what answers say."""

from __future__ import annotations

import pytest

from tribulation.harness.systems.reference import requests
from tribulation.node.config.node import NodeConfig
from tribulation.node.core.application.registry import Applications
from tribulation.node.core.clients.request import parse

CONFIG = NodeConfig.from_json(
    {"node": "n1", "cluster": "c", "peers": {"n1": ["127.0.0.1", 1]}, "membership": {}, "agents": {}}
)
BODIES = {
    "status": requests.STATUS,
    "digest": requests.DIGEST,
    "voters": requests.set_voters({"n1": 1, "n2": 2}, 100),
    "transfer": requests.hand_over("n2", 100),
    "leave": requests.leave("n2", 100),
    "command": requests.command("agents.spawn", {"agent": "a1", "type": "data"}, 100, settle=True),
    "view": requests.view("members", {}, "stale", 100),
}

REPORT = {
    "status": "ok",
    "node": "n1",
    "role": "leader",
    "leader": "n1",
    "term": 2,
    "commit": 3,
    "last_index": 4,
    "torn": False,
    "voters": {"n1": 1},
}


@pytest.mark.parametrize("name", BODIES)
def test_a_node_takes_it(name: str) -> None:
    parse({"id": 1, **BODIES[name]}, Applications(CONFIG), "n1", CONFIG.agents)


def test_the_reported_leader_is_that_of_the_highest_term() -> None:
    def answer(node: str, leader: str | None, term: int) -> dict[str, object]:
        return {**REPORT, "node": node, "leader": leader, "term": term}

    old, new = answer("n1", "n1", 3), answer("n2", "n2", 4)
    assert requests.reported_leader([old, None, new, answer("n3", "n1", 3)]) == "n2"
    assert requests.reported_leader([None, answer("n3", "n1", 9)]) is None


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"status": "fail", "error": "busy", "node": "n1"},
        {"status": "ok"},
        *({**REPORT, name: wrong} for name in REPORT for wrong in ([], 1.5, {"n1": "2"})),
    ],
)
def test_what_is_no_report_of_a_node_is_none(odd: dict[str, object]) -> None:
    """Any program may answer at a node's port, and a node that is busy reports nothing."""
    assert requests.report_of(odd) is None
    assert requests.reported_leader([odd, REPORT]) == "n1"


def test_a_deadline_is_never_zero() -> None:
    assert requests.milliseconds(0.0) == 1 and requests.milliseconds(1.5) == 1500
