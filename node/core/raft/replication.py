"""Log replication: AppendEntries and its acknowledgement.

The leader sends new entries to all nodes while it writes them itself. It counts itself only once they are durable. A follower acknowledges only after
its fsync. All entries of one step share one batch on disk and one message per node. Several messages may be in flight.
"""

from __future__ import annotations

from ..interface.entry import Command, Entry, make_entry
from ..interface.messages import AppendEntries, AppendReply, Heartbeat
from ..interface.signals import NotProposed, Propose, Proposed
from . import snapshotting
from .commit import advance_commit, contradicted, follow_commit
from .handover import continue_handover
from .state.progress import PROBE, REPLICATE, SNAPSHOT, Progress
from .state.state import RaftState

FLIGHT_LIMIT = 32
"""Messages in flight to one node, at most."""
BACKLOG_LIMIT = 100_000
"""Uncommitted entries, at most. Beyond it commands wait outside the log, until their deadline."""
BATCH_CHARACTERS = 256 * 1024
"""Characters of entries in one message, at most (a single entry may exceed it)."""


def propose(s: RaftState, request: Propose) -> None:
    backlog = s.log.last_index - s.commit
    if not s.leading or s.handover is not None or backlog >= BACKLOG_LIMIT:
        s.out.emit(NotProposed(request.token, s.leading))
        return
    command: Command = request.command
    entry = make_entry(s.log.last_index + 1, s.term, command)
    s.append([entry])
    s.out.emit(Proposed(request.token, entry.index, entry.term))


def replicate(s: RaftState, now_ns: int) -> None:
    """Send each node the entries that it lacks, within the limits on messages in flight and on their rate. Runs at the end of a leader's step."""
    last = s.log.last_index
    in_step: list[tuple[str, Progress]] = []
    for peer, progress in s.progress.items():
        if progress.next <= last or progress.mode is SNAPSHOT:
            if progress.mode is REPLICATE and not s.voters.get(peer):
                in_step.append((peer, progress))
            else:
                _send_entries(s, now_ns, peer, progress)
    if in_step and s.learner_pace.due(s.out, now_ns, len(s.progress)):
        for peer, progress in in_step:
            _send_entries(s, now_ns, peer, progress)


def send_commit(s: RaftState, now_ns: int) -> None:
    """Send the commit index to nodes that would otherwise learn it only with the next heartbeat. The message repeats the current round, so it confirms
    nothing new.
    """
    if not s.news_pace.due(s.out, now_ns, len(s.progress)):
        return
    s.news_wanted = False
    for peer, progress in s.progress.items():
        commit = min(s.commit, progress.match)
        if progress.commit_sent < commit:
            progress.commit_sent = commit
            s.out.send(peer, Heartbeat(s.term, s.round, commit))


def _send_entries(s: RaftState, now_ns: int, peer: str, progress: Progress) -> None:
    while progress.mode is not SNAPSHOT and not progress.waiting and progress.next <= s.log.last_index:
        if progress.next <= s.log.base_index:
            snapshotting.begin_sending(s, progress)
            break
        if progress.mode is REPLICATE and len(progress.flying) >= FLIGHT_LIMIT:
            return
        _send_batch(s, now_ns, peer, progress)
    if progress.mode is SNAPSHOT:
        snapshotting.send_piece(s, now_ns, peer, progress)


def _send_batch(s: RaftState, now_ns: int, peer: str, progress: Progress) -> None:
    previous = progress.next - 1
    term = s.log.term(previous)
    assert term is not None, (previous, s.log.base_index)
    entries = _batch(s, progress.next)
    s.out.send(peer, AppendEntries(s.term, previous, term, entries, s.commit))
    progress.commit_sent = max(progress.commit_sent, min(s.commit, previous + len(entries)))
    if progress.mode is PROBE:
        progress.waiting, progress.sent_ns = True, now_ns
        return
    if not progress.flying:
        progress.sent_ns = now_ns
    progress.next = previous + len(entries) + 1
    progress.flying.append(progress.next - 1)


def _batch(s: RaftState, first: int) -> tuple[Entry, ...]:
    """Entries from `first` on, as many as fit in one message."""
    entries = s.log.slice(first, min(s.log.last_index, first + s.config.max_batch - 1))
    size = 0
    for count, entry in enumerate(entries):
        size += len(entry.text)
        if size > BATCH_CHARACTERS and count > 0:
            return tuple(entries[:count])
    return tuple(entries)


def on_append(s: RaftState, now_ns: int, peer: str, m: AppendEntries) -> None:
    """Handle AppendEntries on a follower. The entries of the leader are authoritative. Later entries in the log of this node may conflict with the
    leader's log.
    """
    skipped = s.log.base_index - m.prev_index
    if skipped > 0 and s.flaws.purged_prev_is_conflict:
        if s.log.last_index > s.commit:
            s.cut(s.commit + 1)
        s.out.send(peer, AppendReply(s.term, False, m.prev_index, s.commit, s.torn), s.journal.gate)
        return
    if skipped > 0:
        entries, previous = m.entries[skipped:], s.log.base_index
    else:
        entries, previous = m.entries, m.prev_index
        if s.log.term(previous) != m.prev_term:
            _disagree(s, peer, m)
            return
    _adopt(s, entries)
    if s.out.halted:
        return
    verified = previous + len(entries)
    limit = s.log.last_index if s.flaws.commit_past_verified else verified
    _heal(s, verified, m.commit)
    follow_commit(s, now_ns, min(m.commit, limit))
    gate = None if s.flaws.ack_before_fsync else s.journal.gate
    s.out.send(peer, AppendReply(s.term, True, m.prev_index, verified, s.torn), gate)


