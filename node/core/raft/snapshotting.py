"""Snapshots: taken after enough entries were applied, written next to the old one, sent in chunks to nodes that are too far behind.

A snapshot counts only when its file, its rename and the directory are durable. Only then are the entries before it dropped from the log: a new
segment begins, and the old segments are removed once the new one is durable.
"""

from __future__ import annotations

from ...errors import CorruptionError
from ..interface.effects import Append, Fsync, FsyncDir, Rename, Write
from ..interface.messages import InstallSnapshot, SnapshotReply
from ..interface.signals import Restore, SnapshotTaken
from ..storage.snapshot_file import FILE, TEMPORARY, Snapshot, make_snapshot, parse_snapshot, refuse_unreadable
from .commit import advance_commit
from .state.progress import SNAPSHOT, Progress
from .state.state import Incoming, RaftState, Writing

PIECE_CHARACTERS = 192 * 1024
"""Characters in one InstallSnapshot. JSON inside JSON escapes quotes, so a frame of 1 MiB needs a margin."""
WRITE_BYTES = 1 << 20
"""Bytes of a snapshot written and synced at once."""
SIZE_LIMIT = 1 << 30


def on_taken(s: RaftState, taken: SnapshotTaken) -> None:
    """Begin to write the application's state at its applied index."""
    term = s.log.term(taken.index)
    if s.writing is None and term is not None and taken.index > s.log.base_index:
        voters = s.config.voters if s.flaws.snapshot_without_voters else s.voters_at(taken.index)
        _write(s, make_snapshot(taken.index, term, voters, taken.text, taken.digest), received=False)


def begin_sending(s: RaftState, progress: Progress) -> None:
    assert s.snapshot is not None and s.snapshot.index >= s.log.base_index
    progress.probe(progress.next)
    progress.mode, progress.snapshot = SNAPSHOT, s.snapshot


def send_piece(s: RaftState, now_ns: int, peer: str, progress: Progress) -> None:
    """Send the next chunk, unless the last one is unanswered."""
    snapshot = progress.snapshot
    if snapshot is None or progress.waiting:
        return
    data = snapshot.cut(progress.offset, PIECE_CHARACTERS).decode("ascii")
    s.out.send(peer, InstallSnapshot(s.term, snapshot.index, snapshot.term, progress.offset, snapshot.size, data))
    progress.waiting, progress.sent_ns = True, now_ns


def on_reply(s: RaftState, now_ns: int, peer: str, m: SnapshotReply) -> None:
    progress = s.progress.get(peer)
    if progress is None:
        return
    if m.installed and m.index <= s.log.last_index:
        if progress.snapshot is not None and m.index >= progress.snapshot.index:
            progress.match = max(progress.match, m.index)
            progress.probe(m.index + 1)
            advance_commit(s, now_ns)
        return
    snapshot = progress.snapshot
    if snapshot is not None and m.index == snapshot.index and (m.received != progress.offset or not m.received):
        progress.offset, progress.waiting = min(m.received, snapshot.size), False


def on_piece(s: RaftState, now_ns: int, peer: str, m: InstallSnapshot) -> None:
    """Handle one chunk. Chunks arrive one by one and may repeat. A chunk of another snapshot restarts the transfer."""
    if m.index <= s.commit and not s.flaws.older_snapshot_installed:
        s.out.send(peer, SnapshotReply(s.term, s.commit, m.total, True), s.journal.gate)
        return
    incoming = s.incoming
    if incoming is None or (incoming.index, incoming.term, incoming.total) != (m.index, m.last_term, m.total):
        if m.offset or m.total > SIZE_LIMIT:
            s.out.send(peer, SnapshotReply(s.term, m.index, 0, False), s.journal.gate)
            return
        incoming = s.incoming = Incoming(m.index, m.last_term, m.total)
    complete = incoming.received + len(m.data) >= m.total
    if m.offset == incoming.received and not (complete and s.writing is not None):
        incoming.parts.append(m.data.encode("ascii", "replace"))
        incoming.received += len(m.data)
        if complete:
            _complete(s, incoming)
    s.out.send(peer, SnapshotReply(s.term, m.index, incoming.received, False), s.journal.gate)


