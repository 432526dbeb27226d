"""Named bugs, off by default: so that the checkers can be shown to bite.

Each flaw is one field of `Flaws`, tested by one `if` at the exact place where real systems had the bug. The registry `FLAWS` says what is
broken, where it was seen in the world, and which checker must object. A node with a flaw is for tests of the testbed, never for data.

    Flaws.from_names(["ack-before-majority"]).ack_before_majority is True
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from .errors import ConfigError


@dataclass(frozen=True, slots=True)
class Flaws:
    stale_read_from_deposed_leader: bool = False
    ack_before_majority: bool = False
    quorum_of_live: bool = False
    wall_clock_lease: bool = False
    ack_before_fsync: bool = False
    no_client_dedup: bool = False
    vote_not_durable: bool = False
    no_noop_stale_read: bool = False
    commit_old_term_by_count: bool = False
    dup_vote_counted: bool = False
    no_log_freshness: bool = False
    readindex_context_reuse: bool = False
    commit_past_verified: bool = False
    weights_from_parity: bool = False

    @classmethod
    def from_names(cls, names: Iterable[str]) -> Flaws:
        """From names as in `FLAWS`. Raises `ConfigError` for an unknown one."""
        chosen = {}
        for name in names:
            if name not in FLAWS:
                raise ConfigError(f"flaws: there is no flaw {name!r}", f"the flaws are {', '.join(FLAWS)}")
            chosen[name.replace("-", "_")] = True
        return cls(**chosen)

    @property
    def any(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True, slots=True)
class Flaw:
    """`title` in a few words; `broken`: what is done wrong; `source`: where it happened; `checker`: who must object."""

    name: str
    title: str
    broken: str
    source: str
    checker: str


_ALL = (
    Flaw(
        "stale-read-from-deposed-leader",
        "A leader answers reads without asking anybody",
        "A leader serves linearizable reads from its own state with no round of confirmation, and does not step down when it lost its quorum.",
        "Consul issue 54; Jepsen on etcd and Consul, 2014",
        "linearizable",
    ),
    Flaw(
        "ack-before-majority",
        "A write is acknowledged when one disk has it",
        "The leader commits and answers as soon as its own log is durable.",
        "etcd issues 14370 and 10508 (acknowledged before it was persisted by enough)",
        "linearizable",
    ),
    Flaw(
        "quorum-of-live",
        "The quorum is counted over the nodes believed alive",
        "Votes, commits and confirmations need more than half of the weight of the nodes heard lately, so both halves of a partition go on.",
        "the split brain of systems that take membership from a failure detector (Elasticsearch issue 2488)",
        "linearizable",
    ),
    Flaw(
        "wall-clock-lease",
        "The leader's lease is measured on the wall clock",
        "Lease reads, and the leader's reason to step down, trust the wall clock; a clock set back prolongs the lease.",
        "NebulaGraph issue 5352 and the like (leases under clock skew)",
        "linearizable",
    ),
    Flaw(
        "ack-before-fsync",
        "A follower acknowledges entries that are not on disk yet",
        "Append replies are not held back until the fsync; a power cut loses acknowledged entries.",
        "the classical durability bug; RedisRaft before 2020",
        "raft-safety",
    ),
    Flaw(
        "no-client-dedup",
        "A retried command takes effect twice",
        "Sessions do not remember the last sequence number, so a command that was sent again is applied again.",
        "akka-raft issue 64",
        "linearizable",
    ),
    Flaw(
        "vote-not-durable",
        "A vote is forgotten by a restart",
        "The vote is answered without being written; a node restarted in the same term votes again.",
        "raft-java issue 57",
        "raft-safety",
    ),
    Flaw(
        "no-noop-stale-read",
        "A new leader serves reads before it knows what is committed",
        "Reads do not wait until an entry of the leader's own term is committed.",
        "etcd issue 7331; RedisRaft issue 22",
        "linearizable",
    ),
    Flaw(
        "commit-old-term-by-count",
        "Entries of earlier terms are committed by counting replicas",
        "The leader advances its commit index over entries of earlier terms (figure 8 of the Raft paper).",
        "LogCabin issue 44",
        "raft-safety",
    ),
    Flaw(
        "dup-vote-counted",
        "A repeated vote reply counts twice",
        "Votes are counted by message and not by voter, so that a duplicate wins an election.",
        "Coyote's Raft sample, issue 8",
        "raft-safety",
    ),
    Flaw(
        "no-log-freshness",
        "A vote for a candidate with an older log",
        "Votes are granted without comparing the logs, so that a leader may lack committed entries.",
        "Hydro issue 3082",
        "raft-safety",
    ),
    Flaw(
        "readindex-context-reuse",
        "An earlier confirmation is taken for a later read",
        "A read joins the heartbeat round that is under way already, so acknowledgements from before its arrival confirm it.",
        "etcd issue 20418",
        "linearizable",
    ),
    Flaw(
        "commit-past-verified",
        "A follower commits entries that the leader did not check",
        "The follower's commit index follows the leader's over a tail that was never compared.",
        "copycat issue 265",
        "raft-safety",
    ),
    Flaw(
        "weights-from-parity",
        "Weights are derived from the size of the cluster",
        "The preferred node weighs 2 whenever the number of voters is even, so growing by one changes two weights at once and quorums need not intersect.",
        "even-sized clusters with a derived tiebreak",
        "raft-safety",
    ),
)

FLAWS: dict[str, Flaw] = {flaw.name: flaw for flaw in _ALL}
