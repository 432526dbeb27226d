"""The driver for real systems: one thread a client, a few for the nemesis, and this one, which alone talks to the runner.

An operation that does not end by its deadline (a client library that hangs) is recorded as `info` and its thread is left behind, a
new one taking its slot: a hung client never hangs a run. Nothing here waits without a bound.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

from ..nemesis.triggers import Happened
from ..systems.base import Client, Dial, Outcome
from ..workloads.sized import Sizes
from .actions import ActionDone, FaultAction
from .journal import Journal
from .nemesis import Nemesis
from .plan import Plan
from .runner import Completion, Invocation, OpDone, Phase, Runner

HANG_GRACE_NS = 1_000_000_000
"""How long after its deadline a client may still answer before it counts as hung."""

LONGEST_WAIT_NS = 200_000_000
"""The main thread looks up at least this often: for hung clients, for progress and for Ctrl-C."""

NEMESIS_THREADS = 16


class RunClock:
    """ns since the run began, on the monotonic clock."""

    def __init__(self) -> None:
        self.started_ns = time.monotonic_ns()

    def now_ns(self) -> int:
        return time.monotonic_ns() - self.started_ns


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker reports: `generation` tells a hung predecessor's late answer from its successor's."""

    slot: int
    generation: int
    outcome: Outcome


class Worker:
    """One client on one daemon thread."""

    def __init__(
        self,
        make_client: Callable[[], Client],
        dial: Dial,
        clock: RunClock,
        answers: queue.SimpleQueue[object],
        slot: int,
        generation: int,
        sizes: Sizes,
    ) -> None:
        self._make_client, self._dial, self._clock, self._answers = make_client, dial, clock, answers
        self._sizes = sizes
        self.slot, self.generation = slot, generation
        self._tasks: queue.SimpleQueue[Invocation | None] = queue.SimpleQueue()
        self._client: Client | None = None
        threading.Thread(target=self._run, name=f"client-{slot}", daemon=True).start()

    def submit(self, invocation: Invocation) -> None:
        self._tasks.put(invocation)

    def close(self) -> None:
        self._tasks.put(None)

    def _run(self) -> None:
        while (invocation := self._tasks.get()) is not None:
            self._answers.put(Answer(self.slot, self.generation, self._attempt(invocation)))
        self._drop()

    def _attempt(self, invocation: Invocation) -> Outcome:
        if invocation.fresh:
            self._drop()
        try:
            client = self._opened(invocation)
        except OSError as error:
            self._drop()
            return Outcome("fail", error="no-connection", extra={"message": str(error)})
        try:
            answered = client.invoke(self._sizes.grown(invocation.op), self._left_s(invocation))
            outcome = self._sizes.shrunk(invocation.op.workload, answered)
        except Exception as error:  # a client is foreign code; what it did is unknown
            outcome = Outcome("info", error="client-error", extra={"message": f"{type(error).__name__}: {error}"})
        if outcome.type == "info" or outcome.error == "no-connection":
            self._drop()
        return outcome

    def _opened(self, invocation: Invocation) -> Client:
        if self._client is None:
            client = self._make_client()
            self._client = client
            client.open(invocation.slot.node, self._dial, self._left_s(invocation))
        return self._client

    def _left_s(self, invocation: Invocation) -> float:
        return max(0.001, (invocation.deadline_ns - self._clock.now_ns()) / 1e9)

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(Exception):  # closing a broken connection may fail; it is gone either way
                client.close()


