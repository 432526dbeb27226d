"""Writes the log: groups what was staged into batches, one on its way to disk at a time.

While a batch is being written, everything staged goes into the next: a slow disk makes larger batches (group commit), and a crash can
tear only the last one. `gate` is the operation after which all that was staged so far is durable.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..effects import Append, Fsync, FsyncDir, Remove
from ..entry import Entry
from ..outbox import Outbox
from .recovery import Recovered, segment_name
from .wal import Base, Doubt, Hard, Record, encode_batch, encode_record


class Journal:
    """`mark` travels with each batch: whatever the owner wants to know when it is durable."""

    def __init__(self, out: Outbox, recovered: Recovered) -> None:
        self._out = out
        self._segment = recovered.segment
        self._name = segment_name(self._segment)
        self._old = list(recovered.segments)
        self.staged: list[bytes] = []
        """Encoded records that wait for the next batch."""
        self._rolling = False
        self._next: int | None = None
        self._issued: int | None = None
        if recovered.current is not None:
            self._secure(recovered.current)
        for name in recovered.stale:
            out.store(Remove(out.next_op(), name))

    @property
    def gate(self) -> int | None:
        """The operation that makes all staged records durable; None when they are already."""
        return self._next if self._next is not None else self._issued

    @property
    def busy(self) -> bool:
        return self._issued is not None

    def pending(self, op: int) -> bool:
        """Whether `op`, once returned by `gate`, is still to come."""
        return op in (self._next, self._issued)

    def stage(self, record: Record) -> None:
        self.staged.append(encode_record(record))
        self._reserve()

    def roll(self, base: Base, hard: Hard, doubt: Doubt, entries: Iterable[Entry]) -> None:
        """Begin a new segment that says everything again. What was staged before is said by it."""
        self.staged = [encode_record(record) for record in (base, hard, doubt)]
        self.staged += [encode_record(entry) for entry in entries]
        self._rolling = True
        self._reserve()

    def flush(self) -> int | None:
        """Issue the staged batch unless one is under way. Returns the operation that ends it."""
        if not self.staged or self._issued is not None:
            return None
        assert self._next is not None
        out, gate = self._out, self._next
        rolling, self._rolling = self._rolling, False
        if rolling:
            self._segment += 1
            self._name = segment_name(self._segment)
        name = self._name
        out.store(Append(out.next_op(), name, encode_batch(self.staged)))
        if rolling:
            fsync = out.next_op()
            out.store(Fsync(fsync, name))
            out.store(FsyncDir(gate, (fsync,)))
            self._remove_old(gate)
            self._old = [name]
        else:
            out.store(Fsync(gate, name))
        self.staged, self._next, self._issued = [], None, gate
        out.issued()
        return gate

    def done(self, op: int) -> bool:
        """Whether `op` ended the batch that was under way."""
        if op != self._issued:
            return False
        self._issued = None
        return True

    def _remove_old(self, gate: int) -> None:
        """Old segments go when the new one is durable, oldest first: never a gap behind the newest."""
        previous = gate
        for name in self._old:
            op = self._out.next_op()
            self._out.store(Remove(op, name, (previous,)))
            previous = op

    def _reserve(self) -> None:
        if self._next is None:
            self._next = self._out.next_op()
            self._out.reserve(self._next)

    def _secure(self, name: str) -> None:
        """Make durable what was found, before a new segment is begun beside it.

        A killed process leaves writes and names in the page cache. Were the next segment begun at once, a power cut could take from the old one
        what this incarnation has already read and acted on. A damaged tail stays as it is: the next segment says everything again.
        """
        out = self._out
        fsync, self._issued = out.next_op(), out.next_op()
        out.store(Fsync(fsync, name))
        out.store(FsyncDir(self._issued, (fsync,)))
