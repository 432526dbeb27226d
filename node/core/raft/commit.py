"""Commit rules: advance the commit index, act on what is committed, and handle a leader that contradicts a committed entry."""

from __future__ import annotations

from ..interface.entry import CONFIG
from ..interface.signals import Committed, Restore, SnapshotDue
from . import membership
from .state.configuration import quorum_value
from .state.state import RaftState


def match_of(s: RaftState) -> dict[str, int]:
    """Return, for each node, the highest index that is known to be durable there. A torn node (its disk lost the log's tail) counts as 0."""
    match = {peer: 0 if progress.torn else progress.match for peer, progress in s.progress.items()}
    match[s.me] = s.log.last_index if s.flaws.apply_before_persist else s.durable
    return match


def advance_commit(s: RaftState, now_ns: int) -> None:
    """Commit the entries that a quorum holds durably, once they include an entry of the current term (Raft paper, 5.4.2)."""
    if s.commit >= s.log.last_index:
        return
    match = match_of(s)
    counted = dict.fromkeys(match, 1) if s.flaws.commit_counts_learners else s.counted(now_ns)
    index = s.durable if s.flaws.ack_before_majority else quorum_value(counted, match)
    if index <= s.commit:
        return
    if s.log.term(index) != s.term and not s.flaws.commit_old_term_by_count:
        return
    voters = s.voters
    shown = {name: match.get(name, 0) for name in voters}
    s.out.trace("commit", index=index, term=s.term, match=shown, voters=dict(voters))
    if s.config.agents is not None:
        # Followers host agents too. Without this message a follower would learn of an agent to start only with the next heartbeat.
        s.news_wanted = True
    follow_commit(s, now_ns, index)


def follow_commit(s: RaftState, now_ns: int, index: int) -> None:
    """Commit everything up to `index`: hand it to the application, and take a snapshot when one is due."""
    if index <= s.commit:
        return
    entries = s.log.slice(s.commit + 1, index)
    asked = s.configs[-1][0] > s.commit or s.target is not None
    s.commit = index
    s.out.emit(Committed(entries))
    taken = s.snapshot.index if s.snapshot is not None else 0
    if index - taken >= s.config.snapshot_threshold and s.writing is None and not s.flaws.snapshot_never_taken:
        s.out.emit(SnapshotDue(index - taken))
    for entry in entries if asked else ():
        if entry.command[0] == CONFIG or (s.target is not None and entry.index == s.noop_index):
            membership.on_committed(s, now_ns, entry)


def contradicted(s: RaftState, index: int, term: int) -> None:
    """Handle a leader that sent an entry different from the committed one at `index`.

    Leader completeness rules this out in a correct cluster, so a correct node halts: its state cannot be trusted. With planted flaws a contradiction
    is expected. The node then drops what it applied and goes on, so that the checkers can find what clients saw.
    """
    floor = s.snapshot.index if s.snapshot is not None else 0
    if not s.flaws.any or index <= floor:
        s.out.halt(
            f"the leader {s.leader} of term {s.term} sent another entry at index {index} (term {term}) than the committed one "
            f"(term {s.log.term(index)})\nhint: keep this data directory for inspection; then empty it and start the node again"
        )
        return
    s.commit = floor
    s.out.emit(Restore(floor, s.snapshot.data if s.snapshot is not None else None))
