"""Migration: the state is copied while the agent works, and the agent is paused only for the last changes (pre-copy, as in Clark et al., "Live Migration
of Virtual Machines", NSDI 2005).

    source: COPYING ── little is left ──▶ STANDING ── the target holds all ──▶ SWITCHING ── the log says switched ──▶ gone
               └──────── no answer ──────────┴──▶ GIVEN_UP ── the log says cancelled ──▶ works on

Only the log ends a migration. A paused source stays paused until it has seen the outcome in the log: `agents.switch` may already be committed
although the source does not know it.

Chunks are sent one at a time, numbered and acknowledged. After a loss the transfer continues from the last acknowledged chunk. Keys that change after
they were sent are sent again.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from ...config.node import MS
from ..interface.cluster_messages import AgentPiece
from ..records.agent_state import KeyedState
from .live import Live

PIECE_CHARACTERS = 256 * 1024
SMALL_CHARACTERS = 64 * 1024
"""Characters that may remain when the agent is paused: one message, and a pause of one round trip and one round of the log."""
RESEND_NS = 300 * MS
COPY_PATIENCE_NS = 10_000 * MS
STAND_PATIENCE_NS = 2_000 * MS
"""Time without an acknowledgement after which the source gives up."""


class Phase(Enum):
    COPYING = "copying"
    STANDING = "standing"
    SWITCHING = "switching"
    GIVEN_UP = "given-up"


class Outgoing:
    """Source side of one migration. `piece` is the unacknowledged chunk; `pending` are the keys that the target lacks."""

    def __init__(self, live: Live, to: str, since: int, now_ns: int) -> None:
        self.live = live
        self.to = to
        self.since = since
        self.phase = Phase.COPYING
        self.pending: dict[str, None] = dict.fromkeys(live.state.data)
        self.number = 0
        self.piece: AgentPiece | None = None
        self.sent_ns = now_ns
        self.progress_ns = now_ns
        self.stood_ns = now_ns
        """When the agent was paused."""
        self.characters = 0

    def changed(self, key: str) -> None:
        self.pending[key] = None

    def converged(self) -> bool:
        """Return whether to pause the agent now: either little is left to copy, or the state changes as fast as it is copied, so that the copy would
        never end.
        """
        left = 0
        for key in self.pending:
            left += self.live.state.size(key)
            if left > SMALL_CHARACTERS:
                return self.characters > 3 * self.live.state.characters
        return True

    def next_piece(self) -> AgentPiece:
        """Return the next keys that the target lacks; the last chunk may be empty, because it carries the digest."""
        changes: dict[str, Any] = {}
        gone: list[str] = []
        state, size = self.live.state, 0
        for key in list(self.pending):
            size += state.size(key)
            if size > PIECE_CHARACTERS and (changes or gone):
                break
            del self.pending[key]
            if key in state.data:
                changes[key] = state.data[key]
            else:
                gone.append(key)
            self.characters += state.size(key)
        self.number += 1
        last = self.phase is Phase.STANDING and not self.pending
        work = {"changes": changes, "gone": gone}
        self.piece = AgentPiece(self.live.agent, self.live.epoch, self.since, self.number, last, state.digest, work)
        return self.piece

    def impatient(self, now_ns: int) -> bool:
        if self.phase is Phase.COPYING:
            return now_ns - self.progress_ns >= COPY_PATIENCE_NS
        return self.phase is Phase.STANDING and now_ns - self.progress_ns >= STAND_PATIENCE_NS


class Incoming:
    """Target side of one migration: the part of the agent's state that has arrived."""

    def __init__(self, agent: str, epoch: int, since: int, source: str) -> None:
        self.agent = agent
        self.epoch = epoch
        self.since = since
        self.source = source
        self.received = 0
        self.whole = False
        self.state = KeyedState()

    def take(self, piece: AgentPiece) -> bool:
        """Take a chunk. Returns whether it is the expected one, so that it must be acknowledged."""
        if (piece.epoch, piece.since) != (self.epoch, self.since) or _piece_problem(piece.work) is not None:
            return False
        if piece.number == self.received + 1 and not self.whole:
            self.state.apply(piece.work["changes"], piece.work["gone"])
            self.received = piece.number
            self.whole = piece.last and piece.digest == self.state.digest
        return True


def _piece_problem(work: Any) -> str | None:
    changes, gone = work.get("changes"), work.get("gone")
    if not isinstance(changes, dict) or any(value is None for value in changes.values()):
        return "changes are not an object of values"
    if not isinstance(gone, list) or not all(isinstance(key, str) for key in gone):
        return "gone is not a list of keys"
    return None
