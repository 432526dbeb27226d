"""Raft safety: one literal story for each violation, and beside it the near miss that is allowed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.checkers import Budget, CheckResult, RunRecord, Verdict
from tribulation.checkers.raft.log import EntryTree
from tribulation.checkers.raft.safety import RaftSafetyChecker

from .cluster_runs import run_cluster
from .tiny_raft import tiny_run
from .trace_book import BUDGET, Book, kinds


def check(record: RunRecord) -> CheckResult:
    return RaftSafetyChecker().check(record, BUDGET)


def verdict(book: Book, **more: Any) -> tuple[str, list[str]]:
    result = check(book.record(**more))
    for anomaly in result.anomalies:
        assert anomaly.explanation.endswith((".", ")")) and (anomaly.ops or anomaly.details["trace"]), anomaly
    return result.verdict.value, kinds(result)


def calm(upto: int = 2) -> Book:
    """n1 leads term 1 with n2; entries 1..upto are committed on n1 and n2, and applied on n1."""
    book = Book().boot_all()
    book.win("n1", 1, ["n1", "n2"])
    for index in range(1, upto + 1):
        book.replicate("n1", ["n2"], index, 1)
    return book


VALID = ("valid", [])


def test_a_calm_run_is_valid() -> None:
    result = check(calm().record())
    assert result.verdict is Verdict.VALID
    assert result.stats["elections"] == 1 and result.stats["commits"] == 2 and result.stats["applied"] == 2


# -- elections


def test_two_leaders_in_one_term() -> None:
    book = calm()
    book.win("n3", 1, ["n3"], last_index=0)
    verdict_, found = verdict(book)
    assert verdict_ == "invalid" and "two-leaders" in found and "elected-without-quorum" in found


def test_a_leader_of_a_later_term_is_no_second_leader() -> None:
    book = calm()
    book.win("n2", 2, ["n2", "n3"], last_index=2)
    assert verdict(book) == VALID


def test_a_node_elected_twice_in_one_term() -> None:
    book = calm()
    book.boot("n1", term=1, last=(2, 1), voted_for="n1", again=True)
    book.line("n1", "leader", term=1, last_index=2, votes=["n1", "n2"], voters=book.voters)
    assert verdict(book)[1] == ["two-leaders"]


def test_a_vote_for_two_candidates_across_a_restart() -> None:
    book = Book().boot_all()
    book.line("n3", "vote", term=1, candidate="n1")
    book.boot("n3", term=1, voted_for="n1", again=True)
    book.line("n3", "vote", term=1, candidate="n2")
    assert verdict(book)[1] == ["double-vote"]


def test_a_winner_counts_a_vote_that_went_to_another() -> None:
    book = Book().boot_all()
    book.line("n3", "vote", term=1, candidate="n2")
    book.line("n1", "leader", term=1, last_index=0, votes=["n1", "n3"], voters=book.voters)
    assert verdict(book)[1] == ["double-vote"]


def test_a_vote_that_its_own_disk_forgot() -> None:
    book = calm()
    book.boot("n2", term=1, last=(2, 1), voted_for=None, again=True)
    assert verdict(book)[1] == ["forgotten-vote"]


@pytest.mark.parametrize(("last", "expected"), [((3, 2), []), ((2, 1), ["forgotten-vote"])])
def test_a_vote_that_was_forgotten_openly(last: tuple[int, int], expected: list[str]) -> None:
    """n2 comes back without its vote of term 2, says so, and is made whole by that term's leader: with an entry of term 2 in its log it refuses
    every other candidate of the term. Without one it could vote again."""
    book = calm()
    book.line("n2", "term", term=2)
    book.line("n2", "vote", term=2, candidate="n2")
    book.boot("n2", term=1, last=(2, 1), voted_for=None, again=True, torn=True)
    book.line("n3", "leader", term=2, last_index=2, votes=["n1", "n3"], voters=book.voters)
    book.append("n3", (3, 2))
    book.line("n2", "term", term=2)
    if last[1] == 2:
        book.append("n2", (3, 2))
    book.boot("n2", term=2, last=last, voted_for=None, again=True)
    assert verdict(book)[1] == expected


def test_a_vote_whose_line_was_lost_proves_nothing() -> None:
    """n2 was killed right after it voted: its `vote` line is gone, and its disk knows the vote."""
    book = calm()
    book.lines["n2"] = [line for line in book.lines["n2"] if line["event"] == "start"]
    book.boot("n2", term=1, last=(2, 1), voted_for="n1", again=True)
    book.lines["n2"][-1]["seq"] = 0
    assert verdict(book) == VALID


def test_a_torn_boot_may_forget() -> None:
    book = calm()
    book.boot("n2", term=0, last=(0, 0), voted_for=None, again=True, torn=True)
    assert verdict(book) == VALID


def test_a_term_that_goes_back_across_a_restart() -> None:
    book = calm()
    book.line("n3", "term", term=4)
    book.boot("n3", term=3, again=True)
    assert verdict(book)[1] == ["term-regressed"]


def test_what_a_boot_found_in_the_page_cache_may_be_gone_after_a_power_cut() -> None:
    """n3 was killed before its fsync of term 3, came back, and lost its power before it went on with that term."""
    book = calm()
    book.boot("n3", term=3, last=(2, 1), voted_for="n3", again=True)
    book.boot("n3", term=1, last=(2, 1), voted_for="n1", again=True)
    book.line("n3", "vote", term=3, candidate="n2")
    assert verdict(book) == VALID


def test_what_a_boot_found_counts_once_its_disk_was_synced() -> None:
    book = calm()
    book.boot("n3", term=3, last=(2, 1), voted_for="n3", again=True)
    book.line("n3", "durable", index=2, term=1)
    book.boot("n3", term=1, last=(2, 1), voted_for="n1", again=True)
    assert verdict(book)[1] == ["term-regressed"]


def test_votes_of_half_of_the_weight_elect_nobody() -> None:
    book = Book({"n1": 1, "n2": 1, "n3": 1, "n4": 1}).boot_all()
    book.win("n1", 1, ["n1", "n2"])
    assert verdict(book)[1] == ["elected-without-quorum"]


def test_the_preferred_node_at_weight_two_breaks_the_tie() -> None:
    book = Book({"n1": 2, "n2": 1, "n3": 1, "n4": 1}).boot_all()
    book.win("n1", 1, ["n1", "n2"])
    book.replicate("n1", ["n2"], 1, 1)
    assert verdict(book) == VALID


def test_a_repeated_vote_counts_once() -> None:
    book = Book().boot_all()
    book.line("n1", "leader", term=1, last_index=0, votes=["n1", "n1", "n1"], voters=book.voters)
    assert verdict(book)[1] == ["elected-without-quorum"]


def test_a_quorum_of_voters_that_nobody_configured() -> None:
    book = Book().boot_all()
    book.win("n1", 1, ["n1", "n2"], voters={"n1": 1, "n2": 1})
    assert verdict(book)[1] == ["wrong-voters"]


# -- logs


def test_one_entry_with_two_commands() -> None:
    book = calm()
    book.append("n3", (1, 1), crc=900)
    assert verdict(book)[1] == ["log-mismatch"]


def test_one_entry_after_two_histories() -> None:
    book = Book().boot_all()
    book.append("n1", (1, 1), (2, 3))
    book.append("n2", (1, 2), (2, 3))
    assert verdict(book)[1] == ["log-mismatch"]


def test_an_uncommitted_suffix_is_replaced() -> None:
    """n1's entries 3 and 4 reached nobody; n2 leads term 2 and replaces them."""
    book = calm()
    book.append("n1", (3, 1), (4, 1))
    book.win("n2", 2, ["n2", "n3"], last_index=2)
    book.append("n2", (3, 2))
    book.line("n1", "term", term=2)
    book.line("n1", "truncate", **{"from": 3})
    book.line("n1", "follower", term=2, leader="n2", reason="a later term")
    book.append("n1", (3, 2))
    assert verdict(book) == VALID


