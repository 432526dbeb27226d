"""Holds back what must not be seen before certain writes are durable: the enforcement of `after`.

Sends, replies and traces wait here for the storage operations they name. An operation that failed releases nothing, ever. The gate
knows nothing of sockets or disks; it hands out the held actions and asserts, once more at the exit, that nothing is pending.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Action = Callable[[], None]


@dataclass(slots=True)
class _Held:
    action: Action
    after: tuple[int, ...]
    waiting_for: int


class Gate:
    """Operation numbers grow; one that is neither pending nor failed, and not above the highest seen, has succeeded."""

    def __init__(self) -> None:
        self._highest = -1
        self._pending: dict[int, list[_Held]] = {}
        self._failed: set[int] = set()

    @property
    def pending(self) -> int:
        """Storage operations not yet settled."""
        return len(self._pending)

    def emitted(self, op: int, after: tuple[int, ...]) -> None:
        """A storage operation was handed to the disk."""
        if op <= self._highest:
            raise AssertionError(f"storage operation {op} was emitted after {self._highest}: numbers must grow")
        self._check_known(after)
        self._highest = op
        self._pending[op] = []

    def perform(self, after: tuple[int, ...], action: Action) -> None:
        """Run `action` now if everything it waits for is done, else hold it. What waits for a failed operation is dropped."""
        self._check_known(after)
        if any(op in self._failed for op in after):
            return
        waits = [op for op in after if op in self._pending]
        if not waits:
            action()
            return
        held = _Held(action, after, len(waits))
        for op in waits:
            self._pending[op].append(held)

    def settle(self, op: int, succeeded: bool) -> None:
        """The disk is done with `op`: run what waited for it alone, in the order in which it was emitted."""
        waiters = self._pending.pop(op)
        if not succeeded:
            self._failed.add(op)
            return
        for held in waiters:
            held.waiting_for -= 1
            if held.waiting_for == 0 and not self._failed.intersection(held.after):
                self._assert_done(held.after)
                held.action()

    def _assert_done(self, after: tuple[int, ...]) -> None:
        for op in after:
            assert op not in self._pending and op not in self._failed, f"released before operation {op} was durable"

    def _check_known(self, after: tuple[int, ...]) -> None:
        for op in after:
            if op > self._highest:
                raise AssertionError(
                    f"an effect waits for storage operation {op}, but the highest emitted is {self._highest}"
                )
