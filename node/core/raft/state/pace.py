"""How often a leader sends what no commit waits for: entries to nodes without a vote, news of commits to all.

A message costs its sender and its receiver about as much whether it holds one entry or fifty. What comes alone leaves at once; what comes soon
after it is gathered. The interval grows with the cluster, so that a leader of 31 others spends about as much on these as a leader of four.
"""

from __future__ import annotations

from ...interface.outbox import Outbox

PER_NODE_NS = 500_000
"""About three times what one message costs a leader: it spends a third of its time at most."""


class Pace:
    """One kind of message: when the next may leave, and whether a timer waits for that."""

    __slots__ = ("armed", "next_ns", "timer")

    def __init__(self, kind: str) -> None:
        self.timer = f"raft/pace/{kind}"
        self.next_ns = 0
        self.armed = False

    def due(self, out: Outbox, now_ns: int, receivers: int) -> bool:
        """Whether to send now. If not, a timer ends another step as soon as it is."""
        if now_ns >= self.next_ns:
            self.next_ns = now_ns + PER_NODE_NS * receivers
            return True
        if not self.armed:
            self.armed = True
            out.set_timer(self.timer, self.next_ns)
        return False
