"""Leadership: the step from candidate to leader, and the periodic work of a leader (heartbeats, check-quorum, retransmission)."""

from __future__ import annotations

from ..interface.entry import NOOP, make_entry
from ..interface.messages import Heartbeat, HeartbeatReply
from . import contact, membership, read_index, replication
from .handover import expire_handover
from .roles import become_follower
from .state.configuration import quorum_value
from .state.progress import Progress
from .state.state import CANDIDATE, LEADER, RaftState

HEARTBEAT = "raft/heartbeat"


def become_leader(s: RaftState, now_ns: int) -> None:
    """Become leader and append a no-op at once. Its commit also commits the entries of earlier terms. Reads wait for that commit (Raft paper, 8)."""
    assert s.role is CANDIDATE and not s.torn, (s.role, s.torn)
    s.role, s.leader = LEADER, s.me
    granted = list(s.votes)
    s.out.trace("leader", term=s.term, last_index=s.log.last_index, votes=granted, voters=dict(s.voters))
    s.progress = {peer: Progress(s.log.last_index + 1) for peer in s.others}
    s.noop_index = s.log.last_index + 1
    s.append([make_entry(s.noop_index, s.term, [NOOP])])
    s.round, s.lease_void = 0, False
    s.contact_ns = s.beat_ns = s.led_since_ns = now_ns
    contact.note(s, now_ns, now_ns)
    wanted = [token for _, token in s.reads_asked] + s.reads_wanted
    s.reads_wanted, s.reads_asked = [], []
    s.reads_new.extend(wanted)
    s.announce_leader()
    s.out.set_timer(HEARTBEAT, now_ns + s.timing.heartbeat_ns)
    s.round_wanted = True


def on_timer(s: RaftState, now_ns: int) -> None:
    if not s.leading:
        return
    if contact.lost(s, now_ns):
        become_follower(s, now_ns, s.term, None, "no quorum answers")
        return
    s.out.set_timer(HEARTBEAT, now_ns + s.timing.heartbeat_ns)
    s.beat_ns = now_ns
    s.round_wanted = True
    replication.retry(s, now_ns)
    membership.walk(s, now_ns)
    expire_handover(s, now_ns)


def broadcast(s: RaftState, now_ns: int) -> None:
    """Begin a round of heartbeats: announce the leader, and learn which nodes still follow."""
    s.round_wanted = s.news_wanted = False
    s.round += 1
    s.rounds.append((s.round, now_ns, s.wall.ns))
    for peer, progress in s.progress.items():
        commit = s.commit if s.flaws.heartbeat_commit_unbounded else min(s.commit, progress.match)
        progress.commit_sent = max(progress.commit_sent, commit)
        s.out.send(peer, Heartbeat(s.term, s.round, commit))
    read_index.join_round(s)
    confirm(s, now_ns)


def on_heartbeat_reply(s: RaftState, now_ns: int, peer: str, m: HeartbeatReply) -> None:
    progress = s.progress.get(peer)
    if progress is None:
        return
    progress.answered_ns = now_ns
    progress.acked_round = max(progress.acked_round, min(m.round, s.round))
    replication.answered(s, now_ns, peer, progress)
    if s.rounds or s.reads_round:
        confirm(s, now_ns)


def confirm(s: RaftState, now_ns: int) -> None:
    """Find the latest round that a quorum has answered. Contact, lease and reads count from the time at which that round was sent."""
    acked = {peer: progress.acked_round for peer, progress in s.progress.items()}
    acked[s.me] = s.round
    voters = dict.fromkeys(acked, 1) if s.flaws.read_confirmed_by_learners else s.counted(now_ns)
    confirmed = quorum_value(voters, acked)
    while s.rounds and s.rounds[0][0] <= confirmed:
        _, sent_ns, wall_ns = s.rounds.popleft()
        # Never shortened. A lease taken while the wall clock ran ahead therefore outlives the clock's return (read only by the flaw
        # wall-clock-lease).
        s.lease_wall_ns = max(s.lease_wall_ns or 0, wall_ns)
        contact.note(s, now_ns if s.flaws.lease_from_answer else sent_ns, now_ns)
    read_index.release(s, confirmed, acked)
