"""Raft safety, logs and commits: one literal story for each violation, with the near miss that is allowed."""

from __future__ import annotations

import pytest

from tribulation.checkers import Verdict

from .raft_stories import VALID, calm, check, verdict
from .trace_book import Book, kinds

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
    assert "follows entries of two different terms" in check(book.record()).anomalies[0].explanation


def test_an_uncommitted_suffix_is_replaced() -> None:
    """n1's entries 3 and 4 reached no node; n2 leads term 2 and replaces them."""
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


def test_a_leader_may_truncate_where_its_log_has_nothing() -> None:
    book = calm()
    book.line("n1", "truncate", **{"from": 3})
    book.append("n1", (3, 1))
    assert verdict(book) == VALID


def test_a_leader_commits_the_one_entry_that_it_truncated_as_a_follower() -> None:
    book = calm()
    book.append("n3", (1, 1), (2, 1), (3, 1))
    book.line("n3", "truncate", **{"from": 3})
    book.win("n3", 2, ["n2", "n3"], last_index=2)
    book.commit("n3", 3, 2, {"n1": 0, "n2": 3, "n3": 3})
    assert verdict(book)[1] == ["commit-beyond-log"]


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


def test_an_entry_that_was_overwritten_leaves_those_before_it_known() -> None:
    """n3 takes entry 3 of another term in place of its own, with no line of a truncation, and leads later."""
    book = calm()
    book.append("n3", (1, 1), (2, 1), (3, 1))
    book.append("n3", (3, 2))
    book.win("n3", 3, ["n2", "n3"], last_index=3)
    book.commit("n3", 2, 3, {"n1": 2, "n2": 2, "n3": 3})
    assert [(one.kind, one.details["index"]) for one in check(book.record()).anomalies] == [("commit-of-old-term", 2)]


@pytest.mark.parametrize(("term", "expected"), [(None, []), (3, ["commit-of-old-term"]), (1, [])])
def test_a_commit_without_its_election_is_of_the_term_that_it_names(term: int | None, expected: list[str]) -> None:
    """The line of n1's election was lost with an earlier one, so it is not known which term it leads."""
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
    assert check(book.record()).stats["undecided"] == {"commits": 1, "completeness": 0}
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
