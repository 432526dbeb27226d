"""Tasks under virtual time: the handlers of the socket runtime, at the end of a duration that is declared or drawn.

`sleep` declares its duration; all others take a drawn time: most are short, a few long. As with threads, `workers` run at a time and the others wait
in order. A process that ends takes its tasks with it (`stop`); the next one gets a new object.
"""

from __future__ import annotations

from collections.abc import Callable

from tribulation.node.core.interface.effects import RunTask
from tribulation.node.core.interface.events import TaskDone
from tribulation.node.runtime.loop.handlers import HANDLERS, failed, perform, timeout_s, wait_s

from ...keyed_random import draw, exponential
from ..event_loop import Kernel

MEAN_NS = 2_000_000
LIMIT_WAITING = 4096
_SECOND_NS = 1_000_000_000


class SimTasks:
    """Tasks of one incarnation; `finished(done)` is called at the end of each. `key` keys the draws."""

    def __init__(
        self, kernel: Kernel, key: int, workers: int, finished: Callable[[TaskDone], None], mean_ns: int = MEAN_NS
    ) -> None:
        self._kernel, self._key, self._workers, self._finished = kernel, key, workers, finished
        self._mean_ns = mean_ns
        self._waiting: dict[int, RunTask] = {}
        self._running: dict[int, RunTask] = {}
        self._unwanted: dict[int, None] = {}
        """Runs that go on, as threads do, although their result is no longer wanted."""

    def submit(self, task: RunTask) -> None:
        if len(self._waiting) >= LIMIT_WAITING:
            full = failed(task.run, f"{LIMIT_WAITING} tasks wait for a thread on this node")
            self._kernel.schedule(self._kernel.now_ns, self._finished, full)
            return
        self._waiting[task.run] = task
        self._begin()

    def drop(self, run: int) -> None:
        self._waiting.pop(run, None)
        task = self._running.get(run)
        if task is not None:
            self._unwanted[run] = None
            if wait_s(task):  # a sleeper is woken
                self._end(run)

    def stop(self) -> None:
        """Drop all tasks, since the process ends: no result of them is reported any more."""
        self._waiting.clear()
        self._running.clear()
        self._unwanted.clear()

    @property
    def idle(self) -> bool:
        return not self._waiting and not self._running

    def _begin(self) -> None:
        while self._waiting and len(self._running) < self._workers:
            number = next(iter(self._waiting))
            task = self._running[number] = self._waiting.pop(number)
            takes_ns = exponential(draw(self._key, number), self._mean_ns) + int(wait_s(task) * _SECOND_NS)
            limit_ns = int(timeout_s(task) * _SECOND_NS)
            self._kernel.schedule(self._kernel.now_ns + min(takes_ns, limit_ns), self._end, number, takes_ns > limit_ns)

    def _end(self, number: int, late: bool = False) -> None:
        task = self._running.pop(number, None)
        if task is None:
            return
        wanted = number not in self._unwanted
        self._unwanted.pop(number, None)
        if wanted and late:
            self._finished(failed(number, f"{task.handler} took longer than timeout_s, which is {timeout_s(task):g}"))
        elif wanted:
            self._finished(perform(task, HANDLERS))
        self._begin()