def _disagree(s: RaftState, peer: str, m: AppendEntries) -> None:
    if m.prev_index <= s.commit:
        contradicted(s, m.prev_index, m.prev_term)
        if s.out.halted:
            return
    hint = _agreement(s, m.prev_index, m.prev_term)
    s.out.send(peer, AppendReply(s.term, False, m.prev_index, hint, s.torn), s.journal.gate)


def _agreement(s: RaftState, previous: int, term: int) -> int:
    """Return the highest index below `previous` where our log may agree with one that has `term` there (Raft paper, 5.3)."""
    index = min(previous - 1, s.log.last_index)
    floor = max(s.commit, s.log.base_index)
    while index > floor and (s.log.term(index) or 0) > term:
        index -= 1
    return index


def _adopt(s: RaftState, entries: tuple[Entry, ...]) -> None:
    """Append new entries. Only a *conflict* truncates our log: a late, shorter message must not, because it would remove acknowledged entries."""
    tail: list[Entry] = []
    for position, entry in enumerate(entries):
        term = s.log.term(entry.index)
        if term == entry.term:
            continue
        if term is not None:
            if entry.index <= s.commit:
                contradicted(s, entry.index, entry.term)
                if s.out.halted:
                    return
            if s.flaws.no_truncate_tail:
                tail = s.log.slice(entries[-1].index + 1, s.log.last_index)
            s.cut(entry.index)
        s.append([*entries[position:], *tail])
        return
    if s.flaws.truncate_on_stale_append and entries and s.log.last_index > max(entries[-1].index, s.commit):
        s.cut(max(entries[-1].index, s.commit) + 1)


def _heal(s: RaftState, verified: int, commit: int) -> None:
    """Mark where a torn node is whole again: it durably holds all that its leader had committed, up to an entry of the leader's own term."""
    if s.torn and s.whole_at is None and verified > s.known and verified >= commit and s.log.term(verified) == s.term:
        s.whole_at = verified


def on_append_reply(s: RaftState, now_ns: int, peer: str, m: AppendReply) -> None:
    progress = s.progress.get(peer)
    if progress is None:
        return
    if m.torn and not progress.torn:
        progress.match = 0
        progress.probe(m.match + 1)
    healed, progress.torn = progress.torn and not m.torn, m.torn
    if m.ok:
        _acknowledged(s, now_ns, progress, min(m.match, s.log.last_index))
        if healed:
            advance_commit(s, now_ns)
    elif (progress.mode is REPLICATE and progress.match < m.prev_index < progress.next) or (
        progress.mode is PROBE and m.prev_index == progress.next - 1
    ):
        if m.prev_index <= progress.match and not s.flaws.rejoin_same_term_progress:
            # The node denies what it acknowledged in this same term: its disk was replaced. Or the refusal is late, which costs one round
            # trip.
            progress.match = 0
        progress.probe(min(m.match + 1, m.prev_index))


def _acknowledged(s: RaftState, now_ns: int, progress: Progress, match: int) -> None:
    if match > progress.match or progress.mode is PROBE:
        progress.match = max(progress.match, match)
        progress.sent_ns = now_ns
        while progress.flying and progress.flying[0] <= match:
            progress.flying.popleft()
        progress.next = max(progress.next, progress.match + 1)
        if progress.mode is PROBE:
            progress.mode, progress.waiting = REPLICATE, False
        elif progress.mode is SNAPSHOT and progress.snapshot is not None and match >= progress.snapshot.index:
            progress.probe(progress.match + 1)
        advance_commit(s, now_ns)
        continue_handover(s)


def retry(s: RaftState, now_ns: int) -> None:
    """Treat messages that stay unanswered for long as lost. Runs with each heartbeat. A silent node costs one message per retry."""
    patience_ns = max(2 * s.timing.heartbeat_ns, s.timing.election_min_ns // 2)
    for progress in s.progress.values():
        if now_ns - progress.sent_ns < patience_ns:
            continue
        if progress.mode is REPLICATE and progress.flying:
            progress.probe(progress.match + 1)
        progress.waiting = progress.waiting and _never_again(s, progress)


def _never_again(s: RaftState, progress: Progress) -> bool:
    """Return whether a flaw keeps a message that was lost from being sent again."""
    if progress.mode is SNAPSHOT:
        return s.flaws.snapshot_chunk_never_repeated
    return progress.mode is PROBE and s.flaws.probe_never_repeated


def answered(s: RaftState, now_ns: int, peer: str, progress: Progress) -> None:
    """Allow the next message to a node that answers heartbeats again: a message without an answer for two heartbeats was probably lost in a
    partition.
    """
    if progress.waiting and now_ns - progress.sent_ns >= 2 * s.timing.heartbeat_ns:
        progress.waiting = _never_again(s, progress)
