"""Transition to follower from any role, and the election timer."""

from __future__ import annotations

from ..interface.signals import AdminDone
from .state.state import FOLLOWER, RaftState

ELECTION = "raft/election"


def become_follower(s: RaftState, now_ns: int, term: int, leader: str | None, reason: str) -> None:
    """Become a follower in a term that is not smaller than the present one. Adopt that term and its leader, if known."""
    assert term >= s.term, (term, s.term)
    changed = s.role is not FOLLOWER or s.leader != leader or term > s.term
    if s.leading:
        _step_down(s, reason)
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
        s.announce_leader()


def observe_leader(s: RaftState, now_ns: int, leader: str) -> None:
    """Follow this term's leader, from which a message arrived, and postpone the next election."""
    if s.role is not FOLLOWER or s.leader != leader:
        become_follower(s, now_ns, s.term, leader, "heard the leader")
    s.heard_ns = now_ns
    s.parted, s.hurries = None, 0
    s.election_at_ns = now_ns + s.election_timeout_ns


def arm_election(s: RaftState, now_ns: int) -> None:
    """Choose a new random election timeout and start it now."""
    timing = s.timing
    s.election_timeout_ns = s.chance.between("raft", "election", timing.election_min_ns, timing.election_max_ns)
    s.election_at_ns = now_ns + s.election_timeout_ns
    s.out.set_timer(ELECTION, s.election_at_ns)


def _step_down(s: RaftState, reason: str) -> None:
    """Stop leading. Reads of this node's own clients continue with the next leader. Pending administrative requests are answered."""
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
        s.out.emit(AdminDone(s.target.token, s.log.last_index, "leader-changed", f"the leader stepped down: {reason}"))
    s.handover = s.target = None
    s.progress.clear()
    s.rounds.clear()
    s.lease_wall_ns = None


def _verdict(s: RaftState, reason: str) -> tuple[str | None, str]:
    """Outcome of a leadership transfer when the leader steps down: if the target was sent TimeoutNow, it counts as done as far as this node can know."""
    assert s.handover is not None
    if s.handover.sent and reason in ("a later term", "a candidate of a later term"):
        return None, ""
    return "leader-changed", f"the leader stepped down: {reason}"
