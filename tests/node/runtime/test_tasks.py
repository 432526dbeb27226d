"""The threads that run tasks, the handlers, and both of them under virtual time. Waits are for a condition, with a bound; nothing is timed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tribulation.harness.simulator.cluster.tasks import SimTasks
from tribulation.harness.simulator.event_loop import Kernel
from tribulation.node.core.interface.effects import RunTask
from tribulation.node.core.interface.events import TaskDone
from tribulation.node.runtime.loop import tasks
from tribulation.node.runtime.loop.handlers import HANDLERS, Handler, Result, load_handlers, perform
from tribulation.node.runtime.loop.tasks import TaskThreads

BOUND_S = 20.0


class Stage:
    """A pool and what it said so far."""

    def __init__(self, workers: int, handlers: Mapping[str, Handler]) -> None:
        self.woken = threading.Event()
        self.pool = TaskThreads(workers, self.woken.set, {**HANDLERS, **handlers})
        self.pool.start()
        self.done: dict[int, TaskDone] = {}

    def await_done(self, *runs: int) -> list[TaskDone]:
        while not all(run in self.done for run in runs):
            assert self.woken.wait(BOUND_S), f"runs {runs} did not end; ended: {sorted(self.done)}, {self.pool.counts}"
            self.woken.clear()
            self.done.update((done.run, done) for done in self.pool.drain())
        return [self.done[run] for run in runs]


@pytest.fixture
def make() -> Iterator[Callable[..., Stage]]:
    stages: list[Stage] = []

    def build(workers: int = 2, **handlers: Handler) -> Stage:
        stages.append(Stage(workers, handlers))
        return stages[-1]

    yield build
    for stage in stages:
        stage.pool.stop(BOUND_S)


def run(number: int, handler: str, state: Mapping[str, Any] | None = None, **payload: Any) -> RunTask:
    return RunTask(number, handler, payload, state or {})


def test_every_run_ends_with_one_answer(make: Callable[..., Stage]) -> None:
    stage = make(workers=3)
    for number in range(50):
        stage.pool.submit(run(number, "echo", value=number))
    answers = stage.await_done(*range(50))
    assert [(a.ok, a.value) for a in answers] == [(True, number) for number in range(50)]
    assert stage.pool.drain() == []


def test_at_most_so_many_run_at_a_time(make: Callable[..., Stage]) -> None:
    gate, lock, inside, most = threading.Event(), threading.Lock(), [0], [0]

    def busy(payload: Any, state: Any) -> None:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        gate.wait(BOUND_S)
        with lock:
            inside[0] -= 1

    stage = make(workers=2, busy=busy)
    for number in range(6):
        stage.pool.submit(run(number, "busy"))
    gate.set()
    stage.await_done(*range(6))
    assert most[0] <= 2


def test_a_run_past_its_deadline_has_failed_and_its_thread_is_replaced(make: Callable[..., Stage]) -> None:
    gate = threading.Event()
    stage = make(workers=1, hang=lambda payload, state: gate.wait(BOUND_S))
    stage.pool.submit(run(1, "hang", timeout_s=0.05))
    stage.pool.submit(run(2, "echo", value="next"))
    late, following = stage.await_done(1, 2)
    assert not late.ok and "took longer than timeout_s, which is 0.05" in late.value
    assert following.value == "next" and stage.pool.stuck == 1
    gate.set()
    stage.pool.submit(run(3, "echo", value="more"))
    assert stage.await_done(3)[0].value == "more"
    assert 1 in stage.done and stage.pool.drain() == []


def test_when_all_threads_hang_what_waits_fails_at_its_deadline(
    make: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "STUCK_LIMIT", 0)
    gate = threading.Event()
    stage = make(workers=1, hang=lambda payload, state: gate.wait(BOUND_S))
    stage.pool.submit(run(1, "hang", timeout_s=0.05))
    stage.pool.submit(run(2, "echo", timeout_s=0.1))
    assert "all threads of this node hang" in stage.await_done(1, 2)[1].value
    gate.set()


def test_a_dropped_run_does_not_begin_and_a_dropped_sleeper_says_nothing(make: Callable[..., Stage]) -> None:
    stage = make(workers=1)
    stage.pool.submit(run(1, "sleep", ms=BOUND_S * 1000))
    stage.pool.submit(run(2, "echo"))
    stage.pool.submit(run(3, "echo", value="after both"))
    stage.pool.drop(2)
    stage.pool.drop(1)
    assert stage.await_done(3)[0].value == "after both"
    assert sorted(stage.done) == [3]


def test_too_many_that_wait_are_refused(make: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "WAITING_LIMIT", 1)
    gate, begun = threading.Event(), threading.Event()

    def hold(payload: Any, state: Any) -> None:
        begun.set()
        gate.wait(BOUND_S)

    stage = make(workers=1, hold=hold)
    stage.pool.submit(run(1, "hold"))
    assert begun.wait(BOUND_S)
    stage.pool.submit(run(2, "echo"))
    stage.pool.submit(run(3, "echo"))
    assert "wait for a thread" in stage.await_done(3)[0].value
    gate.set()
    assert stage.await_done(1, 2)[1].ok


def test_stop_ends_the_threads_and_reports_when_one_does_not_end() -> None:
    stage = Stage(2, {})
    stage.pool.submit(run(1, "sleep", ms=BOUND_S * 1000))
    assert stage.pool.stop(BOUND_S)
    gate, begun = threading.Event(), threading.Event()

    def deaf(payload: Any, state: Any) -> None:
        begun.set()
        gate.wait(BOUND_S)

    stage = Stage(1, {"deaf": deaf})
    stage.pool.submit(run(1, "deaf"))
    assert begun.wait(BOUND_S)
    assert not stage.pool.stop(0.01)
    gate.set()


ANSWERS: list[tuple[str, dict[str, Any], bool, Any]] = [
    ("echo", {"value": [1]}, True, [1]),
    ("echo", {"x": 1, "task": {"id": "t"}}, True, {"x": 1}),
    ("sleep", {"ms": 0}, True, 0),
    ("sleep", {"ms": "long"}, False, "sleep: ValueError: ms is 'long', not a number of milliseconds"),
    ("digest", {"data": None}, True, "74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b"),
    ("digest", {"rounds": 0}, False, "digest: ValueError: rounds is 0, not an integer 1..10000000"),
    ("learn", {"set": {"a": 1, "b": None}}, True, {"a": 1, "b": None}),
    ("fail", {"message": "no"}, False, "fail: RuntimeError: no"),
    ("fail", {"times": 1, "task": {"retries": 0}}, False, "fail: RuntimeError: as it was asked to"),
    ("fail", {"times": 1, "task": {"retries": 1}}, True, 2),
    ("dance", {}, False, "there is no handler 'dance' on this node; there are echo, sleep, digest, learn, fail"),
]


@pytest.mark.parametrize(("handler", "payload", "ok", "value"), ANSWERS)
def test_handlers(handler: str, payload: dict[str, Any], ok: bool, value: Any) -> None:
    done = perform(run(1, handler, **payload), HANDLERS)
    assert (done.ok, done.value) == (ok, value)


def test_learn_changes_the_state_by_what_it_read_and_not_the_state_itself() -> None:
    state = {"n": 2, "list": [1]}
    done = perform(run(1, "learn", state, add={"n": 3}, set={"m": 1}), HANDLERS)
    assert done.changes == {"n": 5, "m": 1} and state == {"n": 2, "list": [1]}


def test_what_is_no_json_or_too_much_makes_the_attempt_fail() -> None:
    def odd(payload: Any, state: Any) -> Any:
        return object()

    def greedy(payload: Any, state: Any) -> Any:
        return Result(None, {"k": "x" * 300_000})

    assert "TypeError" in perform(run(1, "odd"), {"odd": odd}).value
    assert "may set 262144" in perform(run(1, "greedy"), {"greedy": greedy}).value


def test_handlers_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("HANDLERS = {'double': lambda payload, state: 2 * payload['n']}\n")
    assert perform(run(1, "double", n=4), load_handlers(path)).value == 8


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("HANDLERS = 5", "HANDLERS = 5, not an object of functions"),
        ("1 / 0", "ZeroDivisionError"),
        ("HANDLERS = {'echo': print}", "as every node has"),
    ],
)
def test_a_file_that_holds_no_handlers_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(ValueError, match="hint: ") as caught:
        load_handlers(path)
    assert words in str(caught.value)


def test_under_virtual_time_a_sleep_takes_its_time_and_the_rest_a_drawn_one() -> None:
    def life() -> list[tuple[int, int, Any]]:
        kernel, seen = Kernel(), []
        sim = SimTasks(kernel, 7, 2, lambda done: seen.append((done.run, kernel.now_ns, done.value)))
        sim.submit(run(1, "sleep", ms=50))
        for number in range(2, 6):
            sim.submit(run(number, "echo", value=number))
        sim.submit(run(6, "sleep", ms=90_000))
        kernel.run_until(200_000_000_000)
        assert sim.idle
        return seen

    seen = life()
    assert seen == life()
    assert [number for number, _, _ in seen] == [2, 3, 4, 5, 1, 6]
    assert 50_000_000 <= seen[4][1] < 70_000_000
    assert seen[5][1] >= 60_000_000_000 and "took longer" in seen[5][2]


def test_under_virtual_time_nothing_is_heard_of_what_was_dropped_or_of_a_process_that_ended() -> None:
    kernel, seen = Kernel(), []
    sim = SimTasks(kernel, 7, 1, lambda done: seen.append(done.run))
    sim.submit(run(1, "sleep", ms=1000))
    sim.submit(run(2, "echo"))
    sim.submit(run(3, "echo"))
    sim.drop(2)
    sim.drop(1)
    kernel.run_until(500_000_000)
    assert seen == [3]
    sim.submit(run(4, "echo"))
    sim.stop()
    kernel.run_until(900_000_000)
    assert seen == [3]


class Speechless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def _exit(payload: Mapping[str, Any], state: Mapping[str, Any]) -> Any:
    raise SystemExit(3)


def _interrupt(payload: Mapping[str, Any], state: Mapping[str, Any]) -> Any:
    raise KeyboardInterrupt


def _speechless(payload: Mapping[str, Any], state: Mapping[str, Any]) -> Any:
    raise Speechless


def _no_text(payload: Mapping[str, Any], state: Mapping[str, Any]) -> Any:
    raise OSError(2, "cannot open", "\udcff")


def _returning(value: Any) -> Handler:
    return lambda payload, state: value


DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "handler",
    [
        _exit,
        _interrupt,
        _speechless,
        _no_text,
        *map(_returning, [10**400, float("nan"), "\ud800", DEEP, {1, 2}, Result(1, {"k": 2**63})]),
    ],
)
def test_whatever_a_handler_does_its_thread_goes_on_and_its_attempt_has_failed(
    make: Callable[..., Stage], handler: Handler
) -> None:
    stage = make(workers=1, odd=handler)
    stage.pool.submit(run(1, "odd"))
    stage.pool.submit(run(2, "echo", value=7))
    first, second = stage.await_done(1, 2)
    assert not first.ok and first.value.startswith("odd: ") and first.value.encode()
    assert second.ok and second.value == 7


@pytest.mark.parametrize("huge", [10**400, 2**1024, 1e308, True])
def test_numbers_that_no_float_holds_end_neither_loop_nor_thread(make: Callable[..., Stage], huge: Any) -> None:
    """As the log of an earlier release may have them: `float()` of one ended the process that ran it, and the next, and the next."""
    stage = make(workers=1)
    stage.pool.submit(run(1, "echo", timeout_s=huge, value=1))
    stage.pool.submit(run(2, "sleep", ms=huge, timeout_s=0.01))
    stage.pool.submit(run(3, "echo", value=3))
    first, second, third = stage.await_done(1, 2, 3)
    assert first.ok and third.ok and third.value == 3 and not (second.ok and huge is not True)