def test_a_leader_that_truncates_its_own_log() -> None:
    book = calm()
    book.line("n1", "truncate", **{"from": 2})
    book.append("n1", (2, 1))
    assert verdict(book)[1] == ["leader-truncated"]


def test_a_leader_that_overwrites_an_older_entry() -> None:
    book = calm()
    book.append("n2", (3, 1))
    book.win("n2", 2, ["n2", "n3"], last_index=3)
    book.append("n2", (3, 2))
    assert verdict(book)[1] == ["leader-overwrote", "log-mismatch"] or verdict(book)[1] == ["leader-overwrote"]


# -- leader completeness and commits


def test_a_leader_with_a_log_too_short() -> None:
    book = calm()
    book.win("n3", 2, ["n3", "n2"], last_index=0)
    verdict_, found = verdict(book)
    assert (verdict_, found) == ("invalid", ["leader-incomplete"])


def test_a_leader_with_other_entries_where_some_were_committed() -> None:
    """n3 wrote alone in term 2, long enough, and then wins term 3."""
    book = Book().boot_all()
    book.win("n3", 2, ["n3", "n2"])
    book.append("n3", (1, 2), (2, 2), (3, 2), crc=500)
    book.win("n1", 3, ["n1", "n2"])
    book.replicate("n1", ["n2"], 1, 3)
    book.win("n3", 4, ["n3", "n2"], last_index=3)
    assert verdict(book)[1] == ["leader-incomplete"]


