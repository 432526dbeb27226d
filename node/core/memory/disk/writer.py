"""Writing of the memory's files: the storage effects, and the order between them.

Every change goes into the log first; its acknowledgement waits for `gate`. Deltas and snapshots are made from changes that the log already has. So
after a crash at any point, the newest intact snapshot, the deltas that follow it and the log hold everything.

A snapshot is written under a temporary name and renamed when it is durable. The previous snapshot is kept as `.bak`, together with the log and the
deltas that follow it. Only older files are removed, the oldest first, once the new name is durable. A snapshot that was found damaged never replaces
an older one that is whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...interface.effects import Append, Fsync, FsyncDir, Remove, Rename, Write
from ...interface.entry import canonical
from ...interface.outbox import Outbox
from ...storage.group_commit import GroupCommit
from ..records.trmm import Item, Key, State, Trmm, checksum, encode
from .files import BACKUP, MARK, SNAPSHOT, TEMPORARY, Found, Mark, delta_name, segment_name
from .log import Batch, encode_frame


class Writer:
    """Writer of the memory's files. `fresh` are the keys that changed since the last delta or snapshot, `gone` the keys that were collected since
    then. The next delta must contain all of both.
    """

    def __init__(self, out: Outbox, found: Found) -> None:
        self._out = out
        self._commit = GroupCommit(out)
        self._batch = Batch()
        self._frame, self._checksum, self._skip = found.frame, found.checksum, found.skip
        self._segments = list(found.segments)
        self._segment = found.segment
        self._current = found.current
        """The segment that the next frame goes to; None for a new one."""
        self._head = found.head
        self._delta = found.delta
        self._delta_files = list(found.delta_files)
        self._snapshot, self._backup = found.snapshot, found.backup
        self._compacting: int | None = None
        self.deltas = found.deltas
        """Number of deltas in the chain since the last snapshot."""
        self.fresh = dict(found.fresh)
        self._texts: dict[Key, tuple[State, str]] = {}
        """JSON of what was staged since then: the log and the next delta share it."""
        self.gone = dict(found.gone)
        if found.segments:
            self._commit.secure(found.segments[-1][0])
        for name in found.stale:
            out.store(Remove(out.next_op(), name))

    @property
    def gate(self) -> int | None:
        """Return the operation after which all staged data is durable; None when it is already."""
        return self._commit.gate

    @property
    def compacting(self) -> bool:
        """Return whether a delta or a snapshot is on its way to disk: the next one has to wait."""
        return self._compacting is not None

    @property
    def rebase(self) -> bool:
        """Return whether a snapshot must precede the next delta: there is none, or files were found damaged."""
        return self._head is None

    def pending(self, op: int) -> bool:
        """Return whether `op`, once returned by `gate`, is not done yet."""
        return self._commit.pending(op)

    def stage(
        self,
        records: Iterable[Item],
        vector: Mapping[str, int],
        removed: Iterable[Key],
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Stage content for the next frame: first the `removed` keys, then the states of `records`, and the entries of the vector and of the metadata
        that changed.
        """
        items, keys = list(records), list(removed)
        texts = [((kind, ident), canonical(state)) for kind, ident, state in items]
        self._batch.add(texts, vector, keys, metadata or {})
        for key in keys:
            self.fresh.pop(key, None)
            self.gone[key] = None
        for (kind, ident, state), (_, text) in zip(items, texts, strict=True):
            self.fresh[kind, ident] = None
            self._texts[kind, ident] = (state, text)
        self._commit.reserve()

    def flush(self) -> int | None:
        """Issue what is staged as one frame, unless one is under way. Returns the operation that ends it."""
        if not self._commit.ready:
            return None
        out, gate = self._out, self._commit.issue()
        begun = self._current is None
        self._frame += 1 + self._skip
        self._skip = 0
        data, self._checksum = encode_frame(self._frame, self._checksum, self._batch.payload())
        self._batch = Batch()
        if self._current is None:
            self._segment += 1
            self._current = segment_name(self._segment)
            self._segments.append((self._current, self._frame))
        out.store(Append(out.next_op(), self._current, data))
        if begun:
            fsync = out.next_op()
            out.store(Fsync(fsync, self._current))
            out.store(FsyncDir(gate, (fsync,)))
        else:
            out.store(Fsync(gate, self._current))
        return gate

    def done(self, op: int) -> bool:
        """Return whether `op` made durable what was staged up to the last flush."""
        if op == self._compacting:
            self._compacting = None
        return self._commit.done(op)

    def write_delta(
        self, records: Sequence[Item], removed: Sequence[Key], metadata: Mapping[str, Any], time_ms: int
    ) -> int:
        """Write a delta with the states of all `fresh` keys and with the keys that are `gone`. Returns the operation that ends it. Must not be called
        while `compacting`, or when `rebase` requires a snapshot.
        """
        assert self._head is not None, "there is no snapshot that a delta could follow"
        written = dict.fromkeys([*removed, *((kind, ident) for kind, ident, _ in records)])
        missing = [key for key in (*self.fresh, *self.gone) if key not in written]
        assert not missing, f"the delta does not contain {missing[:3]}, and it would cover the frames that do"
        self._delta += 1
        name, mark = delta_name(self._delta), self._mark()
        self._delta_files.append((name, self._delta))
        self.deltas += 1
        renamed = self._write(Trmm(True, time_ms, self._head, records, removed, _marked(metadata, mark)), name)
        return self._end(renamed)

    def write_snapshot(self, records: Sequence[Item], metadata: Mapping[str, Any], time_ms: int) -> int:
        """Write all records. Returns the operation after which the snapshot is durable. The next frame begins a new segment. Must not be called while
        `compacting`.
        """
        if self._snapshot is not None:
            self._backup = self._snapshot
        mark = self._mark()
        renamed = self._write(
            Trmm(False, time_ms, None, records, [], _marked(metadata, mark)),
            SNAPSHOT,
            BACKUP if self._snapshot else None,
        )
        self._snapshot, self.deltas, self._current = mark, 0, None
        end = self._end(renamed)
        self._remove_old(end)
        return end

    def _write(self, trmm: Trmm, name: str, keep_as: str | None = None) -> int:
        """Write a file under a temporary name, and rename it once it and the log that it covers are durable. Returns the operation that renames."""
        assert not self.compacting, "two at once would share their temporary name"
        out, data = self._out, encode(trmm, self._texts)
        write, fsync = out.next_op(), out.next_op()
        out.store(Write(write, TEMPORARY, data))
        out.store(Fsync(fsync, TEMPORARY, (write,)))
        before: tuple[int, ...] = (fsync,) if self._commit.issued is None else (fsync, self._commit.issued)
        if keep_as is not None:
            rename = out.next_op()
            out.store(Rename(rename, name, keep_as, before))
            before = (rename,)
        rename = out.next_op()
        out.store(Rename(rename, TEMPORARY, name, before))
        self._head = checksum(data)
        self._texts.clear()
        self.fresh.clear()
        self.gone.clear()
        return rename

    def _end(self, renamed: int) -> int:
        end = self._compacting = self._out.next_op()
        self._out.store(FsyncDir(end, (renamed,)))
        return end

    def _mark(self) -> Mark:
        """Return the mark of a file that is written now."""
        kept = self._backup
        here = [number for _, number in self._segments if number is not None]
        first = kept.frame + 1 if kept is not None else min([self._frame + 1, *here])
        return Mark(self._frame, self._checksum, self._delta, first)

    def _remove_old(self, after: int) -> None:
        """Remove what `.bak` covers: segments without a newer frame, and deltas."""
        kept = self._backup
        if kept is None:
            return
        first = 0
        for position, (_, frame) in enumerate(self._segments):
            if frame is not None and frame <= kept.frame + 1:
                first = position
        old = [name for name, _ in self._segments[:first]]
        old += [name for name, number in self._delta_files if number <= kept.delta]
        self._segments = self._segments[first:]
        self._delta_files = [(name, number) for name, number in self._delta_files if number > kept.delta]
        for name in old:
            op = self._out.next_op()
            self._out.store(Remove(op, name, (after,)))
            after = op


def _marked(metadata: Mapping[str, Any], mark: Mark) -> dict[str, Any]:
    return {**metadata, MARK: [mark.frame, mark.checksum, mark.delta, mark.first]}
