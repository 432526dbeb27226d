"""A member that lies about its term, or one that poses as a member where there is no TLS: terms are never given back, so one near the last number must not get in."""

from __future__ import annotations

import pytest

from tribulation.node.bounded import INTEGER_LIMIT, REACHABLE
from tribulation.node.core.interface.messages import AppendEntries, Heartbeat, Message, PreVote, Vote, VoteReply
from tribulation.node.core.raft.raft import TERM_LEAP

from .solo import Solo

LAST = INTEGER_LIMIT - 1


@pytest.mark.parametrize("term", [LAST, REACHABLE + 1, TERM_LEAP + 2])
@pytest.mark.parametrize("kind", [Heartbeat, VoteReply, Vote, PreVote, AppendEntries])
def test_a_term_far_beyond_is_refused_and_reported(kind: type, term: int) -> None:
    solo = Solo()
    messages: dict[type, Message] = {
        Heartbeat: Heartbeat(term, 1, 0),
        VoteReply: VoteReply(term, True),
        Vote: Vote(term, LAST, LAST, True),
        PreVote: PreVote(term, LAST, LAST),
        AppendEntries: AppendEntries(term, 0, 0, (), 0),
    }
    before = solo.status()["term"]
    for _ in range(3):
        assert solo.receive("n2", messages[kind]) == []
    assert solo.status()["term"] == before and solo.core.counters()["terms_refused"] == 3
    assert solo.traced("term-refused") == [{"peer": "n2", "term": term}]
    solo.lead()


def test_a_term_that_a_long_absence_explains_is_taken() -> None:
    solo = Solo()
    solo.receive("n2", Heartbeat(solo.status()["term"] + TERM_LEAP, 1, 0))
    assert solo.status()["term"] == TERM_LEAP and solo.core.counters()["terms_refused"] == 0
