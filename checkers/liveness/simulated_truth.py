"""Ground truth of a simulated run that hosts cannot provide: which disks were damaged, which requests stayed unanswered, how patient the nodes are.

Without it (`known_truth` returns None) the same observations are no proof: a disk may have failed by itself, and a host may have paused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..base.result import RunRecord

ELECTIONS = 5
"""Consecutive elections that may be split or fail before one is won."""

HEARTBEATS = 6


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A request that `node` received at `at_ns` and had not answered at `late_ns`, long after its deadline, although it ran and its disk was whole."""

    node: str
    what: str
    at_ns: int
    deadline_ns: int
    late_ns: int


@dataclass(frozen=True, slots=True)
class Administered:
    """An administrator's request to `node`, and its answer: `status` None while there is none. `voters` are the requested weights, of a change of voters."""

    node: str
    what: str
    at_ns: int
    voters: Mapping[str, int] = field(default_factory=dict)
    answered_ns: int | None = None
    status: str | None = None
    error: str | None = None
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Truth:
    """Ground truth and promises of a simulated run.

    `damaged_ns`: node → run time from which on its disk was, or may have been, damaged, full or failing. `forgot_ns`: from when on some node may have
    lost what it had synced; None: none did. `heartbeat_ns` and `election_ns` are the longest heartbeat and election timeout of any node, `settle_ns`
    what a network needs to carry everything again after a fault. `fair`: it is fast enough for stable leaders. `calm`: from the heal on only faults
    lost or delayed anything; `lossless`: all the time. In `probing_ns` a failure detector that does not doubt itself probes every member.
    `detection_ns` is the longest time in which it notices the end or the return of a member while all others answer it, `worst_detection_ns` the same
    whatever happens to the others; 0 without detectors. A suspicion that nothing refutes ends within `suspicion_ns`: the member counts as failed.
    `datagrams_lossless`: only faults lose or reorder datagrams.
    """

    damaged_ns: Mapping[str, int] = field(default_factory=dict)
    forgot_ns: int | None = None
    heartbeat_ns: int = 0
    election_ns: int = 0
    settle_ns: int = 0
    snapshot_threshold: int = 0
    slowed: Sequence[str] = ()
    probing_ns: int = 0
    detection_ns: int = 0
    worst_detection_ns: int = 0
    suspicion_ns: int = 0
    datagrams_lossless: bool = False
    fair: bool = True
    calm: bool = False
    lossless: bool = False
    unanswered: Sequence[Unanswered] = ()
    administered: Sequence[Administered] = ()

    @property
    def recovery_ns(self) -> int:
        """Return the time from the end of all faults until a whole cluster has elected a leader that answers: several elections may be split."""
        return ELECTIONS * self.election_ns + self.settle_ns

    @property
    def patience_ns(self) -> int:
        """Return the time that a node which knows the leader may take for a request: it repeats it after two heartbeats."""
        return HEARTBEATS * self.heartbeat_ns + self.settle_ns // 20

    def was_damaged(self, node: str, at_ns: int) -> bool:
        return node in self.damaged_ns and self.damaged_ns[node] <= at_ns


def known_truth(record: RunRecord) -> Truth | None:
    """Return the truth of a simulated run; None for any other run."""
    recorded: Mapping[str, Any] = record.truth
    if not recorded:
        return None
    unanswered = [Unanswered(**one) for one in recorded.get("unanswered", ())]
    administered = [Administered(**one) for one in recorded.get("administered", ())]
    return Truth(**{**recorded, "unanswered": unanswered, "administered": administered})
