"""The Raft machine: dispatches messages, timers, completions and signals to the module that handles each.

All rules about terms are here. A later term makes this node a follower. A message of an earlier term is answered with the term of this node, so that
its sender learns that term.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ...bounded import REACHABLE
from ...config.node import NodeConfig
from ...flaws.switch import Flaws
from ..interface.events import Connected, DialRefused, Disconnected, Start
from ..interface.machine import Machine
from ..interface.messages import (
    AppendEntries,
    AppendReply,
    Heartbeat,
    HeartbeatReply,
    InstallSnapshot,
    Message,
    PreVote,
    PreVoteReply,
    ReadIndex,
    ReadIndexReply,
    SnapshotReply,
    TimeoutNow,
    Vote,
    VoteReply,
)
from ..interface.outbox import Outbox
from ..interface.rng import Chance
from ..interface.signals import (
    Propose,
    QuorumLost,
    ReadRequest,
    Restore,
    RosterChanged,
    SetVoters,
    SnapshotTaken,
    Transfer,
    VotersChanged,
)
from ..interface.wall_clock import Wall
from ..storage.journal import Journal
from ..storage.memory_log import Log
from ..storage.recovery import Recovered, recover
from ..storage.wal import Doubt
from . import (
    commit,
    contact,
    early_election,
    election,
    handover,
    leadership,
    membership,
    read_index,
    replication,
    roles,
    snapshotting,
)
from .state import invariants
from .state.configuration import Voters
from .state.state import LEADER, RaftState, read_vote

TERM_LEAP = 1 << 32
"""Largest accepted lead of another node's term: more elections than fit in forty years."""
_FROM_LEADER = dict.fromkeys((Heartbeat, AppendEntries, InstallSnapshot, TimeoutNow))
_ANSWERS = dict.fromkeys((VoteReply, HeartbeatReply, AppendReply, SnapshotReply, ReadIndexReply))


