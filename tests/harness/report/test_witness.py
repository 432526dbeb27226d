"""The witness table: which operations it shows, and what it says of those that it leaves out."""

from __future__ import annotations

from tribulation.checkers.base.result import Fault
from tribulation.harness.report.story import Surroundings
from tribulation.harness.report.witness import Operations, witness
from tribulation.histories import parse

MS = 1_000_000


def test_a_stale_read_is_shown_with_its_neighbours_and_counts_of_the_rest() -> None:
    """Writes 0 to 9 to x, each at 2·i ms; then a read of 3, which is stale. The other key is not shown."""
    history = parse(" ".join(f"p0 x:w{n}" for n in range(10)) + " p1 y:w1 p2 x:r3")
    reported = witness(
        "linearizable", {"kind": "stale-read", "ops": [6, 22], "explanation": "so"}, Operations(history), Surroundings()
    )
    assert [(row.text, row.in_witness, row.skipped) for row in reported.rows] == [
        ("write x 1", False, 1),
        ("write x 2", False, 0),
        ("write x 3", True, 0),
        ("write x 4", False, 0),
        ("write x 5", False, 0),
        ("write x 8", False, 2),
        ("write x 9", False, 0),
        ("read x → 3", True, 0),
    ]
    assert reported.hidden_after == 0
    assert reported.missing == []


def test_an_index_of_a_completion_names_its_operation_and_an_unknown_index_is_said_to_be_missing() -> None:
    history = parse("p0 w1 p0 r1")
    reported = witness("any", {"ops": [3, 99]}, Operations(history), Surroundings())
    assert [(row.text, row.in_witness) for row in reported.rows] == [("write 1", False), ("read → 1", True)]
    assert reported.missing == [99]


def test_bars_lie_where_the_operations_lay_in_time() -> None:
    """p0's write is open from 0 to 3 ms and p1's read from 1 to 2 ms; p2's write is never answered."""
    history = parse("p0[w1 p1 r_ p0] p2[w2")
    reported = witness("any", {"ops": [0, 1, 4]}, Operations(history), Surroundings())
    assert [(row.left, row.width, row.took) for row in reported.rows] == [
        (0.0, 75.0, "3 ms"),
        (25.0, 25.0, "1 ms"),
        (100.0, 0.0, "no answer"),
    ]


def test_the_faults_that_were_on_meanwhile_are_named() -> None:
    history = parse("p0 w1 p0 w2 p0 w3")
    before = Fault("f1", "kill", {"nodes": ["n1"]}, None, True, 0, 0, 1 * MS, 1 * MS)
    during = Fault("f2", "pause", {"nodes": ["n2"]}, None, True, 1 * MS, 2 * MS, 3 * MS, 4 * MS)
    for_ever = Fault("f3", "pause", {"nodes": ["n3"]}, None, True, 1 * MS)
    reported = witness("any", {"ops": [2]}, Operations(history), Surroundings([before, during, for_ever]))
    assert [moment.text for moment in reported.story if moment.kind == "fault"] == [
        "pause: n3 begins",
        "pause: n2 begins",
    ]


def test_an_anomaly_without_operations_has_no_table() -> None:
    anomaly = {"kind": "two-leaders", "ops": [], "explanation": "n1 and n2 led term 3"}
    reported = witness("raft-safety", anomaly, Operations(parse("p0 w1")), Surroundings())
    assert reported.rows == []
    assert reported.explanation == "n1 and n2 led term 3"
