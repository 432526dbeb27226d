"""Early findings: each is seen at once and once, and what faults or late answers explain is none."""

from __future__ import annotations

from typing import Any

import pytest

from tribulation.harness.run.live.early import MOST_OF_A_KIND, Early
from tribulation.harness.systems.base import Op, Outcome

S = 1_000_000_000


class Watched:
    """Operations one after the other, a second each; `reported` are the findings."""

    def __init__(self) -> None:
        self.reported: list[str] = []
        self.early = Early(self.reported.append)
        self.now_ns = 0

    def do(self, f: str, value: Any, answer: Any = None, workload: str = "register", **of: Any) -> None:
        op = Op(f, of.pop("key", "k"), value, of.pop("level", "linearizable"), workload)
        self.begin(op, of.pop("process", 1))
        self.end(op, answer, **of)

    def begin(self, op: Op, process: int = 1) -> None:
        self.now_ns += S
        self.early.invoked(self.now_ns, process, op)

    def end(
        self, op: Op, answer: Any = None, kind: str = "ok", node: str = "n1", process: int = 1, **extra: Any
    ) -> None:
        self.now_ns += S
        outcome = Outcome(kind, answer, extra.pop("error", None), extra)  # type: ignore[arg-type]
        self.early.completed(self.now_ns, process, node, op, outcome)


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_an_element_that_was_acknowledged_is_missing(watched: Watched) -> None:
    watched.do("add", 1, workload="set")
    watched.do("add", 2, workload="set", kind="info")
    watched.do("read", None, [1], workload="set")
    assert watched.reported == []
    watched.do("read", None, [], workload="set", node="n3")
    assert watched.reported == [
        "early finding at 8.0 s: k: 1, acknowledged at 2.0 s, is missing from a read through n3"
    ]


def test_an_add_that_ends_while_the_read_is_under_way_may_be_missing(watched: Watched) -> None:
    read, add = Op("read", "k", None, "linearizable", "set"), Op("add", "k", 1, workload="set")
    watched.begin(read, 1)
    watched.begin(add, 2)
    watched.end(add, process=2)
    watched.end(read, [], process=1)
    assert watched.reported == []


def test_a_read_returns_a_value_that_was_overwritten(watched: Watched) -> None:
    watched.do("write", 1)
    watched.do("cas", [1, 2])
    watched.do("read", None, 2)
    watched.do("read", None, 1, level="stale", stale=True)
    assert watched.reported == []
    watched.do("read", None, 1)
    assert (
        len(watched.reported) == 1 and "k: a read through n1 returned 1, although a later write" in watched.reported[0]
    )


def test_a_write_that_may_have_come_later_explains_the_value(watched: Watched) -> None:
    watched.do("write", 1, kind="info")
    watched.do("write", 2)
    watched.do("read", None, 1)
    first, second = Op("write", "k", 3, workload="register"), Op("write", "k", 4, workload="register")
    watched.begin(first, 1)
    watched.begin(second, 2)
    watched.end(first, process=1)
    watched.end(second, process=2)
    watched.do("read", None, 3)
    assert watched.reported == []


def test_one_index_of_the_log_is_acknowledged_twice(watched: Watched) -> None:
    watched.do("write", 1, node="n1", log_index=7, term=2)
    watched.do("read", None, 1, node="n2", log_index=7, term=2)
    assert watched.reported == []
    watched.do("write", 2, node="n4", log_index=7, term=2)
    assert watched.reported == [
        "early finding at 6.0 s: log index 7 was acknowledged twice: write k 1 by n1 (term 2), and write k 2 by n4 (term 2)"
    ]


def test_two_leaders_of_a_term_and_a_halt(watched: Watched) -> None:
    for node, term in (("n1", 1), ("n2", 2), ("n2", 2), ("n3", 2)):
        watched.early.traced(S, {"event": "leader", "node": node, "term": term})
    watched.early.traced(2 * S, {"event": "halt", "node": "n5", "reason": "log damaged\nmore"})
    assert watched.reported == [
        "early finding at 1.0 s: two leaders in term 2: n2 and n3",
        "early finding at 2.0 s: n5 stopped itself: log damaged",
    ]


@pytest.mark.parametrize("after_s, reported", [(0, 0), (2, 0), (9, 1)])
def test_a_node_that_a_fault_touches_may_refuse(watched: Watched, after_s: int, reported: int) -> None:
    watched.early.nemesis(0, "inject", {"fault": "kill.1", "kind": "kill", "nodes": ["n2"]})
    if after_s:
        watched.early.nemesis(0, "healed", {"fault": "kill.1"})
        watched.now_ns = after_s * S
    watched.do("read", None, kind="fail", error="no-connection", node="n2", message="ConnectionRefusedError: 111")
    assert len(watched.reported) == reported


def test_a_node_refuses_without_a_fault(watched: Watched) -> None:
    watched.early.nemesis(0, "inject", {"fault": "kill.1", "kind": "kill", "nodes": ["n2"]})
    watched.do("read", None, kind="fail", error="no-connection", message="TimeoutError: timed out")
    assert watched.reported == []
    for _ in range(3):
        watched.do("read", None, kind="fail", error="no-connection", message="ConnectionRefusedError: 111")
    assert watched.reported == [
        "early finding at 4.0 s: n1 refuses connections although no fault affects it: did its process exit?"
    ]


def test_few_of_a_kind_are_shown(watched: Watched) -> None:
    for index in range(9):
        watched.do("write", index, key=f"k{index % 5}", log_index=1)
    assert len(watched.reported) == MOST_OF_A_KIND and watched.reported[-1].endswith(
        "; further ones of this kind are not shown"
    )


def test_hostile_values_end_nothing(watched: Watched) -> None:
    watched.do("cas", "no list", {"a": []}, key=["x", {}])
    watched.do("add", {"a": 1}, workload="set")
    watched.do("read", None, [{}, [], None], workload="set")
    watched.early.nemesis(0, "inject", {"fault": None, "edges": [["n1", 2]], "x": object()})
    watched.early.traced(0, {"event": "leader", "term": "x"})
