"""A leader whose process is gone is replaced at once: its connection ended, and its host refuses another. Neither sign alone is enough, and no lease is waived."""

from __future__ import annotations

from typing import Any

import pytest

from tribulation.node.config.node import MS
from tribulation.node.core.interface.events import Connected, DialRefused, Disconnected
from tribulation.node.core.interface.messages import Heartbeat, PreVote, PreVoteReply, Vote, VoteReply

from .cluster import Cluster
from .solo import Solo

LEADER, SELF, OTHER = "n2", "n1", "n3"


def follower(**config: Any) -> Solo:
    """Of n2, in term 1, which it heard just now."""
    solo = Solo(**config)
    solo.receive(LEADER, Heartbeat(1, 1, 0))
    assert solo.status()["leader"] == LEADER
    return solo


def lose(solo: Solo, *events: Any) -> None:
    solo.sent = []
    solo.step(*events)


SIGNS = (Disconnected(LEADER), DialRefused(LEADER))


def test_both_signs_start_a_pre_vote_long_before_the_timer() -> None:
    solo = follower()
    lose(solo, *SIGNS)
    assert solo.status()["leader"] is None
    sent = solo.pass_time(30)
    assert [(peer, type(message)) for peer, message in sent[:2]] == [(LEADER, PreVote), (OTHER, PreVote)]
    solo.receive(OTHER, PreVoteReply(1, 2, True))
    assert solo.status()["role"] == "candidate" and solo.to(OTHER, Vote)
    solo.receive(OTHER, VoteReply(2, True))
    assert solo.status()["role"] == "leader"


@pytest.mark.parametrize(
    "events",
    [
        [Disconnected(LEADER)],
        [DialRefused(LEADER)],
        [DialRefused(LEADER), Disconnected(LEADER)],
        [Disconnected(OTHER), DialRefused(OTHER)],
        [Disconnected(LEADER), Connected(LEADER), DialRefused(LEADER)],
    ],
)
def test_anything_less_waits_for_the_timer(events: list[Any]) -> None:
    solo = follower()
    lose(solo, *events)
    assert solo.status()["leader"] == LEADER and solo.pass_time(250) == []


def test_a_leader_that_is_heard_after_its_connection_ended_lives() -> None:
    solo = follower()
    lose(solo, Disconnected(LEADER))
    solo.receive(LEADER, Heartbeat(1, 2, 0))
    lose(solo, DialRefused(LEADER))
    assert solo.status()["leader"] == LEADER and solo.pass_time(250) == []


def test_a_node_that_saw_the_signs_grants_a_pre_vote_and_one_that_did_not_denies_it() -> None:
    for events, granted in ((SIGNS, True), ((), False)):
        solo = follower()
        lose(solo, *events)
        assert solo.receive(OTHER, PreVote(2, 0, 0)) == [(OTHER, PreVoteReply(1, 2, granted))]
        assert bool(solo.to(OTHER, VoteReply) or solo.receive(OTHER, Vote(2, 0, 0, False))) is granted


def test_pre_votes_in_a_hurry_are_few() -> None:
    """Others may see the signs later; if they never do, the timer's pace is kept, and no term is spent."""
    solo = follower()
    lose(solo, *SIGNS)
    asked = [peer for peer, message in solo.pass_time(200) if isinstance(message, PreVote)]
    assert asked.count(OTHER) == 3
    for _ in range(5):
        lose(solo, *SIGNS)
    assert len(solo.pass_time(100)) == 0
    assert solo.status()["term"] == 1


def test_signs_that_come_again_and_again_start_one_hurry_in_an_election_timeout() -> None:
    solo = follower()
    asked = 0
    for number in range(20):
        solo.receive(LEADER, Heartbeat(1, 2 + number, 0))
        lose(solo, *SIGNS)
        asked += sum(isinstance(message, PreVote) for peer, message in solo.pass_time(10) if peer == OTHER)
    assert asked <= 2, "in 200 ms, of which 300 make one timeout"


@pytest.mark.parametrize("flaw", [None, "fast-prevote-waives-lease"])
def test_fast_prevote_waives_lease(flaw: str | None) -> None:
    solo = follower(lease_reads=True, flaws=[flaw] if flaw else [])
    for number in (2, 3):  # A node that reads under leases does not vote in its first election timeout.
        solo.pass_time(200)
        solo.receive(LEADER, Heartbeat(1, number, 0))
    lose(solo, *SIGNS)
    assert solo.receive(OTHER, PreVote(2, 0, 0)) == [(OTHER, PreVoteReply(1, 2, flaw is not None))]
    assert bool(solo.receive(OTHER, Vote(2, 0, 0, False))) is (flaw is not None)


def test_a_candidate_in_a_hurry_gives_its_votes_their_full_time() -> None:
    solo = follower()
    lose(solo, *SIGNS)
    solo.pass_time(30)
    solo.receive(OTHER, PreVoteReply(1, 2, True))
    assert solo.status()["term"] == 2
    solo.pass_time(250)
    assert solo.status()["term"] == 2 and solo.status()["role"] == "candidate"


def test_a_killed_leader_is_replaced_before_any_timer_could_run_out() -> None:
    cluster = Cluster(5, 3).start()
    first = cluster.wait_leader()
    cluster.run(500 * MS)
    cluster.nodes[first].stop()
    others = [name for name in cluster.nodes if name != first]
    for name in others:
        cluster.nodes[name].post(Disconnected(first))
        cluster.nodes[name].post(DialRefused(first))
    cluster.run(200 * MS)
    assert any(cluster.nodes[name].core.status()["role"] == "leader" for name in others)
