"""Linearizability as stories: each history small enough to judge by eye, with the word a person would use for what is wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tribulation.checkers import Budget, CheckResult, RunRecord, Verdict, checker
from tribulation.histories import Event, History, Type, parse

from .busy_clients import busy_register


def judge(history: str | History, budget: Budget | None = None) -> CheckResult:
    found = parse(history) if isinstance(history, str) else history
    return checker("linearizable").check(RunRecord(history=found), budget or Budget())


@pytest.mark.parametrize(
    "text",
    [
        "p0 w1 p1 r1",
        "p0 w1 | p1 r_",
        "p0 w1 | p1 r1",
        "p0 w1 | p1 w2 p2 r1",
        "p0 w1 | p1 w2 p2 r2",
        "p0[w1 p1 r_ p1 r1 p0]",
        "p0 w1? p1 r_ p1 r1",  # a write of unknown outcome may act late
        "p0 w1? p1 r_ p1 r_",  # or never
        "p0 w1 p0 c1>2 p0 c2>3 p1 r3",
        "p0 w1 p0 c5>2! p1 r1",
        "p0 w1 p0 c5>2!1 p1 r1",
        "p0 c_>1? p1 c1>2? p2 r2",
        "p0 x:w1 p1 y:r_ p1 x:r1",  # keys are independent
        "p0 w1 p0 w2 p1 r1@stale p1 r2",  # a stale read is no evidence
        "p0 w1! p1 r_",
        "p0 w1 p0 w2 p0 w1 p1 r1",  # values that are not unique
        "p0 w1 p0 c2>3! p0 w1 p1 r1",
        "p0 l p0 u p1 l",
        "p0[l p1 l p1 u p0]",
        "p0 +1 | p1 +2 p2 s2,1 p2 s2,1",
        "p0[a1 p1 a2 p2 s2 p0] p2 s1,2",
        "p0 a1? p1 s p1 s1",
        "p0 a1 p0 a1 p1 s1",  # the same element twice
    ],
)
def test_linearizable(text):
    result = judge(text)
    assert (result.verdict, result.anomalies, result.reason) == (Verdict.VALID, (), None)


@pytest.mark.parametrize(
    ("text", "kind", "ops"),
    [
        ("p0 w1 p0 w2 p1 r2 p1 r1", "stale-read", (0, 2, 6)),
        ("p0 w1 p0 w2 p1 r1 p2 r2", "stale-read", (0, 2, 4)),
        ("p0 w1 p0 w2 p1 r1 p2 r1", "lost-write", (0, 2, 6)),
        ("p0 w1 p1 r_", "lost-write", (0, 2)),
        ("p0 w1 p1 c_>2", "lost-update", (0, 2)),
        ("p0 w1 p1 c1>2 p2 c1>3", "lost-update", (2, 4)),
        ("p0 w1 p1 c1>2 p2 r1", "stale-read", (0, 2, 4)),
        ("p0 w1 | p1 w2 p2 r1 p2 r2 p2 r1", "non-monotonic-read", (0, 1, 6, 8)),
        ("p0 x:w1 p1 y:r7", "thin-air", (2,)),
        ("p0 w7! p1 r7", "aborted-read", (0, 2)),
        ("p0 r7 p1 w7", "future-read", (0, 2)),
        ("p0 c1>2 p1 c2>1", "cas-cycle", (0, 2)),
        ("p0 c1>2 | p1 c2>1", "cas-cycle", (0, 1)),
        ("p0 w1 p1 c1>2!1", "false-mismatch", (2,)),
        # values that are not unique: the general search and its proofs
        ("p0 w1 p0 w2 p0 w1 p1 r2", "stale-read", (4, 6)),
        ("p0 w1 p0 w2 p0 w1 p0 w2 p1 c1>5", "lost-update", (6, 8)),
        ("p0 w1 p0 w1 p1 r7", "thin-air", (4,)),
        ("p0 w1 p0 w1 p0 w7! p1 r7", "aborted-read", (4, 6)),
        # a mismatch that does not say what it saw: not 1, but there was nothing else
        ("p0 w1 p1 c1>2!", "false-mismatch", (0, 2)),
        ("p0 l p1 l", "double-acquire", (0, 2)),
        ("p0 u", "bad-release", (0,)),
        ("p0 +1 p1 s p1 s1", "stale-read", (0, 2)),
        ("p0 a1 p1 s p1 s1", "stale-read", (0, 2)),
        ("p0 a1 p1 s", "lost-write", (0, 2)),
        ("p0 a1 | p1 a2 p2 s1 | p3 s2", "incomparable-reads", (0, 1, 4, 5)),
        ("p0 s1 p1 a1", "future-read", (0, 2)),
        ("p2[s p0 a1 p1 a2 p2]2 p3 s1,2", "stale-read", (0, 1, 3)),
        ("p2[s p0 a1 p1 a2 p2]2", "lost-write", (0, 1, 3)),
    ],
)
def test_not_linearizable(text, kind, ops):
    result = judge(text)
    assert result.verdict is Verdict.INVALID
    (anomaly,) = result.anomalies
    assert (anomaly.kind, anomaly.ops) == (kind, ops)
    assert anomaly.explanation[0].isupper() or anomaly.explanation[0].isdigit()
    assert anomaly.explanation.endswith(".")


def test_a_stale_read_says_how_stale_and_where():
    """p3's read at n2 begins 4 ms after 2 was acknowledged."""
    history = parse("p0 k1:w1 p0 k1:w2 p1 k1:r2 p3[k1:r p3]1")
    events = [replace(event, node="n2") if event.process == 3 else event for event in history]
    (anomaly,) = judge(History(events)).anomalies
    assert anomaly.kind == "stale-read"
    assert anomaly.details["key"] == "k1"
    assert anomaly.details["staleness_ms"] == 3.0
    assert anomaly.explanation == (
        "On key k1, 2 replaced 1 by write of 2 by process 0 (index 2 to 3, 0.002 s to 0.003 s). But read of 1 by process 3 at n2 "
        "(index 6 to 7, 0.006 s to 0.007 s), which began 3 ms later, still saw 1."
    )


