"""Rate limit for messages that no commit waits for: entries to nodes without a vote, commit indices to all.

A message costs sender and receiver about the same, whether it holds one entry or fifty. A single one leaves at once; those that follow soon after are
batched. The interval grows with the cluster, so a leader of 31 others spends about as much on these as a leader of four.
"""

from __future__ import annotations

from ...interface.outbox import Outbox

PER_NODE_NS = 500_000
"""About three times the cost of one message to a leader, so that it spends at most a third of its time on them."""


class Pace:
    """Rate limit of one kind of message: when the next may leave, and whether a timer waits for that."""

    __slots__ = ("armed", "next_ns", "timer")

    def __init__(self, kind: str) -> None:
        self.timer = f"raft/pace/{kind}"
        self.next_ns = 0
        self.armed = False

    def due(self, out: Outbox, now_ns: int, receivers: int) -> bool:
        """Return whether to send now. If not, a timer triggers a step as soon as sending is allowed."""
        if now_ns >= self.next_ns:
            self.next_ns = now_ns + PER_NODE_NS * receivers
            return True
        if not self.armed:
            self.armed = True
            out.set_timer(self.timer, self.next_ns)
        return False
