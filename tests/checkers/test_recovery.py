"""Recovery of a core, as stories: when it answered first, whether its terms stood still, and what excuses it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tribulation.checkers import CheckResult, Fault, RunRecord, Verdict, checker
from tribulation.checkers.base.result import Budget
from tribulation.histories import Event, History, Type

MS = 1_000_000
NODES = ("n1", "n2", "n3")
CORE = ["n1", "n2"]
BEGAN_MS, WITHIN_MS, END_MS = 1_000, 500, 2_000

Row = tuple[int, int, str, str, str, dict[str, Any]]


def op(start_ms: int, end_ms: int, outcome: str, node: str = "n1", f: str = "write", **more: Any) -> Row:
    return start_ms, end_ms, outcome, node, f, more


def history(rows: Sequence[Row]) -> History:
    events = []
    for process, (start_ms, end_ms, outcome, node, f, more) in enumerate(rows):
        more = dict(more)
        level = more.pop("level", None)
        error = more.pop("error", None)
        asked = None if f == "read" else process
        events.append((start_ms, Event(0, start_ms * MS, process, Type.INVOKE, f, asked, node=node, level=level)))
        done = Event(
            0, end_ms * MS, process, Type(outcome), f, process, node=node, level=level, error=error, extra=more
        )
        events.append((end_ms, done))
    events.sort(key=lambda item: item[0])
    return History([replace(event, index=index) for index, (_, event) in enumerate(events)])


def record(*rows: Row, elections: int = 2, core: Sequence[str] = CORE, **more: Any) -> RunRecord:
    what = {"edges": [["n1", "n3"], ["n3", "n1"]], **({"core": list(core)} if core else {})}
    fault = Fault("liveness-isolated", "cut", what, what, True, 900 * MS, 900 * MS, END_MS * MS, END_MS * MS)
    phases = {"load_end": 900 * MS, "core_healed": BEGAN_MS * MS, "liveness_end": END_MS * MS, "healed": 2_100 * MS}
    options = {"recovery": {"within_ms": WITHIN_MS, "elections": elections}}
    return RunRecord(history(rows), faults=[fault], nodes=NODES, phases=phases, options=options, **more)


def judge(run: RunRecord) -> CheckResult:
    return checker("recovery").check(run, Budget())


FINE = (
    op(950, 1_300, "ok", f="write", term=3),
    op(1_010, 1_020, "fail", error="not-leader"),
    op(1_100, 1_250, "ok", f="write", term=4),
    op(1_150, 1_350, "ok", "n2", f="read", term=4),
    op(1_600, 1_610, "ok", f="write", term=4),
    op(1_900, 1_910, "ok", "n2", f="read", term=5),
)


def test_a_core_that_answers_in_time_is_valid_and_its_time_is_reported():
    result = judge(record(*FINE))
    assert result.verdict is Verdict.VALID
    assert result.stats["recovery_ms"] == {"write": 250.0, "read": 350.0}
    assert (result.stats["core"], result.stats["terms_after_bound"]) == (CORE, [4, 5])


def test_terms_count_from_the_very_bound_to_the_very_end():
    rows = [op(end_ms - 5, end_ms, "ok", term=end_ms) for end_ms in (1_499, 1_500, 1_600, 2_000)]
    assert judge(record(*rows, elections=9_000)).stats["terms_after_bound"] == [1_500, 2_000]


def test_it_is_asked_of_runs_with_a_liveness_phase_alone():
    assert checker("recovery").applies(record(*FINE))
    assert not checker("recovery").applies(RunRecord(history(FINE)))


def test_what_the_rest_or_a_stale_read_answers_is_no_recovery():
    """Writes fail at the core; n3 answers, and n2 answers a read from the state at hand."""
    failing = [op(at_ms, at_ms + 90, "fail") for at_ms in range(1_000, 2_000, 100)]
    result = judge(record(*failing, op(1_010, 1_020, "ok", "n3"), op(1_030, 1_040, "ok", "n2", "read", level="stale")))
    (anomaly,) = result.anomalies
    assert (result.verdict, anomaly.kind, anomaly.details["kind"]) == (Verdict.INVALID, "not-recovered", "write")
    assert len(anomaly.ops) == 5 and "none took place until 2.000 s (allowed: 0.5 s)" in anomaly.explanation


def test_a_cas_that_saw_another_value_took_place():
    rows = [op(at_ms, at_ms + 9, "fail", f="cas", error="mismatch", term=1) for at_ms in range(1_000, 2_000, 100)]
    assert judge(record(*rows)).verdict is Verdict.VALID


@pytest.mark.parametrize(("first_ms", "verdict"), [(1_500, Verdict.VALID), (1_501, Verdict.INVALID)])
def test_the_bound(first_ms, verdict):
    result = judge(record(op(1_010, 1_090, "fail"), op(1_200, first_ms, "ok"), op(1_700, 1_710, "ok")))
    assert result.verdict is verdict
    assert [anomaly.kind for anomaly in result.anomalies] == ([] if verdict is Verdict.VALID else ["late-recovery"])


def test_terms_that_grow_to_the_end_are_a_livelock_though_operations_are_answered():
    rows = [op(at_ms, at_ms + 5, "ok", term=at_ms // 100) for at_ms in range(1_000, 2_000, 50)]
    result = judge(record(*rows))
    (anomaly,) = result.anomalies
    assert (anomaly.kind, anomaly.details["terms"]) == ("terms-grow", [15, 19])
    assert "terms grew from 15 to 19 (allowed in these 0.5 s: 2)" in anomaly.explanation
    assert judge(record(*rows, elections=4)).verdict is Verdict.VALID


def test_terms_are_read_from_traces_too_where_a_clock_places_them():
    def line(node: str, seq: int, at_ms: int, event: str = "term", **more: Any) -> dict[str, Any]:
        return {"node": node, "incarnation": 1, "seq": seq, "mono_ns": at_ms * MS + 77, "event": event, **more}

    growing = [line("n2", seq, 1_550 + 50 * seq, term=10 + seq) for seq in range(5)]
    elsewhere = [line("n3", seq, 1_550 + 50 * seq, term=50 + seq) for seq in range(5)]
    traces = {"n2": growing, "n3": elsewhere}
    placed = record(*FINE, traces=traces, clock_offsets_ns={"n2": (77, 0), "n3": (77, 0)})
    assert judge(placed).stats["terms_after_bound"] == [4, 14]
    assert [anomaly.kind for anomaly in judge(placed).anomalies] == ["terms-grow"]
    assert judge(record(*FINE, traces=traces)).stats["terms_after_bound"] == [4, 5]


def test_a_core_that_answers_and_then_never_again():
    rows = [op(at_ms, at_ms + 9, "fail") for at_ms in range(1_510, 2_000, 100)]
    result = judge(record(op(1_010, 1_020, "ok"), *rows))
    assert [anomaly.kind for anomaly in result.anomalies] == ["fell-silent"]


FAILING = tuple(op(at_ms, at_ms + 90, "fail") for at_ms in range(1_000, 2_000, 100))


def start(node: str, voters: dict[str, int], torn: bool = False) -> dict[str, Any]:
    fields = {"term": 1, "last_index": 5, "last_term": 1, "snapshot_index": 0, "voters": voters, "torn": torn}
    return {"node": node, "incarnation": 1, "seq": 0, "mono_ns": 0, "event": "start", **fields}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([start("n1", dict.fromkeys(NODES, 1), torn=True)], "n1 had lost the tail of the log"),
        ([start("n1", {"n1": 1, "n2": 1, "n3": 1, "n4": 1})], "of which no node of the core reaches a quorum"),
        (
            [
                start("n1", dict.fromkeys(NODES, 1)),
                {"node": "n1", "incarnation": 1, "seq": 1, "mono_ns": 5, "event": "halt", "reason": "bad record"},
            ],
            "n1 of the core had stopped itself: bad record",
        ),
    ],
)
def test_a_core_that_cannot_recover_by_design_is_not_blamed(lines, words):
    result = judge(record(*FAILING, traces={"n1": lines}))
    assert result.verdict is Verdict.UNKNOWN and words in (result.reason or "")


@pytest.mark.parametrize(
    ("voters", "excuse"),
    [
        ({"n1": 1, "n2": 1, "n3": 1}, None),
        ({"n1": 1, "n2": 1, "n3": 2}, "of which not every one (n1 does not) reaches a quorum"),
        ({"n1": 0, "n2": 1, "n3": 2}, None),
        ({"n1": 1, "n2": 1, "n3": 1, "n4": 4}, "of which no node of the core reaches a quorum"),
    ],
)
def test_a_ring_leaves_a_majority_to_every_node_but_not_to_every_voter_of_changed_weights(voters, excuse):
    """n1 and n3 stay cut off from each other. n2 sees all, but may be the one whose log is too short for the others' votes."""
    traces = {name: [start(name, voters)] for name in NODES}
    result = judge(record(*FAILING, core=NODES, traces=traces))
    assert result.verdict is (Verdict.INVALID if excuse is None else Verdict.UNKNOWN)
    assert (result.reason or "").endswith(excuse or "")


