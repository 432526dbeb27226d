"""Voters, halts and unexpected exits over time, from the lines of traces."""

from __future__ import annotations

import pytest

from tribulation.checkers.base.result import Fault
from tribulation.harness.report.nodes.exits import unexpected_starts
from tribulation.harness.report.nodes.lines import Line, of_trace
from tribulation.harness.report.nodes.states import spans
from tribulation.harness.report.nodes.voters import configurations

MS = 1_000_000


def _line(node: str, at_ms: int, event: str, **fields: object) -> Line:
    return of_trace(node, at_ms * MS, {"node": node, "event": event, **fields})


def _shown(lines: list[Line]) -> list[tuple[int, int, int, str]]:
    return [
        (one.from_ns // MS, one.until_ns // MS, one.term, one.voters) for one in configurations(lines, end_ns=100 * MS)
    ]


def test_voters_follow_the_newest_leader() -> None:
    three = {"n1": 1, "n2": 1, "n3": 1}
    lines = [
        _line("n1", 5, "leader", term=1, voters=three),
        _line("n1", 30, "config", index=9, voters={**three, "n3": 2}),
        _line("n2", 31, "config", index=9, voters={**three, "n3": 2}),
        _line("n2", 50, "leader", term=3, voters=three),
        _line("n1", 60, "config", index=12, voters={"n1": 1}),
        _line("n3", 70, "leader", term=2, voters={"n3": 1}),
    ]
    assert _shown(lines[::-1]) == [
        (5, 30, 1, "n1, n2, n3"),
        (30, 50, 1, "n1, n2, n3 ×2"),
        (50, 100, 3, "n1, n2, n3"),
    ]


def test_voters_of_any_form_draw_nothing_wrong() -> None:
    odd = [_line("n1", 5, "leader", term=1, voters=value) for value in (None, [1], {"n1": "x"}, {"n1": 0})]
    assert _shown([*odd, _line("n1", -5, "leader", term=1, voters={"n1": 1})]) == [(0, 100, 1, "n1")]


def _fault(kind: str, node: str, at_ms: int) -> Fault:
    return Fault(f"{kind}.1", kind, {"nodes": [node]}, None, True, at_ms * MS)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (_fault("kill", "n1", 20), 0),
        (_fault("memory", "n1", 20), 0),
        (_fault("kill", "n2", 20), 1),
        (_fault("kill", "n1", 60), 1),
        (_fault("pause", "n1", 20), 1),
    ],
)
def test_a_process_that_no_fault_ended_is_marked(fault: Fault, expected: int) -> None:
    lines = [_line("n1", -9, "start", incarnation=1), _line("n1", 50, "start", incarnation=2)]
    found = unexpected_starts(lines, [fault])
    assert [(line.at_ns, line.level) for line in found] == [(50 * MS, "warning")] * expected


def test_a_node_that_halted_is_halted_until_it_starts() -> None:
    lines = [
        _line("n1", 0, "start", incarnation=1),
        _line("n1", 30, "halt", incarnation=1, reason="log damaged"),
        _line("n1", 60, "start", incarnation=2),
        _line("n2", 80, "halt", incarnation=1, reason="disk"),
    ]
    assert unexpected_starts(lines, []) == []
    found = [(span.node, span.from_ns // MS, span.until_ns // MS, span.state) for span in spans(lines, [], 100 * MS)]
    assert found == [("n1", 30, 60, "halted"), ("n2", 80, 100, "halted")]


@pytest.mark.parametrize("event", ["leader", "start", "follower", "agent-switched"])
def test_a_line_without_its_fields_is_shown_as_it_is(event: str) -> None:
    assert _line("n1", 1, event, other=7).text == f"{event.replace('-', ' ')}: other 7"
