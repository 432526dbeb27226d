"""Raft safety, elections: one literal story for each violation, with the near miss that is allowed."""

from __future__ import annotations

from typing import Any

import pytest

from tribulation.checkers import Verdict, check

from .raft_stories import VALID, calm, verdict
from .trace_book import Book, kinds

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


@pytest.mark.parametrize("votes", [[7], [["n1"]]])
def test_votes_that_are_no_names_of_nodes_hide_no_second_leader(votes: list[Any]) -> None:
    """The checker ended with an error at such a line of any host."""
    book = calm()
    book.win("n3", 1, ["n3"], last_index=0)
    book.line("n2", "leader", term=2, last_index=2, votes=votes, voters=book.voters)
    result = check(book.record(), ["raft-safety"])["raft-safety"]
    assert result.verdict is Verdict.INVALID and "two-leaders" in kinds(result)
