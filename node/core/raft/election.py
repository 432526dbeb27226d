"""Elections: pre-vote, vote, and the rules for granting votes.

A vote and its term are one durable record, written before the vote is answered. A candidate's own vote counts once it is durable. A node that heard a
leader within the smallest election timeout denies its vote (thesis, 4.2.3), unless that leader itself asked for the election. A torn node (its disk
lost the log's tail) does not vote and does not stand: it does not know what it promised.
"""

from __future__ import annotations

from ..interface.messages import PreVote, PreVoteReply, TimeoutNow, Vote, VoteReply
from . import early_election, leadership
from .roles import ELECTION, arm_election, become_follower
from .state.configuration import is_quorum
from .state.state import CANDIDATE, FOLLOWER, PRE_CANDIDATE, RaftState


def on_timer(s: RaftState, now_ns: int) -> None:
    """Start an election if `election_at_ns` has passed. Hearing a leader only moves `election_at_ns` and leaves the timer, so the timer may fire too
    early.
    """
    if s.leading:
        return
    if now_ns < s.election_at_ns:
        s.out.set_timer(ELECTION, s.election_at_ns)
        return
    arm_election(s, now_ns)
    if s.role is not CANDIDATE:
        early_election.again(s, now_ns)
    if may_stand(s) and s.flaws.no_prevote_bridge_livelock:
        stand(s, now_ns, transfer=False)
    elif may_stand(s):
        _ask_before(s, now_ns)
    elif s.leader is not None:
        become_follower(s, now_ns, s.term, None, "the leader is silent")


def may_stand(s: RaftState) -> bool:
    """Return whether this node may become a candidate.

    A voter may. A node that was removed from the voters may too, until it knows that the removal is committed: the others may need its log to commit
    the removal (thesis, 4.2.2).
    """
    if s.torn:
        return False
    removed_at = s.configs[-1][0]
    leaving = removed_at > s.commit and len(s.configs) > 1 and s.configs[-2][1].get(s.me, 0) > 0
    return s.voters.get(s.me, 0) > 0 or leaving


def on_pre_vote(s: RaftState, now_ns: int, peer: str, m: PreVote) -> None:
    fresh = s.flaws.no_log_freshness or _is_fresh(s, m.last_term, m.last_index)
    granted = m.term > s.term and not s.torn and not _has_leader(s, now_ns) and fresh
    s.out.send(peer, PreVoteReply(s.term, m.term, granted), s.journal.gate)


def on_pre_vote_reply(s: RaftState, now_ns: int, peer: str, m: PreVoteReply) -> None:
    if s.role is PRE_CANDIDATE and m.granted and m.for_term == s.term + 1:
        s.votes[peer] = 1
        if is_quorum(s.counted(now_ns), s.votes):
            stand(s, now_ns, transfer=False)


def on_vote(s: RaftState, now_ns: int, peer: str, m: Vote) -> None:
    if not m.transfer and _has_leader(s, now_ns) and not s.flaws.no_prevote_bridge_livelock:
        return
    if m.term > s.term:
        become_follower(s, now_ns, m.term, None, "a candidate of a later term")
    fresh = s.flaws.no_log_freshness or _is_fresh(s, m.last_term, m.last_index)
    granted = m.term == s.term and s.vote in ("", peer) and fresh and not s.torn and not s.leading
    if granted and s.vote == "":
        s.vote = peer
        if s.flaws.vote_not_durable:
            s.out.send(peer, VoteReply(s.term, True))
            s.out.trace("vote", term=s.term, candidate=peer)
            return
        s.persist_hard()
        s.out.trace("vote", s.journal.gate, term=s.term, candidate=peer)
    if granted:
        early_election.over(s)
        s.election_at_ns = now_ns + s.election_timeout_ns
    s.out.send(peer, VoteReply(s.term, granted), s.journal.gate)


def on_vote_reply(s: RaftState, now_ns: int, peer: str, m: VoteReply) -> None:
    if s.role is CANDIDATE and m.granted and (m.term == s.term or s.flaws.stale_vote_counted):
        s.votes[peer] = s.votes.get(peer, 0) + 1
        _count(s, now_ns)


def on_timeout_now(s: RaftState, now_ns: int, peer: str, m: TimeoutNow) -> None:
    if m.term == s.term and s.role is FOLLOWER and may_stand(s):
        arm_election(s, now_ns)
        stand(s, now_ns, transfer=True)


def stand(s: RaftState, now_ns: int, transfer: bool) -> None:
    """Become a candidate in the next term. Votes are requested once this node's own vote is durable."""
    if s.hurries:
        # The timer was armed for the next pre-vote. The vote gets a full election timeout.
        early_election.over(s)
        arm_election(s, now_ns)
    s.role, s.leader, s.votes = CANDIDATE, None, _kept(s)
    s.term, s.vote = s.term + 1, s.me
    if not s.flaws.vote_not_durable:
        s.persist_hard()
    gate = s.self_vote_op = s.journal.gate
    s.out.trace("term", gate, term=s.term)
    s.out.trace("vote", gate, term=s.term, candidate=s.me)
    s.announce_leader()
    for peer in _others(s):
        s.out.send(peer, Vote(s.term, s.log.last_index, s.log.last_term, transfer), gate)
    if gate is None:
        on_durable(s, now_ns, 0)


def on_durable(s: RaftState, now_ns: int, op: int) -> None:
    """Count this candidate's own vote if it was among what became durable with storage operation `op`."""
    if s.role is CANDIDATE and s.me not in s.votes and op >= (s.self_vote_op or 0):
        s.votes[s.me] = 1
        _count(s, now_ns)


def _ask_before(s: RaftState, now_ns: int) -> None:
    s.role, s.leader, s.votes = PRE_CANDIDATE, None, {s.me: 1}
    s.announce_leader()
    if is_quorum(s.counted(now_ns), s.votes):
        stand(s, now_ns, transfer=False)
        return
    for peer in _others(s):
        s.out.send(peer, PreVote(s.term + 1, s.log.last_index, s.log.last_term))


def _count(s: RaftState, now_ns: int) -> None:
    voters = s.counted(now_ns)
    if s.flaws.dup_vote_counted:
        counted = sum(voters.get(name, 0) * times for name, times in s.votes.items())
        won = 2 * counted > sum(voters.values())
    else:
        won = is_quorum(voters, s.votes)
    if won and s.me in s.votes:
        leadership.become_leader(s, now_ns)


def _kept(s: RaftState) -> dict[str, int]:
    """Return the votes that a new candidate has already: none, or with a flaw the pre-votes of others."""
    kept = s.votes if s.flaws.prevote_counts_as_vote and s.role is PRE_CANDIDATE else {}
    return {name: 1 for name in kept if name != s.me}


def _others(s: RaftState) -> list[str]:
    return [name for name in s.voters if name != s.me]


def _has_leader(s: RaftState, now_ns: int) -> bool:
    if s.leading or now_ns < s.quiet_until_ns:
        return True
    return s.leader is not None and now_ns - s.heard_ns < s.timing.election_min_ns


def _is_fresh(s: RaftState, last_term: int, last_index: int) -> bool:
    """Return whether that log is at least as up to date as ours (Raft paper, 5.4.1)."""
    return (last_term, last_index) >= (s.log.last_term, s.log.last_index)
