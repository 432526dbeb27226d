"""Enforcement of `after`: holds back effects that must not be visible before certain writes are durable.

Sends, replies and traces wait here for the storage operations that they name. A failed operation never releases anything. The gate knows nothing of
sockets or disks. It runs the held actions, and asserts before each one that none of its operations is pending.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Action = Callable[[], None]

HELD_LIMIT = 65_536
"""Actions held at one time, at most: a disk that hangs must not fill the memory."""


@dataclass(slots=True)
class _Held:
    action: Action
    after: tuple[int, ...]
    waiting_for: int


class Gate:
    """Operation numbers are unique and may come in any order: a core may number an operation before it issues it.

    The operations that succeeded are all numbers up to `_floor` and a small set of numbers above it. When `limit` actions are held, further ones are
    dropped.
    """

    MAX_REMEMBERED = 65_536

    def __init__(self, limit: int = HELD_LIMIT) -> None:
        self._limit = limit
        self._held = 0
        self._floor = 0
        self._done: set[int] = set()
        self._pending: dict[int, list[_Held]] = {}
        self._failed: set[int] = set()

    @property
    def pending(self) -> int:
        """Storage operations not yet settled."""
        return len(self._pending)

    def emitted(self, op: int, after: tuple[int, ...]) -> None:
        """Record that a storage operation was handed to the disk."""
        if op in self._pending or op in self._done or op in self._failed:
            raise AssertionError(f"storage operation {op} was emitted twice: numbers must be unique")
        self._check_known(after)
        self._pending[op] = []

    def perform(self, after: tuple[int, ...], action: Action) -> bool:
        """Run `action` now if everything it waits for is done, else hold it. An action that waits for a failed operation is dropped: its condition
        will never be true.

        Returns False when it was dropped for lack of room, which the caller must count.
        """
        self._check_known(after)
        if any(op in self._failed for op in after):
            return True
        waits = [op for op in after if op in self._pending]
        if not waits:
            action()
            return True
        if self._held >= self._limit:
            return False
        self._held += 1
        held = _Held(action, after, len(waits))
        for op in waits:
            self._pending[op].append(held)
        return True

    def settle(self, op: int, succeeded: bool) -> None:
        """Record that the disk is done with `op`: run the actions that waited only for it, in the order in which they were emitted."""
        waiters = self._pending.pop(op)
        if not succeeded:
            self._failed.add(op)
            return
        if op == self._floor + 1 and not self._done:
            self._floor = op
        else:
            self._remember(op)
        for held in waiters:
            held.waiting_for -= 1
            if held.waiting_for == 0 and not self._failed.intersection(held.after):
                self._assert_done(held.after)
                self._held -= 1
                held.action()

    def _assert_done(self, after: tuple[int, ...]) -> None:
        for op in after:
            assert op not in self._pending and op not in self._failed, f"released before operation {op} was durable"

    def _check_known(self, after: tuple[int, ...]) -> None:
        for op in after:
            if op > self._floor and not (op in self._pending or op in self._done or op in self._failed):
                raise AssertionError(f"an effect waits for storage operation {op}, which was never emitted")

    def _remember(self, op: int) -> None:
        self._done.add(op)
        while self._floor + 1 in self._done:
            self._floor += 1
            self._done.remove(self._floor)
        if len(self._done) > self.MAX_REMEMBERED:
            # A number was skipped for good. To pass over it only weakens the detection of unknown numbers.
            recent = sorted(self._done)[self.MAX_REMEMBERED // 2 :]
            self._floor = recent[0] - 1
            self._done = set(recent)
