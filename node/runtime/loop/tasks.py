"""Threads that run tasks, so that no task blocks the loop.

The loop calls `submit` and `drop` for `RunTask` and `DropTask`. Ended runs are fetched by `drain` after `wake` was called, as with the storage
thread. Every run ends with one `TaskDone`, unless it was dropped. It ends when its handler returns, or at its deadline, which counts from its
beginning. Runs that wait for a thread are bounded by `WAITING_LIMIT`, and fail beyond it.

A thread cannot be killed. When a run passes its deadline, its thread is *stuck*: it is abandoned and replaced, as often as `STUCK_LIMIT` allows. A
stuck thread ends by itself if its handler ever returns. When too many threads are stuck, there are no replacements. When all are stuck, waiting runs
fail at their deadline too: the node reports it and stays up.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ...core.interface.effects import RunTask
from ...core.interface.events import TaskDone
from .handlers import HANDLERS, Handler, described, failed, perform, timeout_s, wait_s

WAITING_LIMIT = 4096
STUCK_LIMIT = 64


@dataclass(slots=True)
class _Run:
    task: RunTask
    timeout_s: float
    deadline_s: float
    """By the monotonic clock; from the submission while it waits, from its beginning when it runs."""
    gone: threading.Event = field(default_factory=threading.Event)
    """Set when the answer is no longer needed; a sleeper wakes."""


class TaskThreads:
    """Threads for tasks: at most `workers` that are not stuck. Before `start` nothing runs."""

    def __init__(self, workers: int, wake: Callable[[], None], handlers: Mapping[str, Handler] = HANDLERS) -> None:
        self._workers = workers
        self._wake = wake
        self._handlers = handlers
        self._lock = threading.Lock()
        self._work_came = threading.Condition(self._lock)
        self._deadline_came = threading.Condition(self._lock)
        """The watcher waits here until `_watched_s`; only an earlier deadline wakes it."""
        self._thread_ended = threading.Condition(self._lock)
        self._watched_s = math.inf
        self._waiting: dict[int, _Run] = {}
        self._running: dict[int, _Run] = {}
        self._done: deque[TaskDone] = deque()
        self._threads = 0
        """Threads that are not stuck."""
        self._idle = 0
        self._stopping = False
        self.stuck = 0
        self._watcher = threading.Thread(target=self._watch, name="task deadlines", daemon=True)
        self._started = False

    def start(self) -> None:
        """Worker threads begin when there is work."""
        self._started = True
        self._watcher.start()

    def submit(self, task: RunTask) -> None:
        with self._lock:
            if len(self._waiting) >= WAITING_LIMIT:
                self._end(failed(task.run, f"{WAITING_LIMIT} runs wait for a thread on this node"))
                return
            try:
                limit_s = timeout_s(task)
            except Exception as error:
                self._end(failed(task.run, f"its payload: {described(error)}"))
                return
            self._waiting[task.run] = _Run(task, limit_s, time.monotonic() + limit_s)
            self._grow()
            self._work_came.notify()
            self._heed(self._waiting[task.run])

    def drop(self, run: int) -> None:
        """Drop this run: it does not begin, or its answer is discarded."""
        with self._lock:
            found = self._waiting.pop(run, None) or self._running.get(run)
            if found is not None:
                found.gone.set()

    def drain(self) -> list[TaskDone]:
        """Return the runs that ended since the last call."""
        ended = []
        while self._done:
            ended.append(self._done.popleft())
        return ended

    def stop(self, timeout_s: float) -> bool:
        """Begin no more runs. Returns False when a handler still runs after that time; its thread ends with the process."""
        with self._lock:
            self._stopping = True
            for run in (*self._waiting.values(), *self._running.values()):
                run.gone.set()
            self._waiting.clear()
            self._work_came.notify_all()
            self._deadline_came.notify_all()
            ended = self._thread_ended.wait_for(lambda: self._threads == 0, timeout_s)
        if self._started:
            self._watcher.join(timeout_s)
        return ended and self.stuck == 0

    @property
    def counts(self) -> dict[str, int]:
        return {"waiting": len(self._waiting), "running": len(self._running), "stuck": self.stuck}

    def _grow(self) -> None:
        if self._started and self._threads < self._workers and self._idle < len(self._waiting):
            self._threads += 1
            threading.Thread(target=self._work, name="task", daemon=True).start()

    def _work(self) -> None:
        while True:
            run = self._take()
            if run is None:
                return
            answer = self._answer(run)
            with self._lock:
                if self._running.pop(run.task.run, None) is None:
                    # Its deadline passed: this thread was given up and another has replaced it.
                    self.stuck -= 1
                    self._grow()
                    return
                if answer is not None and not run.gone.is_set():
                    self._end(answer)

    def _answer(self, run: _Run) -> TaskDone | None:
        """Return the answer of the run; None when it is no longer needed."""
        try:
            sleep_s = wait_s(run.task)
        except Exception as error:
            return failed(run.task.run, f"its payload: {described(error)}")
        if sleep_s:
            run.gone.wait(sleep_s)
        return None if run.gone.is_set() else perform(run.task, self._handlers)

    def _take(self) -> _Run | None:
        """Take the next run, which begins now; None when this thread must end."""
        with self._lock:
            self._idle += 1
            self._work_came.wait_for(lambda: self._waiting or self._stopping)
            self._idle -= 1
            if self._stopping:
                self._threads -= 1
                self._thread_ended.notify_all()
                return None
            number = next(iter(self._waiting))
            run = self._running[number] = self._waiting.pop(number)
            run.deadline_s = time.monotonic() + run.timeout_s
            self._heed(run)
            return run

    def _watch(self) -> None:
        with self._lock:
            while not self._stopping:
                now_s = time.monotonic()
                for number, run in [*self._running.items()]:
                    if run.deadline_s <= now_s:
                        self._give_up(number, run)
                if self.stuck and not self._threads:
                    for number, run in [*self._waiting.items()]:
                        if run.deadline_s <= now_s:
                            del self._waiting[number]
                            self._end(failed(number, f"all threads of this node hang, {self.stuck} of them"))
                runs = (*self._running.values(), *self._waiting.values())
                self._watched_s = min((run.deadline_s for run in runs), default=math.inf)
                # Wait at least briefly, so that this thread does not spin while runs wait for their turn.
                wait_s = max(self._watched_s - now_s, 0.05)
                self._deadline_came.wait(None if wait_s == math.inf else wait_s)

    def _heed(self, run: _Run) -> None:
        if run.deadline_s < self._watched_s:
            self._deadline_came.notify()

    def _give_up(self, number: int, run: _Run) -> None:
        del self._running[number]
        if not run.gone.is_set():
            self._end(failed(number, f"{run.task.handler} took longer than timeout_s, which is {run.timeout_s:g}"))
        run.gone.set()
        self.stuck += 1
        self._threads -= 1
        if self.stuck <= STUCK_LIMIT:
            self._grow()

    def _end(self, done: TaskDone) -> None:
        self._done.append(done)
        self._wake()
