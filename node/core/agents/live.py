"""An agent on its host: its live state, and what of it the replicated state does not have yet.

A checkpoint takes the values of the changed keys as they are at one moment, and brings them to the log in commands of bounded size, one after the other: the application lets
them take effect together with the last. What changes meanwhile belongs to the next checkpoint.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from ..records.agent_state import KeyedState

COMMAND_CHARACTERS = 64 * 1024
Piece = tuple[dict[str, Any], list[str]]


class Live:
    """`paused`: it stands still at the end of a migration away from here."""

    def __init__(self, agent: str, epoch: int, state: KeyedState, number: int, placed_ns: int) -> None:
        self.agent = agent
        self.epoch = epoch
        self.state = state
        self.number = number
        """Of the last checkpoint that was submitted or known."""
        self.placed_ns = placed_ns
        self.dirty: dict[str, None] = {}
        self.batch: deque[Piece] = deque()
        """What is left of the checkpoint under way; the first piece is with the submitter."""
        self.paused = False
        self.reported = False
        """Whether the log was told that it runs."""
        self.resumed = False
        """By the flaw `two-hosts-after-switch`."""

    @property
    def unsaved(self) -> int:
        """Keys whose latest value the replicated state may not have."""
        return len(self.dirty) + sum(len(changes) + len(gone) for changes, gone in self.batch)

    def work(self, changes: Mapping[str, Any]) -> None:
        """A task set these keys; null removes."""
        for key, value in changes.items():
            if value is None:
                self.state.remove(key)
            else:
                self.state.set(key, value)
            self.dirty[key] = None

    def begin_checkpoint(self) -> bool:
        """Whether there is something to save, and nothing under way."""
        if self.batch or not self.dirty:
            return False
        self.batch.extend(cut(self.state, self.dirty, COMMAND_CHARACTERS))
        self.dirty = {}
        return True

    def checkpoint(self) -> dict[str, Any]:
        """The fields of the command for the first piece that is left."""
        changes, gone = self.batch[0]
        fields = {"agent": self.agent, "epoch": self.epoch, "number": self.number + 1}
        return {**fields, "changes": changes, "gone": gone, "more": len(self.batch) > 1}

    def saved(self) -> None:
        """The first piece was applied."""
        self.batch.popleft()
        self.number += 1

    def unsave(self, number: int) -> None:
        """The checkpoint was refused: its keys are to be saved again, as what follows checkpoint `number`."""
        for changes, gone in self.batch:
            self.dirty.update(dict.fromkeys((*changes, *gone)))
        self.batch.clear()
        self.number = number


def cut(state: KeyedState, keys: Iterable[str], limit: int) -> list[Piece]:
    """These keys, as changed or gone, in pieces of at most `limit` characters, or of one key."""
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
