"""An election before the timer, when the leader's process is gone.

A process that is killed closes its connections, and its host refuses another: then nobody need wait for an election timeout. Each node needs both signs itself, the end of
its connection to the leader and a refused attempt to make another; a partition shows neither, and waits for the timer. Such a node no longer counts as one that hears a
leader, so it grants a pre-vote; and after a short random time it asks for one. A node that saw the signs alone is denied by the others, and no term is spent.

The signs do not prove a death: a firewall that rejects gives them too. Where the leader reads under a lease, votes are denied for the full time, and there is no hurry.
"""

from __future__ import annotations

from .roles import ELECTION, become_follower
from .state.state import FOLLOWER, RaftState

TRIES = 3
"""Pre-votes in a hurry for one loss: the others may see the signs a little later."""


def on_disconnected(s: RaftState, peer: str) -> None:
    if peer == s.leader:
        s.parted = peer


def on_connected(s: RaftState, peer: str) -> None:
    if peer == s.parted:
        s.parted = None


def on_refused(s: RaftState, now_ns: int, peer: str) -> None:
    """The host of `peer` refused a connection."""
    if s.parted != peer or s.leader != peer or s.role is not FOLLOWER:
        return
    if s.config.lease_reads and not s.flaws.fast_prevote_waives_lease:
        return
    s.parted = None
    become_follower(s, now_ns, s.term, None, "the leader's process is gone")
    if now_ns - s.hurried_ns >= s.timing.election_min_ns:
        s.hurried_ns, s.hurries = now_ns, TRIES
        _soon(s, now_ns, 0)


def again(s: RaftState, now_ns: int) -> None:
    """A pre-vote is asked for now: if it is not granted, the next one comes soon, too, a few times."""
    if s.hurries > 0:
        s.hurries -= 1
        if s.hurries > 0:
            _soon(s, now_ns, s.timing.heartbeat_ns // 2)


def over(s: RaftState) -> None:
    """Somebody leads or is being elected."""
    s.hurries = 0


def _soon(s: RaftState, now_ns: int, least_ns: int) -> None:
    delay_ns = s.chance.between("raft", "hurry", least_ns, least_ns + s.timing.heartbeat_ns // 2)
    s.election_at_ns = now_ns + delay_ns
    s.out.set_timer(ELECTION, s.election_at_ns)