def test_every_bad_key_is_reported_and_good_ones_counted():
    result = judge("p0 a:w1 p0 a:r_  p0 b:w1 p0 b:r1  p0 c:w1 p0 c:w2 p0 c:r1")
    assert {anomaly.details["key"] for anomaly in result.anomalies} == {"a", "c"}
    assert result.stats["keys"] == 3
    assert result.stats["verdicts"] == {"a": "invalid", "b": "valid", "c": "invalid"}


def test_nothing_to_judge_is_unknown():
    for text in ("p0 w1! p1 w2?", "p0 r1@stale"):
        assert judge(text).verdict is Verdict.UNKNOWN


def test_a_mismatch_may_carry_the_results_of_its_transaction():
    """`observed: [1]` is what the reference cluster's reply holds: the register was 1, so after w2 that is stale."""
    events = [
        *parse("p0 w1 p0 w2"),
        Event(4, 4, 1, Type.INVOKE, "cas", [5, 6]),
        Event(5, 5, 1, Type.FAIL, "cas", [5, 6], error="mismatch", extra={"observed": [1]}),
    ]
    assert judge(History(events)).anomalies[0].kind in ("stale-read", "lost-write")
    events[-1] = replace(events[-1], extra={"observed": [2]})
    assert judge(History(events)).verdict is Verdict.VALID


def test_keys_of_two_workloads_are_two_objects():
    events = [replace(event, workload="a") for event in parse("p0 x:w1 p0 x:r1")]
    events += [replace(event, index=4 + event.index, workload="b") for event in parse("p1 x:r_")]
    assert judge(History(events)).verdict is Verdict.VALID


def test_transactions_are_one_object():
    """Two registers, written together: a reader must not see one without the other."""

    def txn(index: int, process: int, argument: list[object], result: list[object]) -> list[Event]:
        return [
            Event(index, index, process, Type.INVOKE, "txn", argument),
            Event(index + 1, index + 1, process, Type.OK, "txn", result),
        ]

    write = [["w", "x", 1], ["w", "y", 1]]
    asked = [["r", "x", None], ["r", "y", None]]
    whole = txn(0, 0, write, write) + txn(2, 1, asked, [["r", "x", 1], ["r", "y", 1]])
    assert judge(History(whole)).verdict is Verdict.VALID
    half = txn(0, 0, write, write) + txn(2, 1, asked, [["r", "x", 1], ["r", "y", None]])
    assert judge(History(half)).verdict is Verdict.INVALID


def test_contended_valid_histories_are_searched_in_few_configurations():
    """Twenty clients that never pause, values 0..4: the breadth of such a history is what a naive search drowns in."""
    result = judge(busy_register(seed=1, operations=3000, clients=20))
    assert result.verdict is Verdict.VALID
    assert result.stats["methods"] == {"search": 1}
    assert 0 < result.stats["peak_mb"] < 20