def test_a_commit_of_an_older_term_by_counting() -> None:
    """Figure 8: n1 leads term 3 and counts replicas of an entry of term 1."""
    book = calm()
    book.append("n1", (3, 1))
    book.line("n1", "follower", term=2, leader=None, reason="a later term")
    book.win("n1", 3, ["n1", "n2"], last_index=3)
    book.append("n2", (3, 1))
    book.durable("n2", 3, 1)
    book.commit("n1", 3, 3, {"n1": 3, "n2": 3, "n3": 0})
    assert verdict(book)[1] == ["commit-of-old-term"]


@pytest.mark.parametrize(("term", "expected"), [(None, []), (3, ["commit-of-old-term"]), (1, [])])
def test_a_commit_without_its_election_is_of_the_term_that_it_names(term: int | None, expected: list[str]) -> None:
    """The line of n1's election was lost with an earlier one, so nobody knows which term it leads."""
    book = calm()
    book.boot("n1", term=3, last=(2, 1), voted_for="n1", again=True)
    book.append("n1", (3, 1))
    book.append("n2", (3, 1))
    for node in ("n1", "n2"):
        book.durable(node, 3, 1)
    book.line("n1", "commit", index=3, match={"n1": 3, "n2": 3}, voters=book.voters, **({"term": term} if term else {}))
    assert verdict(book)[1] == expected


@pytest.mark.parametrize("last", [0, 2])
def test_a_leader_commits_what_its_log_does_not_have(last: int) -> None:
    book = calm(last)
    index = last + 1
    book.commit("n1", index, 1, {"n1": index, "n2": index, "n3": 0})
    assert "commit-beyond-log" in verdict(book)[1]


def test_a_commit_of_one_of_three() -> None:
    book = calm()
    book.append("n1", (3, 1))
    book.durable("n1", 3, 1)
    book.commit("n1", 3, 1, {"n1": 3, "n2": 2, "n3": 0})
    assert verdict(book)[1] == ["commit-without-quorum"]


def test_a_commit_that_counts_a_node_which_wrote_it_later() -> None:
    book = calm()
    book.append("n1", (3, 1))
    book.durable("n1", 3, 1)
    book.commit("n1", 3, 1, {"n1": 3, "n2": 3, "n3": 0})
    book.append("n2", (3, 1))
    assert verdict(book)[1] == ["commit-before-written"]