def test_a_node_that_had_stopped_itself_excuses_though_it_was_started_again_after_the_phase():
    halted = {"node": "n1", "incarnation": 1, "seq": 1, "mono_ns": 5, "event": "halt", "reason": "bad record"}
    again = {**start("n1", dict.fromkeys(NODES, 1)), "incarnation": 2, "mono_ns": (END_MS + 50) * MS}
    lines = [start("n1", dict.fromkeys(NODES, 1)), halted, again]
    clocks = {"n1": (0, 1)}
    assert judge(record(*FAILING, traces={"n1": lines}, clock_offsets_ns=clocks)).verdict is Verdict.UNKNOWN
    over = [*lines[:2], {**again, "mono_ns": (BEGAN_MS - 50) * MS}]
    assert judge(record(*FAILING, traces={"n1": over}, clock_offsets_ns=clocks)).verdict is Verdict.INVALID


def test_voters_of_before_the_phase_excuse_nobody():
    def config(seq: int, at_ms: int, voters: dict[str, int]) -> dict[str, Any]:
        return {
            "node": "n1",
            "incarnation": 1,
            "seq": seq,
            "mono_ns": at_ms * MS,
            "event": "config",
            "index": seq,
            "voters": voters,
        }

    four = {"n1": 1, "n2": 1, "n3": 1, "n4": 1}
    clocks = {"n1": (0, 1)}
    for back_ms, verdict in ((950, Verdict.INVALID), (2_050, Verdict.UNKNOWN)):
        lines = [
            start("n1", dict.fromkeys(NODES, 1)),
            config(1, 500, four),
            config(2, back_ms, dict.fromkeys(NODES, 1)),
        ]
        assert judge(record(*FAILING, traces={"n1": lines}, clock_offsets_ns=clocks)).verdict is verdict


def test_a_whole_core_is_blamed():
    traces = {name: [start(name, dict.fromkeys(NODES, 1))] for name in CORE}
    assert judge(record(*FAILING, traces=traces)).verdict is Verdict.INVALID


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ((), "no client of the core n1, n2 tried an operation"),
        ((op(1_100, 1_200, "ok", "n3"),), "no client of the core n1, n2 tried an operation"),
        ((op(1_100, 1_200, "fail"),), "not tried often enough"),
        ((op(1_900, 1_950, "ok"),), "not tried often enough"),
        ((op(1_100, 1_200, "ok"),), "no operation was tried after the time limit"),
    ],
)
def test_doubt_is_reported(rows, words):
    result = judge(record(*rows))
    assert result.verdict is Verdict.UNKNOWN and words in (result.reason or "")


def test_a_run_whose_ledger_names_no_core_cannot_be_judged():
    result = judge(record(*FINE, core=()))
    assert result.verdict is Verdict.UNKNOWN and "names the core" in (result.reason or "")
