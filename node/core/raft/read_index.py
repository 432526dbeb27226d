"""Linearizable reads without a log write: ReadIndex (Raft thesis, 6.4).

On the leader a read joins the *next* round of heartbeats after its arrival. The round notes the commit index. When a quorum has answered the round,
the leader still led after the read arrived, so the read may run at the noted index. A round under way never serves a later read. One round serves all
reads that arrived before it began. New reads start a round before the next heartbeat is due; at most one such early round is under way.

A follower asks the leader for an index, once for all its waiting reads, with a context that it never reuses.
"""

from __future__ import annotations

from ..interface.messages import ReadIndex, ReadIndexReply
from ..interface.signals import ReadFailed, ReadReady, ReadRequest
from .contact import lease_holds
from .state.state import RaftState, RemoteRead, RoundReads

REMOTE_LIMIT = 4096
"""Pending reads of followers, at most. A follower whose read is dropped asks again."""


def on_request(s: RaftState, now_ns: int, request: ReadRequest) -> None:
    """Handle a read of one of this node's own clients."""
    if len(s.reads_wanted) + len(s.reads_asked) + len(s.reads_new) >= 2 * s.config.max_pending_requests:
        s.out.emit(ReadFailed(request.token))
    elif s.leading:
        _begin(s, now_ns, request.token)
    else:
        s.reads_wanted.append(request.token)


def on_read_index(s: RaftState, now_ns: int, peer: str, m: ReadIndex) -> None:
    """Handle the reads of a follower."""
    if not s.leading or m.term != s.term:
        s.out.send(peer, ReadIndexReply(s.term, m.incarnation, m.context, False, 0), s.journal.gate)
    elif len(s.reads_new) < REMOTE_LIMIT and not s.flaws.follower_reads_unanswered:
        _begin(s, now_ns, RemoteRead(peer, m.incarnation, m.context))


def on_read_index_reply(s: RaftState, m: ReadIndexReply) -> None:
    """Answer all reads that were requested with this context or an earlier one.

    A late answer is as good as an early one. If a round trip takes longer than this node waits before it asks again, every answer is late.
    """
    if m.incarnation != s.incarnation or m.context > s.context:
        return
    answered = [token for context, token in s.reads_asked if context <= m.context]
    s.reads_asked = [(context, token) for context, token in s.reads_asked if context > m.context]
    if m.ok:
        for token in answered:
            s.out.emit(ReadReady(token, m.index))
    else:
        s.reads_wanted += answered


def ask_leader(s: RaftState, now_ns: int) -> None:
    """Request an index for the waiting reads (on a follower, at the end of a step). If no answer came, request one again for all of them."""
    again = bool(s.reads_asked) and now_ns - s.asked_ns >= 2 * s.timing.heartbeat_ns
    if s.leader is None or (s.reads_asked and not again) or not (s.reads_wanted or again):
        return
    s.context += 1
    s.reads_asked += [(s.context, token) for token in s.reads_wanted]
    s.reads_wanted, s.asked_ns = [], now_ns
    s.out.send(s.leader, ReadIndex(s.term, s.incarnation, s.context), s.journal.gate)


def forget(s: RaftState) -> None:
    """Drop the waiting reads: contact with the quorum is lost and their clients are refused."""
    s.reads_wanted, s.reads_asked = [], []


def want_round(s: RaftState) -> None:
    """Begin a round early for new reads, unless a round for reads is under way (on a leader, at the end of a step)."""
    if s.reads_new and not s.reads_round and _knows_commit(s):
        s.round_wanted = True


def join_round(s: RaftState) -> None:
    """Let the round that just began serve the reads that arrived before it."""
    if s.reads_new and _knows_commit(s):
        s.reads_round.append(RoundReads(s.round, s.commit, s.reads_new))
        s.reads_new = []


def release(s: RaftState, confirmed: int, acked: dict[str, int]) -> None:
    """Answer the reads of rounds that a quorum has confirmed."""
    while s.reads_round and s.reads_round[0].round <= confirmed:
        batch = s.reads_round.popleft()
        names = [name for name, round_ in acked.items() if round_ >= batch.round and name in s.voters]
        rounds = s.round - batch.round + 1
        s.out.trace("read-confirmed", index=batch.index, acks=names, voters=dict(s.voters), rounds=rounds)
        for read in batch.reads:
            _answer(s, read, batch.index)


def _begin(s: RaftState, now_ns: int, read: int | RemoteRead) -> None:
    if s.flaws.stale_read_from_deposed_leader:
        _answer(s, read, s.commit)
    elif (s.config.lease_reads or s.flaws.wall_clock_lease) and _knows_commit(s) and lease_holds(s, now_ns):
        clock = "wall" if s.flaws.wall_clock_lease else "monotonic"
        s.out.trace("lease", until_ns=s.contact_ns + s.timing.election_min_ns, clock=clock)
        _answer(s, read, s.commit)
    elif s.flaws.readindex_context_reuse and s.rounds and _knows_commit(s):
        s.reads_round.append(RoundReads(s.round, s.commit, [read]))
    else:
        s.reads_new.append(read)


def _knows_commit(s: RaftState) -> bool:
    """Return whether an entry of this term is committed. Until then a new leader may not know all that is committed."""
    return s.commit >= s.noop_index or s.flaws.no_noop_stale_read


def _answer(s: RaftState, read: int | RemoteRead, index: int) -> None:
    if isinstance(read, int):
        s.out.emit(ReadReady(read, index))
    else:
        s.out.send(read.peer, ReadIndexReply(s.term, read.incarnation, read.context, True, index))
