"""Raft safety, state machines and configurations: one literal story for each violation, with the near miss."""

from __future__ import annotations

import pytest

from .raft_stories import VALID, calm, check, verdict
from .trace_book import THREE, Book, kinds

# -- state machines


def test_two_entries_applied_at_one_index() -> None:
    book = calm()
    op = book.op("write", 0, 50, value=7, log_index=2, term=1, served_by="n1")
    book.apply("n2", (1, 1), (2, 1), crc=900)
    result = check(book.record())
    assert "applied-differently" in kinds(result)
    assert next(a for a in result.anomalies if a.kind == "applied-differently" and a.details["index"] == 2).ops == (op,)


def test_what_was_committed_is_not_what_was_applied() -> None:
    """n1 commits its entry 1 of term 1; n3, which received nothing of it, applies one of term 2 there."""
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


def test_a_snapshot_of_what_was_applied_takes_nothing_back() -> None:
    book = calm()
    book.line("n1", "snapshot-installed", index=1, term=1, digest=None)
    book.replicate("n1", ["n2"], 3, 1)
    book.replicate("n1", ["n2"], 4, 1)
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


NEW = {"n1": 1, "n2": 2, "n3": 1}
WRONG = ("invalid", ["wrong-voters"])


@pytest.mark.parametrize(("voters", "expected"), [(NEW, VALID), (THREE, VALID), ({"n1": 1, "n2": 3, "n3": 1}, WRONG)])
def test_a_node_that_booted_from_a_snapshot_counts_by_a_configuration_that_others_adopted(
    voters: dict[str, int], expected: tuple[str, list[str]]
) -> None:
    """Its own trace does not show which one was in the snapshot. Both its election and its commit count by it."""
    book = calm()
    _configure(book, "n1", 3, NEW)
    book.append("n2", (3, 1))
    for node in ("n1", "n2"):
        book.durable(node, 3, 1)
    book.commit("n1", 3, 1, {"n1": 3, "n2": 3, "n3": 0}, voters=NEW)
    book.line("n3", "snapshot-installed", index=3, term=1, digest=None)
    book.win("n3", 2, ["n2", "n3"], last_index=3, voters=voters)
    for node in ("n2", "n3"):
        book.append(node, (4, 2))
        book.durable(node, 4, 2)
    book.commit("n3", 4, 2, {"n1": 0, "n2": 4, "n3": 4}, voters=voters)
    assert verdict(book) == expected
    count = check(book.record()).stats["violations"].get("wrong-voters", 0)
    assert count == (0 if expected == VALID else 2)


@pytest.mark.parametrize("booted", [False, True])
@pytest.mark.parametrize(("voters", "expected"), [(THREE, VALID), (NEW, WRONG)])
def test_a_configuration_that_was_truncated_is_in_force_no_more(
    voters: dict[str, int], expected: tuple[str, list[str]], booted: bool
) -> None:
    """Where a boot had found it, it may be the one before: both are possible then."""
    book = calm()
    book.append("n3", (1, 1), (2, 1))
    _configure(book, "n3", 3, NEW)
    if booted:
        book.boot("n3", term=1, last=(3, 1), again=True, voters=NEW)
        expected = VALID
    book.win("n2", 2, ["n2", "n3"], last_index=2)
    book.line("n3", "truncate", **{"from": 3})
    book.append("n3", (3, 2))
    book.append("n2", (3, 2))
    book.win("n3", 3, ["n2", "n3"], last_index=3, voters=voters)
    assert verdict(book) == expected