def test_a_commit_that_counts_a_node_whose_lines_are_missing_proves_nothing() -> None:
    """The line before which n2's trace has a gap is the one that would have said that it wrote entry 3."""
    book = calm()
    book.append("n1", (3, 1))
    book.durable("n1", 3, 1)
    book.commit("n1", 3, 1, {"n1": 3, "n2": 3, "n3": 0})
    book._places["n2"][1] += 1
    book.line("n2", "durable", index=2, term=1)
    result = check(book.record())
    assert (result.verdict, kinds(result)) == (Verdict.UNKNOWN, [])


def test_a_leader_that_is_in_nobodys_match_counts_itself() -> None:
    """It has the entry that it commits, and is a voter: two of three."""
    book = calm()
    book.append("n1", (3, 1))
    book.durable("n1", 3, 1)
    book.append("n2", (3, 1))
    book.durable("n2", 3, 1)
    book.commit("n1", 3, 1, {"n2": 3, "n3": 0})
    assert verdict(book) == VALID
    book.commit("n1", 3, 1, {"n1": 2, "n2": 3, "n3": 0})
    assert verdict(book)[1] == ["commit-without-quorum"]


def test_an_order_within_the_error_of_the_clocks_is_no_proof() -> None:
    book = calm()
    book.offsets = {name: (0, 3_000_000) for name in book.voters}
    book.append("n1", (3, 1))
    book.durable("n1", 3, 1)
    book.commit("n1", 3, 1, {"n1": 3, "n2": 3, "n3": 0})
    book.append("n2", (3, 1))
    assert verdict(book) == VALID


def test_a_follower_that_lost_its_last_lines_proves_nothing() -> None:
    """n2 was killed with the `append` of entry 3 in its buffer, and boots with the entry on its disk."""
    book = calm()
    book.append("n1", (3, 1))
    book.durable("n1", 3, 1)
    book.commit("n1", 3, 1, {"n1": 3, "n2": 3, "n3": 0})
    book.boot("n2", term=1, last=(3, 1), voted_for="n1", again=True)
    assert verdict(book) == VALID


@pytest.mark.parametrize(("upto", "says"), [(1, "does not reach that far"), (2, "has an entry of term 2 there")])
def test_a_later_commit_without_what_an_earlier_one_had(upto: int, says: str) -> None:
    """n3 commits in term 2 from an empty log; the line of its election was lost."""
    book = calm()
    for node in ("n3", "n2"):
        book.boot(node, term=2, last=(0, 0), torn=node == "n2", again=True)
        book.append(node, *((index, 2) for index in range(1, upto + 1)), crc=500)
        book.durable(node, upto, 2)
    book.commit("n3", upto, 2, {"n3": upto, "n2": upto})
    result = check(book.record())
    (anomaly,) = [one for one in result.anomalies if one.kind == "committed-entry-lost"]
    assert anomaly.details["index"] == 2 and says in anomaly.explanation
    assert [(line["node"], line["event"]) for line in anomaly.details["trace"]] == [("n1", "commit"), ("n3", "commit")]


def test_a_vote_that_a_boot_found_on_its_disk_counts_against_another() -> None:
    book = Book().boot_all()
    book.boot("n3", term=3, voted_for="n2", again=True)
    book.line("n1", "leader", term=3, last_index=0, votes=["n1", "n3"], voters=book.voters)
    assert verdict(book)[1] == []
    book.line("n3", "durable", index=0, term=3)
    assert verdict(book)[1] == ["double-vote"]


def test_a_follower_whose_lines_are_missing_may_have_said_that_it_lost_its_tail() -> None:
    book = calm()
    book._places["n2"][1] += 1
    book.line("n2", "quorum")
    book.boot("n2", term=1, last=(1, 1), voted_for="n1", again=True)
    assert verdict(book)[1] == []


