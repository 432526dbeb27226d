"""A leader's view of one other node's log.

`PROBE`: one message at a time until the logs are known to agree. `REPLICATE`: a bounded number of messages in flight. `SNAPSHOT`: chunks, one at a
time. A node that does not answer falls back to `PROBE`, so nothing piles up for it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum

from ...storage.snapshot_file import Snapshot


class Mode(Enum):
    PROBE = "probe"
    REPLICATE = "replicate"
    SNAPSHOT = "snapshot"


# Module-level names: access to a member through its enumeration takes ten times as long.
PROBE, REPLICATE, SNAPSHOT = Mode


@dataclass(slots=True)
class Progress:
    """Progress of one other node. `match` is the highest index that is certainly durable there; `next` is the index to send next. `waiting`: a probe
    or chunk, sent at `sent_ns`, is unanswered.

    Invariant: match < next. `torn`: the node lost the tail of its log, and does not count for a quorum until a leader has sent it the whole log
    again.
    """

    next: int
    match: int = 0
    mode: Mode = PROBE
    waiting: bool = False
    sent_ns: int = 0
    flying: deque[int] = field(default_factory=deque)
    torn: bool = False
    acked_round: int = 0
    answered_ns: int | None = None
    """When it last answered a heartbeat of this leader."""
    commit_sent: int = 0
    """Highest commit index that was sent to it."""
    snapshot: Snapshot | None = None
    offset: int = 0

    def probe(self, following: int) -> None:
        self.mode, self.next, self.waiting = PROBE, max(following, self.match + 1), False
        self.flying.clear()
        self.snapshot, self.offset = None, 0

    def check(self) -> None:
        assert self.match < self.next, (self.match, self.next)
        assert (self.mode is SNAPSHOT) == (self.snapshot is not None), (self.mode, self.snapshot)
