"""What a member that lies says about memory: it must not get into what this node says to others, which would refuse all of it."""

from __future__ import annotations

from typing import Any

import pytest

from tribulation.node.core.interface.cluster_messages import MemoryPush
from tribulation.node.core.memory.records.vector import NUMBER_LIMIT, REPLICA_CHARACTERS, vector_problem

from ..solo import Solo


@pytest.mark.parametrize(
    "dot",
    [
        ["x" * (REPLICA_CHARACTERS + 1), 1],
        ["", 1],
        ["n2\x00", 1],
        ["n2.1.a", 0],
        ["n2.1.a", -1],
        ["n2.1.a", NUMBER_LIMIT],
        ["log", 1],
        ["n2.1.b", 1],
        [1, "n2"],
    ],
)
def test_a_dot_that_is_none_or_not_of_the_change_moves_no_vector(dot: list[Any]) -> None:
    solo = Solo(memory={})
    state = {"c": {"n2.1.a": 1}, "t": {"concept": [["n2.1.a", 1, "c"]]}}
    solo.receive("n2", MemoryPush(1, True, {"record": ["fact", "f", state], "dot": dot}))
    (answer,) = solo.ask(memory="digest")
    assert answer["vector"] == {} and vector_problem(answer["vector"]) is None
    assert solo.ask(memory="get", kind="fact", record="f")[0]["record"]["fields"] == {"concept": "c"}


def test_the_dot_of_the_change_moves_it() -> None:
    solo = Solo(memory={})
    state = {"c": {"n2.1.a": 1}, "t": {"concept": [["n2.1.a", 1, "c"]]}}
    solo.receive("n2", MemoryPush(1, True, {"record": ["fact", "f", state], "dot": ["n2.1.a", 1]}))
    assert solo.ask(memory="digest")[0]["vector"] == {"n2.1.a": 1}