def test_a_follower_that_boots_without_what_it_acknowledged() -> None:
    book = calm()
    book.boot("n2", term=1, last=(1, 1), voted_for="n1", again=True)
    assert verdict(book)[1] == ["acknowledged-entry-lost"]


def test_a_torn_follower_may_have_lost_it_to_its_disk() -> None:
    book = calm()
    book.boot("n2", term=1, last=(1, 1), voted_for="n1", again=True, torn=True)
    assert verdict(book) == VALID


# -- state machines


def test_two_entries_applied_at_one_index() -> None:
    book = calm()
    op = book.op("write", 0, 50, value=7, log_index=2, term=1, served_by="n1")
    book.apply("n2", (1, 1), (2, 1), crc=900)
    result = check(book.record())
    assert "applied-differently" in kinds(result)
    assert next(a for a in result.anomalies if a.kind == "applied-differently" and a.details["index"] == 2).ops == (op,)


def test_what_was_committed_is_not_what_was_applied() -> None:
    """n1 commits its entry 1 of term 1; n3, which nobody told, applies one of term 2 there."""
    book = Book().boot_all()
    book.win("n1", 1, ["n1", "n2"])
    for node in ("n1", "n2"):
        book.append(node, (1, 1))
        book.durable(node, 1, 1)
    book.commit("n1", 1, 1, {"n1": 1, "n2": 1, "n3": 0})
    book.append("n3", (1, 2), crc=500)
    book.apply("n3", (1, 2), crc=500)
    result = check(book.record())
    assert "applied-uncommitted" in kinds(result)
    (anomaly,) = [a for a in result.anomalies if a.kind == "applied-uncommitted"]
    assert anomaly.details["index"] == 1
    assert [(line["node"], line["event"]) for line in anomaly.details["trace"]] == [("n1", "commit"), ("n3", "apply")]


def test_an_entry_is_skipped() -> None:
    book = calm(4)
    for index in (1, 2, 3, 4):
        book.append("n3", (index, 1))
    book.apply("n3", (1, 1), (3, 1))
    book.durable("n3", 4, 1)
    assert verdict(book)[1] == ["apply-gap"]


def test_a_snapshot_explains_a_jump_even_when_its_line_comes_late() -> None:
    book = calm(4)
    book.line("n3", "snapshot-installed", index=2, term=1, digest="d2")
    book.append("n3", (3, 1), (4, 1))
    book.apply("n3", (3, 1))
    book.durable("n3", 4, 1)
    early, late = book.lines["n3"][1], book.lines["n3"][2:]
    assert verdict(book) == VALID
    book.lines["n3"] = [book.lines["n3"][0], *late[:2], early, *late[2:]]
    for seq, line in enumerate(book.lines["n3"]):
        line["seq"] = seq
    assert verdict(book) == VALID


def test_a_jump_at_the_lost_end_of_a_trace_proves_nothing() -> None:
    book = calm(4)
    book.apply("n3", (3, 1))
    assert verdict(book) == VALID


def test_an_entry_is_applied_twice() -> None:
    book = calm()
    book.apply("n1", (2, 1))
    assert verdict(book)[1] == ["applied-again"]


def test_a_restart_applies_again_from_its_snapshot() -> None:
    book = calm(3)
    book.boot("n1", term=1, last=(3, 1), voted_for="n1", snapshot_index=1, again=True)
    book.apply("n1", (2, 1), (3, 1))
    assert verdict(book) == VALID


def test_states_that_differ_after_the_same_log() -> None:
    book = calm()
    book.line("n1", "digest", index=2, digest="aa")
    book.line("n2", "digest", index=2, digest="bb")
    assert verdict(book)[1] == ["state-diverged"]


def test_digests_of_two_schemes_are_not_compared() -> None:
    """Nodes of two releases."""
    book = calm()
    book.line("n1", "digest", index=2, digest="aa")
    book.line("n2", "digest", index=2, digest="2:bb")
    assert verdict(book) == VALID


# -- configurations


