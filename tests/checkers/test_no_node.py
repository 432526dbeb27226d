"""An answer that no node can have given is a doubt about the whole run, and about no other one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tribulation.checkers import Fault, RunRecord
from tribulation.checkers.soundness.no_node import answered_by_no_node
from tribulation.harness.run.outcome.doubts import doubts_of
from tribulation.histories import Event, History, Type

MS = 1_000_000


def history(*spans: tuple[int, int]) -> History:
    """A read that ended ok for each (from, to) in ms."""
    times = sorted((at_ms, kind, process) for process, span in enumerate(spans) for kind, at_ms in enumerate(span))
    types = (Type.INVOKE, Type.OK)
    return History(
        [
            Event(index, at_ms * MS, process, types[kind], "read", 1 if kind else None, key="k", node="n1")
            for index, (at_ms, kind, process) in enumerate(times)
        ]
    )


def fault(ident: str, kind: str, what: dict, from_ms: int, to_ms: int, verified: bool = True) -> Fault:
    return Fault(ident, kind, what, None, verified, from_ms * MS, from_ms * MS, to_ms * MS, to_ms * MS, from_ms * MS)


ALL_DOWN = [fault("kill-1", "kill", {"nodes": ["n1", "n2"]}, 100, 200)]
ONE_DOWN_ONE_CUT = [
    fault("pause-1", "pause", {"nodes": ["n1"]}, 100, 300),
    fault("cut-1", "cut", {"edges": [["n2", "clients"]]}, 90, 200),
]
IN_TURN = [
    fault("kill-1", "kill", {"nodes": ["n1"]}, 100, 150),
    fault("kill-2", "kill", {"nodes": ["n2"]}, 150, 200),
]


def record(faults, *spans) -> RunRecord:
    return RunRecord(history(*spans), faults=faults, nodes=["n1", "n2"], is_run=True)


@pytest.mark.parametrize("faults", [ALL_DOWN, ONE_DOWN_ONE_CUT], ids=["down", "down and cut off"])
def test_an_answer_from_elsewhere_is_a_doubt_that_names_the_faults(faults):
    found = record(faults, (50, 60), (110, 190), (120, 130))
    reported = answered_by_no_node(found)
    assert reported is not None and reported.startswith("2 operations ended ok") and "0.110 s" in reported
    assert all(one.id in reported for one in faults)
    assert reported in doubts_of(found).sentences


@pytest.mark.parametrize("span", [(90, 150), (150, 210), (10, 20), (210, 220)])
def test_an_operation_that_a_node_may_have_answered_before_or_after_is_none(span):
    assert answered_by_no_node(record(ALL_DOWN, span)) is None


@pytest.mark.parametrize(
    "faults",
    [
        [],
        IN_TURN,
        [replace(ALL_DOWN[0], verified=False)],
        [replace(ALL_DOWN[0], heal_ns=None)],
        [fault("kill-1", "kill", {"nodes": ["n1"]}, 100, 200)],
        [fault("cut-1", "cut", {"edges": [["n2", "n1"], ["n1", "n2"]]}, 100, 200)],
    ],
)
def test_what_is_not_certain_of_every_node_is_no_doubt(faults):
    assert answered_by_no_node(record(faults, (120, 130))) is None


REPLIES_THEN_REQUESTS = [
    fault("cut-1", "cut", {"edges": [["n1", "clients"], ["n2", "clients"]]}, 100, 150),
    fault("cut-2", "cut", {"edges": [["clients", "n1"], ["clients", "n2"]]}, 150, 200),
]
REPLIES_THEN_PAUSE = [REPLIES_THEN_REQUESTS[0], fault("pause-1", "pause", {"nodes": ["n1", "n2"]}, 150, 200)]


@pytest.mark.parametrize("faults", [REPLIES_THEN_REQUESTS, REPLIES_THEN_PAUSE], ids=["other direction", "pause"])
def test_a_reply_that_one_fault_held_back_may_arrive_during_the_next(faults):
    """The node did what was asked; its kernel sends the reply again when the way is open."""
    assert answered_by_no_node(record(faults, (120, 180))) is None
    assert answered_by_no_node(record(faults, (120, 140))) is not None
    assert answered_by_no_node(record(faults, (160, 180))) is not None


def test_operations_of_a_bare_history_are_not_asked():
    assert answered_by_no_node(replace(record(ALL_DOWN, (120, 130)), is_run=False)) is None