class Raft(Machine):
    name = "raft"

    def __init__(self, config: NodeConfig, out: Outbox, wall: Wall) -> None:
        self._config = config
        self._out = out
        self._wall = wall
        self.state: RaftState | None = None
        self.terms_refused = 0
        self.signals: Mapping[type[Any], Callable[[int, Any], None]] = {
            Propose: lambda now, signal: replication.propose(self._s, signal),
            ReadRequest: lambda now, signal: read_index.on_request(self._s, now, signal),
            SnapshotTaken: lambda now, signal: snapshotting.on_taken(self._s, signal),
            Transfer: lambda now, signal: handover.begin_handover(self._s, now, signal),
            SetVoters: lambda now, signal: membership.begin_walk(self._s, now, signal),
            QuorumLost: lambda now, signal: read_index.forget(self._s),
            RosterChanged: lambda now, signal: membership.on_roster(self._s, signal),
        }
        self._messages: Mapping[type[Any], Callable[[RaftState, int, str, Any], None]] = {
            PreVote: election.on_pre_vote,
            PreVoteReply: election.on_pre_vote_reply,
            Vote: election.on_vote,
            VoteReply: election.on_vote_reply,
            Heartbeat: _on_heartbeat,
            HeartbeatReply: leadership.on_heartbeat_reply,
            AppendEntries: replication.on_append,
            AppendReply: replication.on_append_reply,
            InstallSnapshot: snapshotting.on_piece,
            SnapshotReply: snapshotting.on_reply,
            TimeoutNow: election.on_timeout_now,
            ReadIndex: read_index.on_read_index,
            ReadIndexReply: lambda s, now, peer, m: read_index.on_read_index_reply(s, m),
        }

    @property
    def _s(self) -> RaftState:
        assert self.state is not None, "the first event is Start"
        return self.state

    def start(self, now_ns: int, event: Start) -> None:
        """Recover from disk. Raises `CorruptionError`."""
        found = recover(event.files, Flaws.from_names(self._config.flaws))
        s = self.state = _recovered_state(self._config, self._out, self._wall, event, found)
        self._out.trace(
            "start",
            term=s.term,
            voted_for=s.vote or None,
            last_index=s.log.last_index,
            last_term=s.log.last_term,
            snapshot_index=s.commit,
            voters=dict(s.voters),
            torn=s.torn,
        )
        if s.snapshot is not None:
            self._out.emit(Restore(s.snapshot.index, s.snapshot.data))
        s.begin_segment()
        for peer in (s.me, *s.others):
            s.heard_from[peer] = now_ns
        if self._config.lease_reads and not s.flaws.restart_votes_within_lease:
            s.quiet_until_ns = now_ns + s.timing.election_min_ns
        contact.begin(s, now_ns)
        roles.arm_election(s, now_ns)
        s.announce_leader()

    def on_message(self, now_ns: int, peer: str, message: Message) -> None:
        s = self.state
        assert s is not None
        kind = type(message)
        term: int = message.term  # type: ignore[union-attr]
        if term > min(s.term + TERM_LEAP, REACHABLE):
            self._refuse(peer, term)
            return
        s.heard_from[peer] = now_ns
        if term > s.term and kind is not PreVote and kind is not Vote:
            deaf = s.flaws.higher_term_in_reply_ignored and kind in _ANSWERS
            if not deaf:
                roles.become_follower(s, now_ns, term, peer if kind in _FROM_LEADER else None, "a later term")
        if kind in _FROM_LEADER:
            stale = s.flaws.stale_term_accepted and kind is AppendEntries and not s.leading
            if term < s.term and not stale:
                s.out.send(peer, HeartbeatReply(s.term, 0), s.journal.gate)
                return
            roles.observe_leader(s, now_ns, peer)
            contact.note(s, now_ns, now_ns)
        elif term < s.term and kind in _ANSWERS and not (s.flaws.stale_vote_counted and kind is VoteReply):
            return
        self._messages[kind](s, now_ns, peer, message)

    def _refuse(self, peer: str, term: int) -> None:
        """Refuse a message whose term is too far ahead. A term never decreases, so one near the largest number would end all elections for good."""
        self.terms_refused += 1
        if self.terms_refused == 1:
            self._out.trace("term-refused", peer=peer, term=term)

    def on_timer(self, now_ns: int, key: str) -> None:
        s = self._s
        if key == roles.ELECTION:
            election.on_timer(s, now_ns)
        elif key == leadership.HEARTBEAT:
            leadership.on_timer(s, now_ns)
        elif key == contact.TIMER:
            contact.on_timer(s, now_ns)
        else:
            for pace in (s.learner_pace, s.news_pace):
                pace.armed = pace.armed and key != pace.timer

    def on_storage(self, now_ns: int, op: int) -> None:
        s = self.state
        assert s is not None
        snapshotting.on_stored(s, now_ns, op)
        if not s.journal.done(op):
            return
        if s.issued_last > s.durable:
            s.durable = s.issued_last
            s.out.trace("durable", index=s.durable, term=s.log.term(s.durable))
            if s.whole_at is not None and s.durable >= s.whole_at:
                s.torn, s.whole_at = False, None
                s.journal.stage(Doubt(None))
        election.on_durable(s, now_ns, op)
        if s.role is LEADER:
            commit.advance_commit(s, now_ns)
            handover.continue_handover(s)

    def on_connection(self, now_ns: int, event: Connected | Disconnected) -> None:
        """Probe the peer again from the index up to which the logs agree, because messages in flight may be lost."""
        if type(event) is Disconnected:
            early_election.on_disconnected(self._s, event.peer)
        else:
            early_election.on_connected(self._s, event.peer)
        progress = self._s.progress.get(event.peer)
        if progress is not None and progress.snapshot is None:
            progress.probe(progress.match + 1)

    def on_dial_refused(self, now_ns: int, event: DialRefused) -> None:
        early_election.on_refused(self._s, now_ns, event.peer)

    def flush(self, now_ns: int) -> None:
        """Finish a step: send and write, in one batch, everything that its events made due."""
        s = self.state
        assert s is not None
        if s.role is LEADER:
            if s.reads_new:
                read_index.want_round(s)
            if s.round_wanted:
                leadership.broadcast(s, now_ns)
            replication.replicate(s, now_ns)
            if s.news_wanted:
                replication.send_commit(s, now_ns)
        elif s.reads_wanted or s.reads_asked:
            read_index.ask_leader(s, now_ns)
        if s.fresh:
            s.trace_appended()
        if s.announces_voters and s.voters_announced != s.voters:
            s.voters_announced = s.voters
            s.out.emit(VotersChanged(s.voters))
        if s.journal.staged and s.journal.flush() is not None:
            s.issued_last = s.log.last_index
            if s.flaws.apply_before_persist and s.leading:
                commit.advance_commit(s, now_ns)

    def status(self) -> dict[str, Any]:
        s = self._s
        return {
            "role": s.role.value,
            "term": s.term,
            "leader": s.leader,
            "commit": s.commit,
            "last_index": s.log.last_index,
            "durable": s.durable,
            "voters": dict(s.voters),
            "torn": s.torn,
            "quorum": s.contact,
        }

    def check(self) -> None:
        invariants.check(self._s)

    def fingerprint(self) -> Any:
        """Return the state as JSON values: they are different for different states."""
        s = self._s
        entries = [[entry.index, entry.term, entry.crc] for entry in s.log.tail()]
        progress = {peer: [p.match, p.next, p.mode.value, p.acked_round] for peer, p in s.progress.items()}
        return [
            self.status(),
            s.vote,
            s.log.base_index,
            s.log.base_term,
            entries,
            progress,
            s.round,
            s.context,
            s.contact_ns,
        ]


def _on_heartbeat(s: RaftState, now_ns: int, peer: str, m: Heartbeat) -> None:
    """Follow the leader's commit index. The leader names none beyond what this node is known to hold."""
    commit.follow_commit(s, now_ns, min(m.commit, s.log.last_index))
    s.out.send(peer, HeartbeatReply(s.term, m.round), s.term_gate())


def _recovered_state(config: NodeConfig, out: Outbox, wall: Wall, event: Start, found: Recovered) -> RaftState:
    log = Log(found.base_index, found.base_term, found.entries)
    snapshot = found.snapshot
    flaws = Flaws.from_names(config.flaws)
    base: tuple[int, Voters] = (0, dict(config.voters)) if snapshot is None else (snapshot.index, snapshot.voters)
    configs = [base] + [(e.index, e.command[1]) for e in found.entries if e.command[0] == "config"]
    return RaftState(
        config=replace(config),
        flaws=flaws,
        incarnation=event.incarnation,
        out=out,
        wall=wall,
        chance=Chance(event.seed, config.node, event.incarnation),
        journal=Journal(out, found, flaws),
        log=log,
        term=found.term,
        vote=read_vote(event.files) if flaws.term_vote_split_write else found.vote,
        snapshot=snapshot,
        configs=configs,
        commit=snapshot.index if snapshot is not None else 0,
        durable=log.base_index,
        torn=found.torn and not flaws.torn_tail_trusted,
        known=found.known,
        others=[name for name in dict.fromkeys((*config.peers, *config.voters)) if name != config.node],
        issued_last=log.base_index,
    )
