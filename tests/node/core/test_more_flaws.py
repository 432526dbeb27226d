"""Flaws of replication, clients and memory do their harm in a few literal steps, and the correct code does not."""

from __future__ import annotations

from typing import Any

import pytest

from tribulation.node.core.application.kv import KeyValue, Mismatch
from tribulation.node.core.interface.effects import FsyncDir
from tribulation.node.core.interface.entry import make_entry
from tribulation.node.core.interface.messages import AppendReply, PreVoteReply
from tribulation.node.core.memory.records.conflicts import Conflicts, conflicts_of
from tribulation.node.flaws.switch import Flaws

from .solo import Solo

THREE_OF_FIVE = {"n1": 1, "n2": 1, "n3": 1}


def flawed(flaw: str | None, **options: Any) -> Solo:
    return Solo(flaws=[flaw] if flaw else [], **options)


def noops(*terms: int, first: int = 1) -> tuple[Any, ...]:
    return tuple(make_entry(first + i, term, ["noop"]) for i, term in enumerate(terms))


def merge(flaw: str | None) -> Conflicts:
    return conflicts_of("merge", Flaws.from_names([flaw] if flaw else []))


@pytest.mark.parametrize("flaw", [None, "commit-counts-learners"])
def test_nodes_without_a_vote_do_not_commit(flaw: str | None) -> None:
    n1 = flawed(flaw, nodes=5, voters=THREE_OF_FIVE)
    term = n1.lead()
    for learner in ("n4", "n5"):
        n1.receive(learner, AppendReply(term, True, 0, 1, False))
    assert n1.status()["commit"] == (1 if flaw else 0)


@pytest.mark.parametrize("flaw", [None, "prevote-counts-as-vote"])
def test_a_pre_vote_elects_no_leader(flaw: str | None) -> None:
    n1 = flawed(flaw)
    n1.pass_time(650)
    n1.receive("n2", PreVoteReply(0, 1, True))
    assert n1.status()["role"] == ("leader" if flaw else "candidate")


@pytest.mark.parametrize("flaw", [None, "segment-name-not-durable"])
def test_the_directory_is_synced_after_a_new_segment(flaw: str | None) -> None:
    n1 = flawed(flaw, storing=False)
    assert any(isinstance(effect, FsyncDir) for effect in n1.queue) == (flaw is None)


@pytest.mark.parametrize("flaw", [None, "value-changed-in-place"])
def test_a_refused_transaction_leaves_its_lists_as_they_were(flaw: str | None) -> None:
    store = KeyValue(Flaws.from_names([flaw] if flaw else []))
    store.transact([["append", "k", 1]])
    refused, _ = store.transact([["append", "k", 2], ["cas", "other", 5, 6]])
    assert isinstance(refused, Mismatch)
    assert store.read([["r", "k"]]) == [[1, 2] if flaw else [1]]


@pytest.mark.parametrize("flaw", [None, "counter-added-on-join"])
def test_a_join_takes_the_larger_count(flaw: str | None) -> None:
    rule = merge(flaw)
    start = rule.changed(None, "profile", {"attempts": 1}, ("a", 1), 0)
    mine = rule.changed(start, "profile", {"attempts": 1}, ("a", 2), 0)
    theirs = rule.changed(start, "profile", {"attempts": 10}, ("b", 1), 0)
    assert rule.shown("profile", rule.joined(mine, theirs))["fields"]["attempts"] == (13 if flaw else 12)


@pytest.mark.parametrize("flaw", [None, "deletion-beats-concurrent-change"])
def test_a_deletion_removes_only_what_it_has_seen(flaw: str | None) -> None:
    rule = merge(flaw)
    start = rule.changed(None, "fact", {"concept": "old"}, ("a", 1), 0)
    deleted = rule.deleted(start, ("a", 2), 0)
    changed = rule.changed(start, "fact", {"concept": "new"}, ("b", 1), 0)
    assert rule.live(rule.joined(deleted, changed)) == (flaw is None)
