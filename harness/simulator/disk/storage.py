"""Times of storage operations: one queue for each file, in emitted order; between files only `after` imposes an order.

An operation starts when it is first in its queue and its dependencies succeeded. Writes reach the page cache at once; a run of them
up to and including the next fsync is one job, as for a storage thread. Failure is final: what follows on the same file or
waits `after` a failed operation fails unattempted, and after an fsync error everything does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

from tribulation.node.core.interface.effects import (
    Append,
    Fsync,
    FsyncDir,
    Remove,
    Rename,
    StorageEffect,
    Truncate,
    Write,
)

from ...keyed_random import draw, exponential, happens
from ..event_loop import Kernel
from ..options import SimOptions
from .disk import Disk

DIRECTORY = ""
"""The queue of the directory itself."""

_TO_PAGE_CACHE = (Append, Write, Truncate)
"""Operations that end in the page cache: the next one on the file belongs to the same job."""

Finished = Callable[[int, str | None], None]


class Storage:
    """Operations of one incarnation on a disk; `finished(op, error)` is called at the end of each."""

    def __init__(self, kernel: Kernel, disk: Disk, key: int, options: SimOptions, finished: Finished) -> None:
        self._kernel, self._disk, self._key, self._options = kernel, disk, key, options
        self._finished = finished
        self._pending: set[int] = set()
        self._failed: set[int] = set()
        self._failed_files: set[str] = set()
        self.fresh = False
        """Whether operations were submitted since the last pump."""
        self.held = False
        """While set, no operation begins: a disk that hangs."""
        self._queues: dict[str, deque[StorageEffect]] = {}
        self._busy: set[str] = set()
        self._fail_next_fsync = False
        self._stalled_until_ns = 0
        self._poisoned: str | None = None
        self._ended = False
        self._paused = False

    def submit(self, effect: StorageEffect) -> None:
        self.fresh = True
        self._pending.add(effect.op)
        for file in _files(effect):
            if file not in self._queues:
                self._queues[file] = deque()
            self._queues[file].append(effect)

    def pump(self) -> None:
        """Start whatever can start now: after new operations, a met dependency, or the end of a pause."""
        self.fresh = False
        if self._ended or self._paused or self.held:
            return
        for file, queue in self._queues.items():
            if queue:
                self._start_head(file, queue)

    def pause(self, paused: bool) -> None:
        """Pause or continue: a stopped process starts nothing; what its kernel is doing goes on."""
        self._paused = paused
        self.pump()

    def stall_until(self, at_ns: int) -> None:
        """Have the device answer nothing before `at_ns`."""
        self._stalled_until_ns = max(self._stalled_until_ns, at_ns)

    def fail_next_fsync(self) -> None:
        self._fail_next_fsync = True

    def end(self, *, torn: bool) -> None:
        """Drop what is queued, since the process ends; only (`torn`) the current write may be half done."""
        self._ended = True
        for file, queue in self._queues.items():
            head = queue[0] if queue else None
            if torn and isinstance(head, Append) and self._can_start(file, head):
                bits = draw(self._key, head.op, 0x417)
                if bits & 3 == 0 and self._disk.trouble.refusal is None:
                    self._disk.append(file, head.data[: (bits >> 2) % (len(head.data) + 1)])

    def _can_start(self, file: str, effect: StorageEffect) -> bool:
        """Return whether the head of the queue of `file` may begin."""
        for op in effect.after:
            if op in self._pending:
                return False
        if type(effect) is not Rename:
            return file not in self._busy
        return all(name not in self._busy and self._queues[name][0] is effect for name in _files(effect))

    def _start_head(self, file: str, queue: deque[StorageEffect]) -> None:
        job: list[StorageEffect] = []
        while queue and self._can_start(file, queue[0]):
            effect = queue[0]
            kind = type(effect)
            if kind is Rename:
                if not job:
                    for name in _files(effect):
                        self._queues[name].popleft()
                    job.append(effect)
                break
            job.append(queue.popleft())
            if kind not in _TO_PAGE_CACHE:
                break
        if job:
            self._begin(_files(job[-1]), job)

    def _begin(self, files: tuple[str, ...], job: list[StorageEffect]) -> None:
        self._busy.update(files)
        errors = [self._refusal(effect) or self._to_page_cache(effect) for effect in job]
        last = job[-1]
        delay_ns = self._options.write_ns + self._slowness_ns(last.op)
        if isinstance(last, (Fsync, FsyncDir)):
            bits = draw(self._key, last.op)
            delay_ns += self._options.fsync_min_ns + exponential(bits, self._options.fsync_mean_ns)
        at_ns = max(self._kernel.now_ns, self._stalled_until_ns) + delay_ns
        self._kernel.schedule_step(self._key, at_ns, self._end_job, files, job, errors)

    def _slowness_ns(self, op: int) -> int:
        """Return a drawn delay, never less than half of the slow disk's mean, so that a probe can distinguish it from chance."""
        slow_ns = self._disk.trouble.slow_ns
        return slow_ns // 2 + exponential(draw(self._key, op, 0x510), slow_ns // 2) if slow_ns else 0

    def _refusal(self, effect: StorageEffect) -> str | None:
        if self._poisoned is not None:
            return f"not attempted after a failed fsync ({self._poisoned})"
        if self._failed and any(op in self._failed for op in effect.after):
            return "not attempted: it waits for an operation that failed"
        if self._failed_files and any(file in self._failed_files for file in _files(effect)):
            return "not attempted: an earlier operation on this file failed"
        return None

    def _to_page_cache(self, effect: StorageEffect) -> str | None:
        if isinstance(effect, (Fsync, FsyncDir)):
            return None
        disk = self._disk
        try:
            match effect:
                case Append():
                    disk.append(effect.file, effect.data)
                case Write():
                    disk.write(effect.file, effect.data)
                case Truncate():
                    disk.truncate(effect.file, effect.size)
                case Rename():
                    disk.rename(effect.file, effect.to)
                case Remove():
                    disk.remove(effect.file)
        except OSError as error:
            self._failed_files.update(_files(effect))
            return str(error)
        return None

    def _end_job(self, files: tuple[str, ...], job: list[StorageEffect], errors: list[str | None]) -> None:
        if self._ended:
            return
        trouble, syncs = self._disk.trouble, isinstance(job[-1], (Fsync, FsyncDir))
        if trouble.stalled or (trouble.held and syncs):
            trouble.waiting.append(partial(self._end_job, files, job, errors))
            return
        if errors[-1] is None:
            errors[-1] = self._sync(job[-1])
        self._busy.difference_update(files)
        for effect, error in zip(job, errors, strict=True):
            self._pending.discard(effect.op)
            if error is not None:
                self._failed.add(effect.op)
            self._finished(effect.op, error)
        self.pump()

    def _sync(self, effect: StorageEffect) -> str | None:
        try:
            if isinstance(effect, FsyncDir):
                self._disk.fsync_dir()
            elif isinstance(effect, Fsync):
                if self._fsync_fails(effect):
                    self._disk.fsync_failed(effect.file)
                    raise OSError("EIO")
                self._disk.fsync(effect.file)
        except OSError as error:
            self._poisoned = str(error)
        return self._poisoned

    def _fsync_fails(self, effect: Fsync) -> bool:
        asked, self._fail_next_fsync = self._fail_next_fsync, False
        if asked or self._disk.trouble.failing or self._disk.trouble.broken:
            return True
        return happens(draw(self._key, effect.op, 0xE10), self._options.fsync_error_ppm)


def _files(effect: StorageEffect) -> tuple[str, ...]:
    kind = type(effect)
    if kind is FsyncDir:
        return (DIRECTORY,)
    return (effect.file, effect.to) if kind is Rename else (effect.file,)  # type: ignore[union-attr]
