"""Contact with a quorum: a follower has it through its leader, a leader through its followers' answers.

A leader counts a round of heartbeats as contact when a quorum has answered it. The time of that contact is the time at which the round was *sent*.
This one time serves check-quorum (step down after one election timeout without contact), leases and `no-quorum`.
"""

from __future__ import annotations

from ..interface.signals import QuorumLost, QuorumRegained
from .state.state import RaftState

TIMER = "raft/contact"


def begin(s: RaftState, now_ns: int) -> None:
    s.contact_ns = now_ns
    s.out.set_timer(TIMER, now_ns + s.timing.election_max_ns)


def note(s: RaftState, at_ns: int, now_ns: int) -> None:
    """Record contact with the quorum at `at_ns`."""
    if at_ns > s.contact_ns:
        s.contact_ns = at_ns
    if not s.contact and now_ns - s.contact_ns < s.timing.election_max_ns:
        s.contact = True
        s.out.trace("quorum")
        s.out.emit(QuorumRegained())
        s.out.set_timer(TIMER, s.contact_ns + s.timing.election_max_ns)


def on_timer(s: RaftState, now_ns: int) -> None:
    until_ns = s.contact_ns + s.timing.election_max_ns
    if s.leading and not lost(s, now_ns):
        until_ns = max(until_ns, now_ns + s.timing.heartbeat_ns)
    if now_ns < until_ns:
        s.out.set_timer(TIMER, until_ns)
        return
    s.contact = False
    s.out.trace("no-quorum", since_ns=s.contact_ns)
    s.out.emit(QuorumLost(s.contact_ns))


def lost(s: RaftState, now_ns: int) -> bool:
    """Return whether a leader must step down: no quorum answered for one election timeout (check-quorum)."""
    if s.flaws.stale_read_from_deposed_leader or s.flaws.leader_never_steps_down:
        return False
    if s.flaws.wall_clock_lease and lease_holds(s, now_ns):
        return False
    return now_ns - s.contact_ns >= s.timing.election_max_ns


def lease_holds(s: RaftState, now_ns: int) -> bool:
    """Return whether it is certain that no other node has become leader yet.

    Followers refuse votes for election_min after they heard a leader, each on its own clock. The bound on the drift between two clocks shortens the
    lease. A leader that ever sent TimeoutNow has no lease: that message may arrive late, and voters grant such an election at once.
    """
    if s.lease_void and not s.flaws.lease_survives_transfer:
        return False
    drift_ppm = 0 if s.flaws.lease_drift_ignored else s.config.clock_drift_ppm
    length_ns = s.timing.election_min_ns * (1_000_000 - drift_ppm) // 1_000_000
    if s.flaws.wall_clock_lease:
        return s.lease_wall_ns is not None and s.wall.ns < s.lease_wall_ns + length_ns
    if s.flaws.lease_not_checked_after_pause:
        now_ns = s.beat_ns
    return now_ns < s.contact_ns + length_ns
