"""What was not read after the heal is unknown, whatever else a run shows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tribulation.checkers import CheckResult, RunRecord, Verdict, check, checker
from tribulation.checkers.base.result import Budget
from tribulation.histories import Event, History, Type

MS = 1_000_000
QUIET_MS = 100
PHASES = {"load_end": 80 * MS, "healed": 90 * MS, "quiet_end": QUIET_MS * MS, "end": 200 * MS}

Row = tuple[int, str, str, str | None, str]
"""(invoked ms, outcome, f, key, node); each ends 1 ms later."""

WRITES: list[Row] = [(1, "ok", "write", "register-0", "n1"), (3, "ok", "write", "register-1", "n2")]


def history(rows: list[Row], workload: str = "register") -> History:
    events = []
    for process, (at_ms, outcome, f, key, node) in enumerate(rows):
        common = {"process": process, "f": f, "value": None, "key": key, "workload": workload, "node": node}
        events.append(Event(0, at_ms * MS, type=Type.INVOKE, **common))  # type: ignore[arg-type]
        events.append(Event(0, (at_ms + 1) * MS, type=Type(outcome), **common))  # type: ignore[arg-type]
    events.sort(key=lambda event: (event.time_ns, event.type is Type.INVOKE))
    return History(replace(event, index=index) for index, event in enumerate(events))


def judge(rows: list[Row], workload: str = "register", **more: object) -> CheckResult:
    record = RunRecord(history(rows, workload), nodes=("n1", "n2"), phases=PHASES, is_run=True)
    return checker("final-reads").check(replace(record, **more), Budget())  # type: ignore[arg-type]


def test_a_run_whose_keys_were_all_read_after_the_heal():
    result = judge([*WRITES, (110, "ok", "read", "register-0", "n1"), (112, "ok", "read", "register-1", "n1")])
    assert (result.verdict, result.reason) == (Verdict.VALID, None)
    assert (result.stats["objects"], result.stats["not_read"]) == (2, 0)
    assert result.stats["last_ok_ms_by_node"] == {"n1": 113.0, "n2": 4.0}


def test_a_system_that_never_comes_back_is_unknown_and_the_last_answer_is_named():
    """As PostgreSQL that did not start again after a power loss: refusals all the way to the end."""
    refusals: list[Row] = [(at, "fail", "read", f"register-{at % 2}", "n1") for at in range(50, 190, 5)]
    result = judge([*WRITES, *refusals])
    assert result.verdict is Verdict.UNKNOWN
    assert result.reason == (
        "the system did not come back: its last ok operation ended at 0.004 s of 0.200 s; "
        "register-0, register-1 of workload register were not read after the heal"
    )


@pytest.mark.parametrize("outcome", ["fail", "info"])
def test_one_key_that_nobody_could_read_is_unknown(outcome):
    rows: list[Row] = [
        *WRITES,
        (110, "ok", "read", "register-0", "n1"),
        *[(at, outcome, "read", "register-1", "n2") for at in (112, 114, 116)],
    ]
    assert judge(rows).reason == "register-1 of workload register was not read after the heal"


def test_a_refusal_before_an_ok_read_is_no_matter():
    rows: list[Row] = [
        *WRITES[:1],
        (110, "fail", "read", "register-0", "n1"),
        (112, "ok", "read", "register-0", "n2"),
    ]
    assert judge(rows).verdict is Verdict.VALID


def test_a_key_that_nobody_tried_to_read_at_the_end_is_unknown():
    rows: list[Row] = [*WRITES, (110, "ok", "read", "register-0", "n1")]
    assert judge(rows).reason == "register-1 of workload register was not read after the heal"


def test_many_keys_are_counted_and_only_a_few_named():
    rows: list[Row] = [(at, "ok", "write", f"register-{at:02}", "n1") for at in range(10)]
    reason = judge([*rows, (110, "ok", "write", "other", "n1")]).reason
    assert reason is not None and "register-04 and 5 more of workload register were not read" in reason


def test_a_workload_that_is_read_as_a_whole():
    rows: list[Row] = [(1, "ok", "submit", None, "n1"), (110, "fail", "effects", None, "n1")]
    assert str(judge(rows, "tasks").reason).endswith("; no final effects of workload tasks ended ok")
    assert judge([*rows, (112, "ok", "effects", None, "n1")], "tasks").verdict is Verdict.VALID
    assert "no final read of workload tasks ended ok" in str(judge(rows[:1], "tasks").reason)


def test_reads_of_two_kinds_must_both_be_answered():
    rows: list[Row] = [
        (1, "ok", "learn", "map/r0", "n1"),
        (110, "ok", "recall", "map/r0", "n1"),
        (112, "fail", "memory-digest", None, "n1"),
    ]
    assert judge(rows, "memory").reason == "no final memory-digest of workload memory ended ok"


def test_a_run_that_ended_before_its_final_reads_and_one_without_operations_are_unknown():
    assert judge(WRITES, phases={}).reason == "the run ended before its final reads"
    assert judge([]).reason == "no operation was recorded"


def test_it_is_for_runs_and_never_for_bare_histories():
    rows: list[Row] = [*WRITES, (110, "fail", "read", "register-0", "n1")]
    assert "final-reads" not in check(RunRecord(history(rows), phases=PHASES))
    assert check(RunRecord(history(rows), phases=PHASES, is_run=True))["final-reads"].verdict is Verdict.UNKNOWN
