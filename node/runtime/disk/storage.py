"""The storage thread: performs storage effects in emitted order, so that a slow fsync delays no heartbeat.

One thread and one queue give more than the contract requires: operations of *all* files run in emitted order, so `after` between storage operations
holds as long as no earlier operation failed. Consecutive fsyncs of a file that wait in the queue together are merged into the last.

Failure is final. After a failed operation on a file, every later operation on that file fails without an attempt. After a failed fsync, every
operation on any file fails: the kernel may have dropped the dirty pages and marked them clean, so a second fsync would succeed without the data.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from ...core.interface.effects import Append, Fsync, FsyncDir, Remove, Rename, StorageEffect, Truncate, Write
from .disk import Disk


@dataclass(frozen=True, slots=True)
class Job:
    """One effect to perform, and the operations (earlier fsyncs of the same file) that it also completes."""

    effect: StorageEffect
    merged: tuple[int, ...] = ()


def merge_fsyncs(batch: Sequence[StorageEffect]) -> list[Job]:
    """Drop each fsync that a later one of the same file makes superfluous, when only writes to that file lie between.

    The earlier operation then ends slightly later, with the same or more on disk. If an operation in between waits for the earlier fsync, that fsync
    is kept.
    """
    jobs: list[Job] = []
    merged: tuple[int, ...] = ()
    for position, effect in enumerate(batch):
        if not isinstance(effect, Fsync):
            jobs.append(Job(effect))
            continue
        if _next_fsync_covers(batch, position):
            merged = (*merged, effect.op)
            continue
        jobs.append(Job(effect, merged))
        merged = ()
    return jobs


def _next_fsync_covers(batch: Sequence[StorageEffect], position: int) -> bool:
    fsync = batch[position]
    assert isinstance(fsync, Fsync)
    for effect in batch[position + 1 :]:
        if (
            fsync.op in effect.after
            or not isinstance(effect, (Append, Write, Truncate, Fsync))
            or effect.file != fsync.file
        ):
            return False
        if isinstance(effect, Fsync):
            return True
    return False


def perform(disk: Disk, effect: StorageEffect) -> None:
    """Perform one storage effect. Raises `OSError`."""
    if isinstance(effect, Append):
        disk.append(effect.file, effect.data)
    elif isinstance(effect, Fsync):
        disk.fsync(effect.file)
    elif isinstance(effect, Write):
        disk.write(effect.file, effect.data)
    elif isinstance(effect, Truncate):
        disk.truncate(effect.file, effect.size)
    elif isinstance(effect, Rename):
        disk.rename(effect.file, effect.to)
    elif isinstance(effect, Remove):
        disk.remove(effect.file)
    else:
        disk.fsync_dir()


class StorageThread:
    """`wake` is called from this thread whenever completions were added; the loop drains `completions`."""

    def __init__(self, disk: Disk, wake: Callable[[], None]) -> None:
        self._disk = disk
        self._wake = wake
        self._queue: SimpleQueue[Sequence[StorageEffect] | None] = SimpleQueue()
        self._completions: deque[tuple[int, str | None]] = deque()
        self._failed_ops: set[int] = set()
        self._failed_files: dict[str, str] = {}
        self._dead: str | None = None
        self._thread = threading.Thread(target=self._run, name="storage", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, effects: Sequence[StorageEffect]) -> None:
        self._queue.put(effects)

    def drain(self) -> list[tuple[int, str | None]]:
        """Return the operations that ended since the last call, in the order in which they ended: (operation, error or None)."""
        done = []
        while self._completions:
            done.append(self._completions.popleft())
        return done

    def stop(self, timeout_s: float) -> bool:
        """Finish the queued operations and end the thread. Returns False when the disk was too slow for it to end in time."""
        self._queue.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            batch, last = self._take()
            for job in merge_fsyncs(batch):
                self._perform(job)
                if isinstance(job.effect, (Fsync, FsyncDir)):
                    self._wake()
            if batch:
                self._wake()
            if last:
                self._disk.close()
                return

    def _take(self) -> tuple[list[StorageEffect], bool]:
        """Take everything that is queued, at least one submission; return also whether the end was requested."""
        batch: list[StorageEffect] = []
        submission = self._queue.get()
        while submission is not None:
            batch.extend(submission)
            try:
                submission = self._queue.get_nowait()
            except Empty:
                return batch, False
        return batch, True

    def _perform(self, job: Job) -> None:
        effect = job.effect
        error = self._refusal(effect)
        if error is None:
            try:
                perform(self._disk, effect)
            except (OSError, ValueError) as failure:
                error = f"{type(effect).__name__} of {_file_of(effect)}: {failure}"
                self._remember_failure(effect, error)
        for op in (*job.merged, effect.op):
            if error is not None:
                self._failed_ops.add(op)
            self._completions.append((op, error))

    def _refusal(self, effect: StorageEffect) -> str | None:
        """Return why this operation must not even be tried, or None."""
        if self._dead is not None:
            return f"not attempted after a failed fsync ({self._dead})"
        for op in effect.after:
            if op in self._failed_ops:
                return f"not attempted: it waits for operation {op}, which failed"
        for file in _files_of(effect):
            if file in self._failed_files:
                return f"not attempted: an earlier operation on {file} failed ({self._failed_files[file]})"
        return None

    def _remember_failure(self, effect: StorageEffect, error: str) -> None:
        if isinstance(effect, (Fsync, FsyncDir)):
            self._dead = error
        for file in _files_of(effect):
            self._failed_files[file] = error


def _files_of(effect: StorageEffect) -> tuple[str, ...]:
    if isinstance(effect, FsyncDir):
        return ()
    if isinstance(effect, Rename):
        return (effect.file, effect.to)
    return (effect.file,)


def _file_of(effect: StorageEffect) -> str:
    return " to ".join(_files_of(effect)) or "the data directory"
