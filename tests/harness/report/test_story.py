"""The story of a witness: its operations with what the cluster did around them."""

from __future__ import annotations

from tribulation.checkers.base.result import Fault
from tribulation.harness.report.nodes.lines import Line, of_trace
from tribulation.harness.report.nodes.states import leaders, spans
from tribulation.harness.report.story import MOST_ROWS, Surroundings, story
from tribulation.histories import Operation, Type

MS = 1_000_000


def _line(node: str, at_ms: int, event: str, **fields: object) -> Line:
    return of_trace(node, at_ms * MS, {"node": node, "event": event, **fields})


def _elected(node: str, at_ms: int, term: int) -> Line:
    return _line(node, at_ms, "leader", term=term, votes=[node], last_index=0)


def _read(at_ms: int, index: int) -> Operation:
    return Operation(0, "read", Type.OK, index, index + 1, at_ms * MS, (at_ms + 1) * MS, node="n1")


def test_a_deposed_leader_that_goes_on_is_seen_beside_the_new_one() -> None:
    cut = Fault("cut.1", "cut", {"edges": [["n1", "n2"], ["n2", "n1"]]}, None, True, 10 * MS, 11 * MS, 50 * MS, 51 * MS)
    lines = [_elected("n1", 0, 1), _elected("n2", 20, 2), _line("n1", 60, "follower", term=2, leader="n2")]
    states = spans(lines, [cut], 100 * MS)
    assert [span.node for span in leaders(states, 30 * MS)] == ["n1", "n2"]
    assert [span.node for span in leaders(states, 70 * MS)] == ["n2"]
    reported = story([_read(5, 1), _read(30, 3)], [], Surroundings([cut], lines, states))
    assert [(moment.kind, moment.at_ns // MS, moment.in_proof) for moment in reported] == [
        ("node", 0, False),
        ("operation", 5, True),
        ("fault", 11, False),
        ("node", 20, False),
        ("operation", 30, True),
    ]
    assert reported[2].text == "partition: n1 | n2 begins"
    assert reported[4].note == "leading: n1 (term 1), n2 (term 2)"


def test_a_killed_leader_leads_no_more() -> None:
    kill = Fault("kill.1", "kill", {"nodes": ["n1"]}, None, True, 10 * MS, 12 * MS, 40 * MS, 41 * MS)
    states = spans([_elected("n1", 0, 1)], [kill], 100 * MS)
    assert [(span.state, span.from_ns // MS, span.until_ns // MS) for span in states] == [
        ("leader", 0, 12),
        ("killed", 12, 40),
    ]


def test_a_long_time_between_the_operations_is_folded_with_its_count() -> None:
    noise = [_line("n2", at, "truncate", **{"from": at}) for at in range(10, 90)]
    reported = story([_read(5, 1), _read(95, 3)], [], Surroundings((), [*noise, _elected("n3", 89, 7)], ()))
    assert len(reported) <= MOST_ROWS
    assert sum(moment.skipped for moment in reported) + len(reported) == 2 + len(noise) + 1
    assert any("became leader of term 7" in moment.text for moment in reported)
