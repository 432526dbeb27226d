"""Group commit: one batch of a log is on its way to disk at a time; all that is staged meanwhile forms the next.

A slow disk thus makes larger batches, and a crash can tear only the last one. The operation that will end the next batch has its number as soon as
anything is staged, so that messages and replies can wait for it.
"""

from __future__ import annotations

from ..interface.effects import Fsync, FsyncDir
from ..interface.outbox import Outbox


class GroupCommit:
    """Bookkeeping of the storage operations. The owner decides which data is staged and how a batch is written."""

    def __init__(self, out: Outbox) -> None:
        self._out = out
        self._next: int | None = None
        self._issued: int | None = None

    @property
    def gate(self) -> int | None:
        """Return the operation that makes all staged data durable; None when it is durable already."""
        return self._next if self._next is not None else self._issued

    @property
    def issued(self) -> int | None:
        """The operation that ends the batch under way."""
        return self._issued

    @property
    def ready(self) -> bool:
        """Return whether something is staged and nothing is under way."""
        return self._next is not None and self._issued is None

    def pending(self, op: int) -> bool:
        """Return whether `op`, once returned by `gate`, is not done yet."""
        return op in (self._next, self._issued)

    def reserve(self) -> None:
        """Record that something is staged: it becomes durable with the next batch."""
        if self._next is None:
            self._next = self._out.next_op()
            self._out.reserve(self._next)

    def issue(self) -> int:
        """Start the next batch. Its owner stores effects, the last of which is the returned operation."""
        assert self._next is not None and self._issued is None, (self._next, self._issued)
        self._issued, self._next = self._next, None
        self._out.issued(self._issued)
        return self._issued

    def done(self, op: int) -> bool:
        """Return whether `op` ended the batch that was under way."""
        if op != self._issued:
            return False
        self._issued = None
        return True

    def secure(self, name: str) -> None:
        """Make the present content of the file `name` durable, before anything is appended to it or a new file is begun.

        A killed process leaves writes and names in the page cache. If the next batch were written at once, a power loss could take from the old data
        what this incarnation has already read and acted on.
        """
        out = self._out
        fsync, self._issued = out.next_op(), out.next_op()
        out.store(Fsync(fsync, name))
        out.store(FsyncDir(self._issued, (fsync,)))