@dataclass(slots=True)
class ThreadDriver:
    """Runs a plan to its end, or until `stop_asked`. `tick(now_ns, phase)` is called a few times a second, for progress."""

    plan: Plan
    make_client: Callable[[], Client]
    dial: Dial
    nemesis: Nemesis
    journal: Journal
    clock: RunClock
    tick: Callable[[int, Phase], None]
    stop_asked: Callable[[], bool] = lambda: False
    _running: dict[int, Invocation] = field(default_factory=dict)
    _workers: dict[int, Worker] = field(default_factory=dict)
    _events: queue.SimpleQueue[object] = field(default_factory=queue.SimpleQueue)
    _sizes: Sizes = field(init=False)

    def __post_init__(self) -> None:
        self._sizes = self.plan.sizes

    def happened(self, event: Happened) -> None:
        """Something that faults may wait for; from any thread."""
        self._events.put(event)

    def run(self) -> Runner:
        """Returns the runner at its end. When asked to stop, the load ends and everything is healed first; after a KeyboardInterrupt too, which is then raised again."""
        runner = Runner(self.plan, keeps_issued=False)
        # What happened before the run is no moment of it.
        while not self._events.empty():
            self._events.get_nowait()
        interrupted: KeyboardInterrupt | None = None
        with ThreadPoolExecutor(NEMESIS_THREADS, thread_name_prefix="nemesis") as pool:
            completions: list[Completion] = []
            while True:
                try:
                    if self.stop_asked():
                        runner.stop()
                    step = runner.step(self.clock.now_ns(), completions)
                    completions = []
                    if step.phase is Phase.DONE:
                        break
                    self._begin(step.invocations)
                    for action in step.actions:
                        pool.submit(self._act, action)
                    completions = self._wait(step.wake_ns)
                    self.tick(self.clock.now_ns(), step.phase)
                except KeyboardInterrupt as error:
                    interrupted = error
                    runner.stop()
        for worker in self._workers.values():
            worker.close()
        if interrupted is not None:
            raise interrupted
        return runner

    def _begin(self, invocations: Sequence[Invocation]) -> None:
        for invocation in invocations:
            slot = invocation.slot.slot
            if slot not in self._workers:
                self._workers[slot] = self._worker(slot, 0)
            self._running[slot] = invocation
            self.journal.invoked(self.clock.now_ns(), invocation)
            self._workers[slot].submit(invocation)

    def _worker(self, slot: int, generation: int) -> Worker:
        return Worker(self.make_client, self.dial, self.clock, self._events, slot, generation, self._sizes)

    def _act(self, action: FaultAction) -> None:
        try:
            done = self.nemesis.carry_out(action)
        except (
            BaseException
        ) as error:  # a bug of ours must end the run as an error, not leave it waiting for this action
            self.nemesis.errors.append(f"{action.verb.value}: {type(error).__name__}: {error}")
            done = ActionDone(action, failed=True)
        self._events.put(done)

    def _wait(self, wake_ns: int | None) -> list[Completion]:
        now = self.clock.now_ns()
        until = min(now + LONGEST_WAIT_NS, wake_ns if wake_ns is not None else now + LONGEST_WAIT_NS)
        completions: list[Completion] = []
        with suppress(queue.Empty):
            event = (
                self._events.get(timeout=max(0.0, (until - now) / 1e9)) if until > now else self._events.get_nowait()
            )
            while True:
                completions += self._taken(event)
                event = self._events.get_nowait()
        return completions + self._hung()

    def _taken(self, event: object) -> list[Completion]:
        if isinstance(event, ActionDone | Happened):
            return [event]
        assert isinstance(event, Answer)
        if self._workers[event.slot].generation != event.generation:
            return []
        return [self._complete(event.slot, event.outcome)]

    def _complete(self, slot: int, outcome: Outcome) -> OpDone:
        self.journal.completed(self.clock.now_ns(), self._running.pop(slot), outcome)
        return OpDone(slot, outcome)

    def _hung(self) -> list[Completion]:
        now = self.clock.now_ns()
        hung = [slot for slot, running in self._running.items() if now > running.deadline_ns + HANG_GRACE_NS]
        completions: list[Completion] = []
        for slot in hung:
            worker = self._workers[slot]
            worker.close()
            self._workers[slot] = self._worker(slot, worker.generation + 1)
            completions.append(self._complete(slot, Outcome("info", error="client-hung")))
        return completions
