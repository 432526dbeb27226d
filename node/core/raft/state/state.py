"""State of one Raft participant, and the few changes of it that every part needs.

The parts (`election`, `replication`, `read_index`, `snapshotting`, `membership`, `contact`) are functions over this state. Names follow the Raft
paper and thesis. All times are monotonic, in ns.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from ....config.node import NodeConfig, Timing
from ....flaws.switch import Flaws
from ...interface.effects import Fsync, FsyncDir, Write
from ...interface.entry import CONFIG, Entry
from ...interface.outbox import Outbox
from ...interface.rng import Chance
from ...interface.signals import LeaderChanged
from ...interface.wall_clock import Wall
from ...storage.journal import Journal
from ...storage.memory_log import Log
from ...storage.snapshot_file import Snapshot
from ...storage.wal import Base, Cut, Doubt, Hard
from .configuration import Voters, weights_from_parity
from .pace import Pace
from .progress import Progress


class Role(str, Enum):
    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre-candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


# Module-level names: access to a member through its enumeration takes ten times as long.
FOLLOWER, PRE_CANDIDATE, CANDIDATE, LEADER = Role


@dataclass(slots=True)
class Handover:
    """A leadership transfer under way: target, deadline, and which request asked for it."""

    to: str
    until_ns: int
    token: int
    sent: bool = False


@dataclass(slots=True)
class Target:
    """The weights that an administrator wants. `begun`: at least one step towards them was appended to the log."""

    token: int
    voters: Voters
    force: bool
    begun: bool = False


@dataclass(slots=True)
class Incoming:
    """The part of a leader's snapshot that has arrived."""

    index: int
    term: int
    total: int
    parts: list[bytes] = field(default_factory=list)
    received: int = 0


@dataclass(slots=True)
class Writing:
    """A snapshot being written, `written` bytes so far. The next write begins when `op` is done. `received`: it came from a leader."""

    snapshot: Snapshot
    received: bool
    written: int = 0
    op: int = 0


@dataclass(slots=True)
class RemoteRead:
    """A read index requested by a follower: which node to answer, with which context."""

    peer: str
    incarnation: int
    context: int


@dataclass(slots=True)
class RoundReads:
    """Reads that are confirmed at `index` once a quorum has answered a round of heartbeats."""

    round: int
    index: int
    reads: list[int | RemoteRead]


