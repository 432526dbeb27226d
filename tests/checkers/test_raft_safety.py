"""Raft safety: one literal story for each violation, and next to it the near miss that is allowed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.checkers import Budget, RunRecord, Verdict
from tribulation.checkers import check as check_all
from tribulation.checkers.raft.safety import RaftSafetyChecker
from tribulation.checkers.raft.structures.log import EntryTree

from .cluster_runs import run_cluster
from .raft_stories import calm, check, verdict
from .tiny_raft import tiny_run
from .trace_book import Book, kinds


def test_a_calm_run_is_valid() -> None:
    result = check(calm().record())
    assert result.verdict is Verdict.VALID
    assert result.stats["elections"] == 1 and result.stats["commits"] == 2 and result.stats["applied"] == 2


# -- doubt


def test_without_traces_nothing_is_known() -> None:
    assert not RaftSafetyChecker().applies(Book().record())
    assert check(Book().record()).verdict is Verdict.UNKNOWN


def test_nodes_that_only_booted_prove_nothing() -> None:
    result = check(Book().boot_all().record())
    assert result.verdict is Verdict.UNKNOWN and "no leader" in (result.reason or "")


def test_lines_missing_inside_are_a_doubt_but_hide_no_contradiction() -> None:
    book = calm()
    del book.lines["n2"][2]
    assert verdict(book) == ("unknown", [])
    book.apply("n3", (1, 1), (2, 1), crc=900)
    assert verdict(book)[0] == "invalid"


def test_what_the_walk_proves_is_found_by_whichever_checker_comes_first() -> None:
    """Both read one survey of the traces."""
    book = calm()
    book.line("n2", "vote", term=1, candidate="n3")
    for names in (["raft-safety", "split-brain"], ["split-brain", "raft-safety"]):
        found = check_all(book.record(), names)["raft-safety"]
        assert (found.verdict.value, kinds(found)) == ("invalid", ["double-vote"]), names
        assert found.stats["violations"] == {"double-vote": 1}


def test_a_broken_trace_is_unknown_with_its_place() -> None:
    book = calm()
    del book.lines["n2"][1]["term"]
    result = check(book.record())
    assert result.verdict is Verdict.UNKNOWN and "trace of n2, line 2" in (result.reason or "")


def test_a_spent_budget_is_unknown() -> None:
    result = RaftSafetyChecker().check(tiny_run(3, steps=2000), Budget(time_s=0.0))
    assert result.verdict is Verdict.UNKNOWN and "budget" in (result.reason or "")


# -- many runs


@given(st.integers(0, 10**9), st.integers(3, 5), st.booleans())
def test_correct_runs_with_lost_lines_are_never_invalid(seed: int, nodes: int, lose_lines: bool) -> None:
    result = check(tiny_run(seed, nodes=nodes, lose_lines=lose_lines))
    assert result.verdict is not Verdict.INVALID, result.anomalies


def _lines(record: RunRecord, event: str) -> list[Any]:
    return [line for lines in record.traces.values() for line in lines if line["event"] == event]


def _change_crc(record: RunRecord, event: str) -> bool:
    counts: dict[tuple[int, int], int] = {}
    for line in _lines(record, event):
        for entry in line["entries"]:
            counts[entry[0], entry[1]] = counts.get((entry[0], entry[1]), 0) + 1
    for line in _lines(record, event):
        for entry in line["entries"]:
            if counts[entry[0], entry[1]] > 1:
                entry[2] += 10**6
                return True
    return False


def _second_leader(record: RunRecord) -> bool:
    leaders = _lines(record, "leader")
    for line in leaders:
        others = [other for other in leaders if other["node"] != line["node"]]
        if others:
            others[0]["term"] = line["term"]
            return True
    return False


def _fewer_votes(record: RunRecord) -> bool:
    for line in _lines(record, "leader"):
        if len(line["voters"]) > 2 and line["voters"].get(line["node"], 0) <= 1:
            line["votes"] = [line["node"]]
            return True
    return False


def _lower_match(record: RunRecord) -> bool:
    for line in _lines(record, "commit"):
        line["match"] = dict.fromkeys(line["match"], line["index"] - 1)
        return True
    return False


def _shorter_leader(record: RunRecord) -> bool:
    commits = [line for line in _lines(record, "commit") if line["index"] > 1]
    for line in _lines(record, "leader"):
        earlier = [commit for commit in commits if commit["term"] < line["term"]]
        if earlier:
            line["last_index"] = earlier[0]["index"] - 1
            return True
    return False


def _other_vote(record: RunRecord) -> bool:
    leaders = {line["term"]: line for line in _lines(record, "leader")}
    for line in _lines(record, "vote"):
        winner = leaders.get(line["term"])
        if winner is not None and line["node"] in winner["votes"]:
            line["candidate"] = "n9"
            return True
    return False


MUTATIONS: list[Callable[[RunRecord], bool]] = [
    lambda record: _change_crc(record, "append"),
    lambda record: _change_crc(record, "apply"),
    _second_leader,
    _fewer_votes,
    _lower_match,
    _shorter_leader,
    _other_vote,
]


@pytest.mark.parametrize("mutate", MUTATIONS)
def test_a_mutated_run_is_caught(mutate: Callable[[RunRecord], bool]) -> None:
    caught = 0
    for seed in range(25):
        record = tiny_run(seed, steps=250)
        if mutate(record):
            assert check(record).verdict is Verdict.INVALID, f"seed {seed}"
            caught += 1
    assert caught >= 3


def test_the_real_core_under_faults_is_accepted() -> None:
    record = run_cluster(7, seconds=6, clients=3, snapshot_threshold=100)
    result = check(record)
    assert result.verdict is Verdict.VALID, (result.reason, result.anomalies)
    assert result.stats["elections"] >= 2 and result.stats["commits"] > 50


def test_a_core_that_commits_alone_is_caught() -> None:
    result = check(run_cluster(101, seconds=6, clients=3, flaws=["ack-before-majority"]))
    assert "commit-without-quorum" in kinds(result)


def test_time_grows_with_the_entries_and_no_faster() -> None:
    """200 000 entries in lines of 20; a million take about one and a half seconds of an idle core."""
    book = Book().boot_all()
    book.win("n1", 1, ["n1", "n2"])
    for first in range(1, 40_001, 20):
        entries = [(index, 1) for index in range(first, first + 20)]
        for node in book.voters:
            book.append(node, *entries)
            book.durable(node, first + 19, 1)
        book.commit("n1", first + 19, 1, dict.fromkeys(book.voters, first + 19))
        for node in ("n1", "n2"):
            book.apply(node, *entries)
    record = book.record()
    began_s = time.process_time()
    result = check(record)
    assert result.verdict is Verdict.VALID and result.stats["entries"] == 40_000
    assert time.process_time() - began_s < 5


# -- the tree of entries


@given(st.lists(st.lists(st.integers(1, 4), max_size=8).map(sorted), min_size=1, max_size=4))
def test_the_tree_answers_as_whole_logs_do(logs: list[list[int]]) -> None:
    """Logs are lists of terms. Whatever the tree answers for a log that agrees with all others is what that log holds."""
    tree = EntryTree()
    for log in logs:
        for index, term in enumerate(log, start=1):
            tree.add(index, term, 0, log[index - 2] if index > 1 else 0)
    if tree.conflicts:
        return
    for log in logs:
        for index in range(1, len(log) + 1):
            assert tree.term_at(len(log), log[-1], index) == log[index - 1]
        assert tree.term_at(len(log), log[-1] if log else 0, len(log) + 1) is None


def test_the_tree_guesses_nothing_about_lost_beginnings() -> None:
    tree = EntryTree()
    tree.add(10, 3, 0, None)
    tree.add(11, 3, 0, 3)
    assert tree.term_at(11, 3, 10) == 3
    assert tree.term_at(11, 3, 9) is None
