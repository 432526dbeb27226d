"""Writing of the log: groups staged records into batches, one on its way to disk at a time (`group_commit.py`)."""

from __future__ import annotations

from collections.abc import Iterable

from ...flaws.switch import Flaws
from ..interface.effects import Append, Fsync, FsyncDir, Remove
from ..interface.entry import Entry
from ..interface.outbox import Outbox
from .group_commit import GroupCommit
from .recovery import NO_FLAWS, Recovered, segment_name
from .wal import Base, Doubt, Hard, Record, encode_batch, encode_record


class Journal:
    def __init__(self, out: Outbox, recovered: Recovered, flaws: Flaws = NO_FLAWS) -> None:
        self._out = out
        self._flaws = flaws
        self._segment = recovered.segment
        self._name = segment_name(self._segment)
        self._old = list(recovered.segments)
        self.staged: list[bytes] = []
        """Encoded records that wait for the next batch."""
        self._rolling = False
        self._commit = GroupCommit(out)
        if recovered.current is not None:
            # A damaged tail stays as it is: the next segment repeats everything.
            self._commit.secure(recovered.current)
        for name in recovered.stale:
            out.store(Remove(out.next_op(), name))

    @property
    def gate(self) -> int | None:
        """Return the operation that makes all staged records durable; None when they are durable already."""
        return self._commit.gate

    def pending(self, op: int) -> bool:
        """Return whether `op`, once returned by `gate`, is not done yet."""
        return self._commit.pending(op)

    def stage(self, record: Record) -> None:
        self.staged.append(encode_record(record))
        self._commit.reserve()

    def roll(self, base: Base, hard: Hard, doubt: Doubt, entries: Iterable[Entry]) -> None:
        """Begin a new segment with base, term, vote, doubt and all entries. They include the records that were staged but not issued, and replace
        them.
        """
        self.staged = [encode_record(record) for record in (base, hard, doubt)]
        self.staged += [encode_record(entry) for entry in entries]
        self._rolling = True
        self._commit.reserve()

    def flush(self) -> int | None:
        """Issue the staged batch unless one is under way. Returns the operation that ends it."""
        if not self._commit.ready:
            return None
        out, gate = self._out, self._commit.issue()
        rolling, self._rolling = self._rolling, False
        if rolling:
            self._segment += 1
            self._name = segment_name(self._segment)
        name = self._name
        out.store(Append(out.next_op(), name, encode_batch(self.staged)))
        if rolling:
            if self._flaws.segment_name_not_durable:
                out.store(Fsync(gate, name))
            else:
                fsync = out.next_op()
                out.store(Fsync(fsync, name))
                out.store(FsyncDir(gate, (fsync,)))
            self._remove_old(gate)
            self._old = [name]
        else:
            out.store(Fsync(gate, name))
        self.staged = []
        return gate

    def done(self, op: int) -> bool:
        """Return whether `op` ended the batch that was under way."""
        return self._commit.done(op)

    def _remove_old(self, gate: int) -> None:
        """Remove old segments once the new one is durable, oldest first, so that no gap ever precedes the newest."""
        previous = gate
        for name in self._old:
            op = self._out.next_op()
            self._out.store(Remove(op, name, (previous,)))
            previous = op
