"""Becoming a follower, from whatever one was, and the election clock."""

from __future__ import annotations

from ..interface.signals import AdminDone
from .state.state import FOLLOWER, RaftState

ELECTION = "raft/election"


def become_follower(s: RaftState, now_ns: int, term: int, leader: str | None, reason: str) -> None:
    """Adopt a term that is not smaller, perhaps with its leader."""
    assert term >= s.term, (term, s.term)
    changed = s.role is not FOLLOWER or s.leader != leader or term > s.term
    if s.leading:
        _lay_down(s, reason)
    if s.role is not FOLLOWER:
        s.role = FOLLOWER
        arm_election(s, now_ns)
    if term > s.term:
        s.term, s.vote = term, ""
        s.persist_hard()
        s.out.trace("term", s.journal.gate, term=term)
    s.leader = leader
    if changed:
        s.out.trace("follower", s.journal.gate, term=term, leader=leader, reason=reason)
        s.tell_leader()


def hear_leader(s: RaftState, now_ns: int, leader: str) -> None:
    """A message of this term's leader arrived: follow it, and put off the next election."""
    if s.role is not FOLLOWER or s.leader != leader:
        become_follower(s, now_ns, s.term, leader, "heard the leader")
    s.heard_ns = now_ns
    s.parted, s.hurries = None, 0
    s.election_at_ns = now_ns + s.election_timeout_ns


def arm_election(s: RaftState, now_ns: int) -> None:
    """Draw a new timeout and start it now."""
    timing = s.timing
    s.election_timeout_ns = s.chance.between("raft", "election", timing.election_min_ns, timing.election_max_ns)
    s.election_at_ns = now_ns + s.election_timeout_ns
    s.out.set_timer(ELECTION, s.election_at_ns)


def _lay_down(s: RaftState, reason: str) -> None:
    """Stop leading. Reads of this node's own clients go on with the next leader; administrators are told."""
    waiting = list(s.reads_new)
    for batch in s.reads_round:
        waiting += batch.reads
    if not s.flaws.reads_vanish_at_deposition:
        s.reads_wanted += [read for read in waiting if isinstance(read, int)]
    s.reads_new.clear()
    s.reads_round.clear()
    s.round_wanted = False
    if s.handover is not None:
        s.out.emit(AdminDone(s.handover.token, s.log.last_index, *_verdict(s, reason)))
    if s.target is not None:
        s.out.emit(AdminDone(s.target[0], s.log.last_index, "leader-changed", f"the leader stepped down: {reason}"))
    s.handover = s.target = None
    s.progress.clear()
    s.rounds.clear()
    s.lease_wall_ns = None


def _verdict(s: RaftState, reason: str) -> tuple[str | None, str]:
    """A handover whose target was asked has, as far as one can know, succeeded when the leader must step down."""
    assert s.handover is not None
    if s.handover.sent and reason in ("a later term", "a candidate of a later term"):
        return None, ""
    return "leader-changed", f"the leader stepped down: {reason}"
