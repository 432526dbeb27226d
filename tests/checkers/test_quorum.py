"""The quorum guarantees Q1 to Q4: each violation as a literal story, each near miss next to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tribulation.checkers import Fault, RunRecord, Verdict
from tribulation.checkers.quorum.checker import QuorumChecker
from tribulation.histories import Type

from .cluster_runs import run_cluster
from .quorum_stories import check, reading, untraced
from .tiny_raft import TICK_NS, tiny_run
from .trace_book import Book, kinds

# -- doubt


def test_without_writes_it_does_not_apply() -> None:
    book = Book()
    book.op("read", 0, 10)
    assert not QuorumChecker().applies(book.record(traces={}))
    assert untraced(book).verdict is Verdict.UNKNOWN


def test_a_run_in_which_nothing_succeeded_is_unknown() -> None:
    book = Book()
    book.op("write", 0, 10, kind="fail", error="no-quorum", value=1)
    assert untraced(book).verdict is Verdict.UNKNOWN


def test_without_traces_and_weights_nothing_is_known() -> None:
    book = Book()
    book.op("write", 0, 10, value=1)
    record = book.record(traces={}, voters={})
    assert not QuorumChecker().applies(record) and check(record).verdict is Verdict.UNKNOWN


def test_missing_lines_are_a_doubt() -> None:
    book = reading()
    del book.lines["n2"][1]
    assert check(book.record()).verdict is Verdict.UNKNOWN


# -- many runs


@given(st.integers(0, 10**9), st.integers(3, 5), st.booleans())
def test_correct_runs_with_lost_lines_are_never_invalid(seed: int, nodes: int, lose_lines: bool) -> None:
    result = check(tiny_run(seed, nodes=nodes, lose_lines=lose_lines))
    assert result.verdict is not Verdict.INVALID, result.anomalies


def _ok(record: RunRecord, f: str) -> list[Any]:
    return [op for op in record.history.operations() if op.f == f and op.type is Type.OK]


def test_runs_whose_confirmations_are_taken_out_are_caught() -> None:
    caught = 0
    for seed in range(25):
        record = tiny_run(seed, steps=250, lose_lines=False)
        reads = [op for op in _ok(record, "read") if (op.complete_ns or 0) < record.phases["end"] - 100 * TICK_NS]
        if not reads:
            continue
        for lines in record.traces.values():
            for line in lines:
                if line["event"] == "read-confirmed":
                    line["event"] = "was-confirmed"
        result = check(record)
        assert result.verdict is Verdict.INVALID or result.stats["Q3"]["undecided"] >= len(reads), f"seed {seed}"
        caught += result.verdict is Verdict.INVALID
    assert caught >= 3


def test_runs_with_a_false_ledger_are_caught() -> None:
    """A kill of everybody that did not hinder a write: either the ledger or the cluster lies."""
    caught = 0
    for seed in range(25):
        record = tiny_run(seed, steps=250)
        for op in _ok(record, "write")[:1]:
            window = op.invoke_ns, (op.complete_ns or 0) + 1
            fault = Fault(
                "k", "kill", {"nodes": list(record.nodes)}, None, True, window[0], window[0], window[1], window[1]
            )
            assert "Q2-write-without-quorum" in kinds(check(replace(record, faults=[fault]))), f"seed {seed}"
            caught += 1
    assert caught >= 3


def test_the_real_core_under_faults_is_accepted() -> None:
    result = check(run_cluster(15, seconds=6, clients=3))
    assert result.verdict is Verdict.VALID, (result.reason, result.anomalies)
    assert result.stats["Q1"]["proven"] > 50 and result.stats["Q3"]["confirmed"] > 50


def test_a_core_that_reads_without_asking_is_caught() -> None:
    result = check(run_cluster(100, seconds=4, clients=3, flaws=["stale-read-from-deposed-leader"]))
    assert "Q3-unconfirmed-read" in kinds(result)