@dataclass(slots=True)
class RaftState:
    """State of Raft on a node; see the module. `reads_*` and the fields after `progress` are meaningful on a leader only."""

    config: NodeConfig
    flaws: Flaws
    incarnation: int
    out: Outbox
    wall: Wall
    chance: Chance
    journal: Journal
    log: Log
    term: int
    vote: str
    snapshot: Snapshot | None
    configs: list[tuple[int, Voters]]
    """(index, voters) of every configuration in the log, preceded by the one at the log's base."""
    commit: int
    durable: int
    torn: bool
    known: int
    """Last index that recovery found. A torn node is whole only beyond it."""

    others: list[str] = field(default_factory=list)
    """Nodes that receive the log: configured nodes, voters, members."""
    role: Role = FOLLOWER
    leader: str | None = None
    announced: tuple[str | None, int, bool] = (None, -1, False)
    voters_announced: Voters | None = None
    issued_last: int = 0
    whole_at: int | None = None
    hard_op: int | None = None
    fresh: list[Entry] = field(default_factory=list)
    """Entries appended in this step, not traced yet."""

    heard_ns: int = 0
    """When this node last heard a leader of its term."""
    parted: str | None = None
    """The leader, while the connection to it is lost and nothing was heard from it since."""
    hurries: int = 0
    """Early pre-votes that remain before the election timer."""
    hurried_ns: int = -(1 << 62)
    """When the last early election began."""
    heard_from: dict[str, int] = field(default_factory=dict)
    quiet_until_ns: int = 0
    """With leases, a restarted node denies votes until then: it may have heard a leader before the restart."""
    contact_ns: int = 0
    contact: bool = True
    election_timeout_ns: int = 0
    election_at_ns: int = 0
    votes: dict[str, int] = field(default_factory=dict)
    self_vote_op: int | None = None

    writing: Writing | None = None
    incoming: Incoming | None = None

    reads_wanted: list[int] = field(default_factory=list)
    reads_asked: list[tuple[int, int]] = field(default_factory=list)
    """(context of the first request, token)."""
    asked_ns: int = 0
    context: int = 0

    progress: dict[str, Progress] = field(default_factory=dict)
    noop_index: int = 0
    round: int = 0
    rounds: deque[tuple[int, int, int]] = field(default_factory=lambda: deque(maxlen=256))
    lease_wall_ns: int | None = None
    beat_ns: int = 0
    """When the last heartbeat was due: the flaw `lease-not-checked-after-pause` takes it for the present."""
    led_since_ns: int = 0
    lease_void: bool = False
    """This leader sent TimeoutNow, so voters no longer have to wait."""
    reads_new: list[int | RemoteRead] = field(default_factory=list)
    reads_round: deque[RoundReads] = field(default_factory=deque)
    round_wanted: bool = False
    news_wanted: bool = False
    """Other nodes need the commit index before the next heartbeat."""
    learner_pace: Pace = field(default_factory=lambda: Pace("learners"))
    news_pace: Pace = field(default_factory=lambda: Pace("news"))
    handover: Handover | None = None
    target: Target | None = None

    @property
    def announces_voters(self) -> bool:
        """Return whether another machine of this node needs the voters, so that they must be announced to it."""
        return self.config.membership is not None or self.config.memory is not None

    @property
    def me(self) -> str:
        return self.config.node

    @property
    def timing(self) -> Timing:
        return self.config.timing

    @property
    def voters(self) -> Voters:
        """The active weights: the latest configuration in the log, committed or not."""
        voters = self.configs[-1][1]
        if self.flaws.voters_adopted_at_commit:
            voters = next((known for at, known in reversed(self.configs) if at <= self.commit), self.configs[0][1])
        if self.flaws.weights_from_parity:
            return weights_from_parity(voters, self.config.preferred)
        return voters

    @property
    def leading(self) -> bool:
        return self.role is LEADER

    def counted(self, now_ns: int) -> Voters:
        """Return the voters that quorums are counted over."""
        if self.flaws.quorum_of_live:
            since = now_ns - self.timing.election_max_ns
            return {n: w for n, w in self.voters.items() if n == self.me or self.heard_from.get(n, 0) >= since}
        return self.voters

    def voters_at(self, index: int) -> Voters:
        """Return the active configuration at `index`, which must not be compacted away."""
        return next(voters for at, voters in reversed(self.configs) if at <= index)

    def persist_hard(self) -> None:
        """Stage term and vote for the disk. No message that carries them may leave before `term_gate`."""
        if self.flaws.term_vote_split_write:
            _write_vote(self.out, self.vote)
        self.journal.stage(Hard(self.term, self.vote))
        self.hard_op = self.journal.gate

    def term_gate(self) -> int | None:
        """Return the storage operation that makes term and vote durable; None when it is done. Answers to heartbeats wait only for this operation."""
        return self.hard_op if self.hard_op is not None and self.journal.pending(self.hard_op) else None

    def begin_segment(self) -> None:
        """Write the whole log and the term and vote into a new segment. This is done after a snapshot, and at boot, when nothing on disk is known to
        be durable.
        """
        vote = "" if self.flaws.vote_lost_at_compaction else self.vote
        base, hard = Base(self.log.base_index, self.log.base_term), Hard(self.term, vote)
        self.journal.roll(base, hard, Doubt(self.known if self.torn else None), self.log.tail())
        self.hard_op = self.journal.gate

    def append(self, entries: Sequence[Entry]) -> None:
        """Append entries to the log in memory and stage them for the disk. Adopt configurations at once (Raft thesis, 4.1)."""
        self.log.append(entries)
        self.fresh.extend(entries)
        stage = self.journal.stage
        for entry in entries:
            stage(entry)
            if entry.command[0] == CONFIG:
                self.configs.append((entry.index, entry.command[1]))
                self.out.trace("config", index=entry.index, voters=entry.command[1])

    def cut(self, index: int) -> None:
        """Truncate a conflicting suffix of the log, in memory and on disk."""
        self.trace_appended()
        self.log.cut(index)
        self.journal.stage(Cut(index))
        self.out.trace("truncate", **{"from": index})
        self.durable = min(self.durable, index - 1)
        self.issued_last = min(self.issued_last, index - 1)
        if self.whole_at is not None and self.whole_at >= index:
            self.whole_at = None
        if self.configs[-1][0] >= index:
            removed = self.configs[-1][1]
            while self.configs[-1][0] >= index:
                self.configs.pop()
            if self.flaws.config_not_rolled_back:
                self.configs[-1] = (self.configs[-1][0], removed)
            self.out.trace("config", index=self.configs[-1][0], voters=self.configs[-1][1])

    def trace_appended(self) -> None:
        if self.fresh:
            self.out.trace("append", entries=[[entry.index, entry.term, entry.crc] for entry in self.fresh])
            self.fresh = []

    def announce_leader(self) -> None:
        """Send the other machines the leader, if it changed."""
        news = (self.leader, self.term, self.leading)
        if news != self.announced:
            self.announced = news
            self.out.emit(LeaderChanged(*news))


_VOTE_FILE = "vote"
"""For the flaw `term-vote-split-write`: a file for the vote alone, which nothing waits for."""


def _write_vote(out: Outbox, vote: str) -> None:
    write, fsync = out.next_op(), out.next_op()
    out.store(Write(write, _VOTE_FILE, vote.encode()))
    out.store(Fsync(fsync, _VOTE_FILE, (write,)))
    out.store(FsyncDir(out.next_op(), (fsync,)))


def read_vote(files: Mapping[str, bytes]) -> str:
    """Return the vote from the separate file that the flaw `term-vote-split-write` writes."""
    return files.get(_VOTE_FILE, b"").decode("utf-8", "replace")