def _configure(book: Book, node: str, index: int, voters: dict[str, int], term: int = 1) -> None:
    book.line(node, "config", index=index, voters=voters)
    book.append(node, (index, term))


def test_one_weight_step_an_entry() -> None:
    book = calm()
    _configure(book, "n1", 3, {"n1": 2, "n2": 1, "n3": 1})
    assert verdict(book) == VALID


def test_two_weights_in_one_entry() -> None:
    """Growing 4 to 5 while the tiebreak goes away: two disjoint quorums, and the witness names them."""
    book = Book({"n1": 2, "n2": 1, "n3": 1, "n4": 1}).boot_all()
    book.win("n1", 1, ["n1", "n2"])
    book.replicate("n1", ["n2"], 1, 1)
    _configure(book, "n1", 2, {"n1": 1, "n2": 1, "n3": 1, "n4": 1, "n5": 1})
    result = check(book.record())
    assert kinds(result) == ["config-step"]
    first, second = result.anomalies[0].details["disjoint_quorums"]
    assert not set(first) & set(second)


@pytest.mark.parametrize("gap", [False, True])
def test_a_configuration_that_may_be_gone_before_its_entry_is_written_is_no_step(gap: bool) -> None:
    """n3 adopted what would have been two steps at once, and then took another entry 3: its trace says so, or has a gap there."""
    book = calm()
    book.append("n3", (1, 1), (2, 1))
    book.line("n3", "config", index=3, voters={"n1": 3, "n2": 1, "n3": 1})
    if gap:
        book._places["n3"][1] += 2
    else:
        book.line("n3", "truncate", **{"from": 3})
        book.line("n3", "config", index=0, voters=book.voters)
    book.append("n3", (3, 1))
    assert verdict(book)[1] == []


def test_a_second_configuration_before_the_first_is_committed() -> None:
    book = calm()
    _configure(book, "n1", 3, {"n1": 2, "n2": 1, "n3": 1})
    _configure(book, "n1", 4, {"n1": 2, "n2": 2, "n3": 1})
    assert verdict(book)[1] == ["config-too-early"]


def test_a_configuration_before_an_entry_of_the_own_term_is_committed() -> None:
    book = Book().boot_all()
    book.win("n1", 1, ["n1", "n2"])
    book.append("n1", (1, 1))
    _configure(book, "n1", 2, {"n1": 2, "n2": 1, "n3": 1})
    assert verdict(book)[1] == ["config-too-early"]


def test_a_follower_may_write_two_configurations_at_once() -> None:
    book = calm()
    book.append("n3", (1, 1), (2, 1))
    book.line("n3", "config", index=3, voters={"n1": 2, "n2": 1, "n3": 1})
    book.line("n3", "config", index=5, voters={"n1": 3, "n2": 1, "n3": 1})
    book.append("n3", (3, 1), (4, 1), (5, 1))
    assert verdict(book) == VALID


@pytest.mark.parametrize(("term", "expected"), [(1, []), (3, ["commit-beyond-log"])])
def test_a_snapshot_of_what_is_in_the_log_leaves_the_rest_of_it(term: int, expected: list[str]) -> None:
    """n1 has entries 1 to 3. One of its own entry 1 changes nothing; one of another entry 1 replaces the log."""
    book = calm()
    book.append("n1", (3, 1))
    book.durable("n1", 3, 1)
    book.append("n2", (3, 1))
    book.durable("n2", 3, 1)
    book.line("n1", "snapshot-installed", index=1, term=term, digest=None)
    book.commit("n1", 3, 1, {"n1": 3, "n2": 3, "n3": 0})
    assert [kind for kind in verdict(book)[1] if kind == "commit-beyond-log"] == expected


def test_a_snapshot_may_jump_over_configurations() -> None:
    book = calm()
    book.line("n3", "config", index=9, voters={"n1": 3, "n2": 2, "n3": 1})
    book.line("n3", "snapshot-installed", index=9, term=1, digest="d")
    book.append("n3", (10, 1))
    assert verdict(book) == VALID


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
