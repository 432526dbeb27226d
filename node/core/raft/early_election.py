"""Early election when the leader's process is gone.

A process that is killed closes its connections, and its host refuses new ones. Then no node needs to wait for an election timeout. A node must see
both signs itself: its connection to the leader ended, and a new attempt was refused. A partition shows neither, so the election timer decides. A node
that saw both no longer counts as hearing a leader. It grants pre-votes, and after a short random time it requests one itself. If no other node saw
the signs, the others deny the pre-vote, and the term does not grow.

The signs do not prove a death: a firewall that rejects produces them too. When lease reads are on, there is no early election: nodes must then deny
votes until the smallest election timeout has passed.
"""

from __future__ import annotations

from .roles import ELECTION, become_follower
from .state.state import FOLLOWER, RaftState

TRIES = 3
"""Early pre-votes per lost leader, at most: the others may see the signs a little later."""


def on_disconnected(s: RaftState, peer: str) -> None:
    if peer == s.leader:
        s.parted = peer


def on_connected(s: RaftState, peer: str) -> None:
    if peer == s.parted:
        s.parted = None


def on_refused(s: RaftState, now_ns: int, peer: str) -> None:
    """Handle a refused connection to `peer`."""
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
    """Schedule another early pre-vote, in case the one that is sent now is not granted. There are at most `TRIES` per lost leader."""
    if s.hurries > 0:
        s.hurries -= 1
        if s.hurries > 0:
            _soon(s, now_ns, s.timing.heartbeat_ns // 2)


def over(s: RaftState) -> None:
    """End the early election: a leader is known or an election is under way."""
    s.hurries = 0


def _soon(s: RaftState, now_ns: int, least_ns: int) -> None:
    delay_ns = s.chance.between("raft", "hurry", least_ns, least_ns + s.timing.heartbeat_ns // 2)
    s.election_at_ns = now_ns + delay_ns
    s.out.set_timer(ELECTION, s.election_at_ns)