def test_a_planted_violation_in_a_long_contended_history_gets_a_short_proof():
    """In the middle, a read returns the value 9, which was written once, by the very first operation and a thousand events ago."""
    history = busy_register(seed=3, operations=2000, clients=10)
    shifted = [replace(event, index=event.index + 4) for event in history]
    reads = [event for event in shifted if event.f == "read" and event.type is Type.OK]
    wrong = reads[len(reads) // 2]
    process = 999_999
    first = [
        Event(0, 0, process, Type.INVOKE, "write", 9),
        Event(1, 0, process, Type.OK, "write", 9),
        Event(2, 0, process, Type.INVOKE, "write", None),
        Event(3, 0, process, Type.OK, "write", None),
    ]
    planted = History([*first, *(replace(event, value=9) if event is wrong else event for event in shifted)])
    result = judge(planted)
    assert result.verdict is Verdict.INVALID
    (anomaly,) = result.anomalies
    (read,) = [op for op in planted.operations() if op.complete_index == wrong.index]
    assert read.invoke_index in anomaly.ops
    assert len(anomaly.ops) <= 6
    assert "read of 9" in anomaly.explanation


@pytest.mark.parametrize("unknown", [0.0, 0.05])
def test_unique_values_need_no_search(unknown):
    """Tens of thousands of operations, some of unknown outcome."""
    result = judge(busy_register(seed=5, operations=20_000, clients=20, values=None, unknown=unknown))
    assert result.verdict is Verdict.VALID
    assert result.stats["methods"] == {"zones": 1}


def test_budgets_of_these_tests_count_processor_time():
    """A busy machine must not change what a test expects."""
    assert Budget().cpu


def test_a_time_budget_that_runs_out_is_unknown():
    result = judge(busy_register(seed=2, operations=5_000, clients=20), Budget(time_s=0.02))
    assert result.verdict is Verdict.UNKNOWN
    assert result.reason is not None and "the time budget of 0.02 s is exhausted" in result.reason


def test_a_memory_budget_that_runs_out_is_unknown_and_reports_how_far_it_got():
    """Room for the history itself and for a part of the search."""
    history = busy_register(seed=2, operations=14_000, clients=20)
    result = judge(history, Budget(memory_mb=6))
    assert result.verdict is Verdict.UNKNOWN
    (proven_to,) = result.stats["proven_to"].values()
    assert 1000 < proven_to < len(history)
    assert result.reason is not None
    assert "the memory budget of 6 MB is exhausted" in result.reason
    assert f"the operations before history index {proven_to} are linearizable" in result.reason
    assert judge(History(history.events[:proven_to])).verdict is Verdict.VALID


def test_undecided_keys_do_not_hide_decided_ones():
    """One key is too much for the budget; the small one is still judged, and its violation outranks the doubt."""
    big = busy_register(seed=2, operations=5_000, clients=20)
    small = [
        replace(event, index=event.index + len(big), process=f"s{event.process}", key="s")
        for event in parse("p0 w1 p1 r_")
    ]
    result = judge(History([*(replace(event, key="big") for event in big), *small]), Budget(time_s=30, memory_mb=1))
    assert result.verdict is Verdict.INVALID
    assert result.stats["verdicts"] == {"s": "invalid", "big": "unknown"}
    assert result.reason is not None and result.reason.startswith("1 of 2 keys undecided, 0 valid; big: ")


def test_a_history_in_which_nothing_happened_is_legal_if_somebody_says_what_it_is() -> None:
    refused = parse("p0 w1! p1 w2!")
    result = checker("linearizable").check(RunRecord(history=refused, options={"model": "register"}), Budget())
    assert (result.verdict, result.stats) == (Verdict.VALID, {"keys": 0, "operations": 0, "vacuous": True})
    assert checker("linearizable").check(RunRecord(history=refused), Budget()).verdict is Verdict.UNKNOWN


def test_a_cas_of_a_chain_had_returned_before_the_one_began_that_made_what_it_replaced() -> None:
    """1 to 2 to 3: two operations of the three prove it."""
    result = checker("linearizable").check(RunRecord(history=parse("p0 w1 p1 c2>3 p0 c1>2")), Budget())
    (anomaly,) = result.anomalies
    assert (anomaly.kind, anomaly.ops) == ("future-read", (2, 4))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("p0 w1 p0 w2 p1 r1", "lost-write"),
        ("p0 w1 p0 w2 p1 r1 p0 w3 p1 r3", "stale-read"),
        ("p0 w1 p0 w2 p1 r1 p1 r2", "stale-read"),
    ],
)
def test_an_old_answer_is_a_lost_write_only_if_all_later_answers_are_as_old(text: str, kind: str) -> None:
    result = checker("linearizable").check(RunRecord(history=parse(text)), Budget())
    assert [anomaly.kind for anomaly in result.anomalies] == [kind]


def test_auto_asks_it_of_transactions_only_where_there_is_more_than_these() -> None:
    def event(index: int, kind: Type, f: str, value: object, key: str | None) -> Event:
        return Event(index, index, index // 2, kind, f, value, key)

    txn = [event(n, kind, "txn", [["w", "x", 1]], None) for n, kind in enumerate((Type.INVOKE, Type.OK))]
    write = [event(n, kind, "write", 1, "k") for n, kind in enumerate((Type.INVOKE, Type.OK), start=2)]
    asked = checker("linearizable")
    assert not asked.in_auto(RunRecord(history=History(txn)))  # type: ignore[attr-defined]
    assert asked.in_auto(RunRecord(history=History([*txn, *write])))  # type: ignore[attr-defined]