def _complete(s: RaftState, incoming: Incoming) -> None:
    try:
        snapshot = parse_snapshot(incoming.parts, f"snapshot {incoming.index} from {s.leader}")
        refuse_unreadable(snapshot)
    except CorruptionError:
        s.out.trace("snapshot-refused", index=incoming.index, leader=s.leader)
        incoming.parts, incoming.received = [], 0
        return
    _write(s, snapshot, received=True)


def _write(s: RaftState, snapshot: Snapshot, received: bool) -> None:
    s.writing = Writing(snapshot, received)
    _write_on(s, s.writing)


def _write_on(s: RaftState, writing: Writing) -> None:
    """Write and sync the next bytes; after the last ones, rename the file. The log is synced between two writes, so the writes are small."""
    out, snapshot = s.out, writing.snapshot
    data = snapshot.cut(writing.written, WRITE_BYTES)
    last = writing.written + len(data) >= snapshot.size
    write, fsync = out.next_op(), out.next_op()
    out.store(Append(write, TEMPORARY, data) if writing.written else Write(write, TEMPORARY, data))
    writing.written += len(data)
    if last and s.flaws.snapshot_torn_install:
        fsync = write
    else:
        out.store(Fsync(fsync, TEMPORARY, (write,)))
    writing.op = fsync
    if last:
        rename, writing.op = out.next_op(), out.next_op()
        out.store(Rename(rename, TEMPORARY, FILE, (fsync,)))
        out.store(FsyncDir(writing.op, (rename,)))


def on_stored(s: RaftState, now_ns: int, op: int) -> None:
    """Handle the end of storage operation `op`, which may be the last one of a snapshot."""
    writing = s.writing
    if writing is None or writing.op != op:
        return
    if writing.written < writing.snapshot.size:
        _write_on(s, writing)
        return
    snapshot, received, s.writing = writing.snapshot, writing.received, None
    if received:
        s.incoming = None
    if received and (snapshot.index > s.commit or s.flaws.older_snapshot_installed):
        _install(s, snapshot)
    elif s.snapshot is None or snapshot.index > s.snapshot.index:
        s.snapshot = snapshot
        s.out.trace("snapshot", index=snapshot.index, term=snapshot.term, digest=snapshot.digest)
        _compact(s, snapshot)


def _compact(s: RaftState, snapshot: Snapshot) -> None:
    """Drop the log before the snapshot, except some entries for nodes that are slightly behind."""
    index = min(snapshot.index, s.commit) - s.config.snapshot_threshold // 4
    if index > s.log.base_index:
        s.log.compact(index)
        _drop_configs(s, index)
    s.begin_segment()


def _install(s: RaftState, snapshot: Snapshot) -> None:
    """Replace state and log by the leader's. A log that holds the snapshot's last entry keeps what follows it (Raft paper, 7)."""
    s.trace_appended()
    s.snapshot = snapshot
    s.out.trace("snapshot-installed", index=snapshot.index, term=snapshot.term, digest=snapshot.digest)
    forked = s.flaws.conflicting_tail_survives_snapshot and s.log.last_index > snapshot.index
    if s.log.term(snapshot.index) == snapshot.term or forked:
        s.log.compact(snapshot.index)
        s.durable = max(s.durable, snapshot.index)
    else:
        s.log.reset(snapshot.index, snapshot.term)
        s.durable = snapshot.index
    s.issued_last = max(min(s.issued_last, s.log.last_index), snapshot.index)
    s.configs = [(snapshot.index, snapshot.voters)] + [
        c for c in s.configs if snapshot.index < c[0] <= s.log.last_index
    ]
    s.commit = snapshot.index
    s.out.emit(Restore(snapshot.index, snapshot.data))
    s.begin_segment()
    if s.leader is not None and not s.leading:
        s.out.send(s.leader, SnapshotReply(s.term, snapshot.index, snapshot.size, True), s.journal.gate)


def _drop_configs(s: RaftState, index: int) -> None:
    """Drop the configurations older than the active one at `index`."""
    while len(s.configs) > 1 and s.configs[1][0] <= index:
        s.configs.pop(0)
