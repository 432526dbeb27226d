"""An agent on its host: its live state, and the part of it that the replicated state does not have yet.

A checkpoint takes the values of the changed keys at one moment. It submits them to the log in commands of bounded size, one after the other. The
application lets all of them take effect together with the last one. Later changes belong to the next checkpoint.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from ..records.agent_state import KeyedState

COMMAND_CHARACTERS = 64 * 1024
Piece = tuple[dict[str, Any], list[str]]


class Live:
    """State of one agent on its host. `paused`: the agent is stopped for the end of a migration to another host."""

    def __init__(self, agent: str, epoch: int, state: KeyedState, number: int, placed_ns: int) -> None:
        self.agent = agent
        self.epoch = epoch
        self.state = state
        self.number = number
        """Number of the last checkpoint that was submitted or known."""
        self.placed_ns = placed_ns
        self.dirty: dict[str, None] = {}
        self.batch: deque[Piece] = deque()
        """The rest of the checkpoint under way; the submitter has the first chunk."""
        self.paused = False
        self.reported = False
        """Whether the log records that the agent runs."""
        self.resumed = False
        """Set by the flaw `two-hosts-after-switch`."""

    @property
    def unsaved(self) -> int:
        """Return the number of keys whose latest value the replicated state may not have."""
        return len(self.dirty) + sum(len(changes) + len(gone) for changes, gone in self.batch)

    def work(self, changes: Mapping[str, Any]) -> None:
        """Apply a task's changes to these keys; null removes."""
        for key, value in changes.items():
            if value is None:
                self.state.remove(key)
            else:
                self.state.set(key, value)
            self.dirty[key] = None

    def begin_checkpoint(self) -> bool:
        """Begin a checkpoint. Returns whether there is something to save and nothing under way."""
        if self.batch or not self.dirty:
            return False
        self.batch.extend(cut(self.state, self.dirty, COMMAND_CHARACTERS))
        self.dirty = {}
        return True

    def checkpoint(self) -> dict[str, Any]:
        """Return the fields of the command for the first remaining chunk."""
        changes, gone = self.batch[0]
        fields = {"agent": self.agent, "epoch": self.epoch, "number": self.number + 1}
        return {**fields, "changes": changes, "gone": gone, "more": len(self.batch) > 1}

    def saved(self) -> None:
        """Record that the first chunk was applied."""
        self.batch.popleft()
        self.number += 1

    def unsave(self, number: int) -> None:
        """Record that the checkpoint was refused: its keys must be saved again, in the checkpoint that follows number `number`."""
        for changes, gone in self.batch:
            self.dirty.update(dict.fromkeys((*changes, *gone)))
        self.batch.clear()
        self.number = number


def cut(state: KeyedState, keys: Iterable[str], limit: int) -> list[Piece]:
    """Split these keys, changed or gone, into chunks of at most `limit` characters, or of one key."""
    pieces: list[Piece] = []
    left = 0
    for key in keys:
        size = state.size(key)
        if not pieces or size > left:
            pieces.append(({}, []))
            left = limit
        left -= size
        changes, gone = pieces[-1]
        if key in state.data:
            changes[key] = state.data[key]
        else:
            gone.append(key)
    return pieces
