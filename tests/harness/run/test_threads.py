"""The thread driver against a real server on loopback, and against clients that misbehave. Nothing here may hang."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from tests.systems.register_server import SERVER, RegisterClient
from tribulation.harness.errors import DeployError, FaultError
from tribulation.harness.nemesis.faults.fault import Injector, Intent, Observation, Resolved, Situation
from tribulation.harness.nemesis.faults.triggers import Happened
from tribulation.harness.run.drive.journal import Journal
from tribulation.harness.run.drive.nemesis import Nemesis
from tribulation.harness.run.drive.runner import HEAL_TRIES, Phase
from tribulation.harness.run.drive.threads import BROKEN_CLIENT, TICK_NS, ThreadDriver
from tribulation.harness.run.drive.worker import RunClock
from tribulation.harness.run.plan.plan import Plan, Timing, make_slots
from tribulation.harness.systems.base import Client, Op, Outcome
from tribulation.harness.workloads import Register, RegisterSpec
from tribulation.harness.workloads.generators import Context, Generator, each
from tribulation.histories import NEMESIS, Recorder, Type, read_history

MS = 1_000_000


class NoFaults(Injector):
    """An injector that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def steady(self, intent: Intent) -> AbstractContextManager[object]:
        return nullcontext()

    def situation(self) -> Situation:
        return Situation(("n1",), {"n1": 1}, "n1", ("n1",))

    def inject(self, fault: Resolved) -> Observation:
        self.asked.append(f"inject {fault.intent.id}")
        return Observation(True, {"seen": dict(fault.what)})

    def heal(self, fault: Resolved) -> Observation:
        self.asked.append(f"heal {fault.intent.id}")
        return Observation(True)

    def heal_all(self) -> Observation:
        self.asked.append("heal-all")
        return Observation(True)


def make_plan(load_ms: int, operation_ms: int = 300, intents: tuple[Intent, ...] = (), clients: int = 4) -> Plan:
    workloads = {"register": Register("register", RegisterSpec(clients=clients, rate=200.0, keys=2))}
    timing = Timing(load_ms * MS, 50 * MS, 2000 * MS, operation_ms * MS)
    return Plan("t", 1, ("n1",), {"n1": 1}, timing, workloads, make_slots(workloads, ("n1",)), intents)


def drive(plan: Plan, make_client, dial, path: Path, injector: Injector | None = None, tick=lambda now, phase: None):
    clock = RunClock()
    with Recorder(path) as recorder:
        journal = Journal(recorder, plan.effects)
        nemesis = Nemesis(injector or NoFaults(), journal, 1, clock.now_ns)
        runner = ThreadDriver(plan, make_client, dial, nemesis, journal, clock, tick).run()
    return runner, journal, read_history(path)


@pytest.fixture
def server():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(port), "fresh"])
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            assert time.monotonic() < deadline and process.poll() is None
    yield port
    process.kill()
    process.wait(10)


def test_a_real_server_gives_a_history_of_ok_operations_with_final_reads(server, tmp_path):
    intent = Intent("f1", "pause", {"target": "one"}, 100 * MS, 100 * MS, "f1")
    injector = NoFaults()
    runner, journal, history = drive(
        make_plan(500, intents=(intent,)),
        lambda: RegisterClient("n1"),
        lambda node, timeout_s: socket.create_connection(("127.0.0.1", server), timeout_s),
        tmp_path / "history.jsonl",
        injector,
    )
    assert runner.phase is Phase.DONE
    assert injector.asked == ["inject f1", "heal f1", "heal-all"]
    assert journal.pulse.counts["ok"] > 50 and journal.pulse.counts["info"] == 0
    operations = history.operations()
    assert len(operations) == sum(journal.pulse.counts.values())
    final = [op for op in operations if op.invoke_ns >= runner.marks["quiet_end"]]
    assert {op.f for op in final} == {"read"} and len(final) >= 2
    assert next(event.f for event in history.events if event.process == NEMESIS) == "inject"


class HangingClient(Client):
    """Its first operation never returns."""

    hung = threading.Event()

    def open(self, node, dial, timeout_s):
        pass

    def invoke(self, op: Op, timeout_s: float) -> Outcome:
        if op.f != "read" and not self.hung.is_set():
            self.hung.set()
            threading.Event().wait(60)
        return Outcome("ok", 1 if op.f == "read" else op.value)

    def close(self):
        pass


def test_a_hung_client_becomes_info_and_its_slot_goes_on(tmp_path):
    HangingClient.hung.clear()
    started = time.monotonic()
    _, journal, history = drive(make_plan(2500, operation_ms=100, clients=1), HangingClient, None, tmp_path / "h.jsonl")
    assert time.monotonic() - started < 20
    hung = [op for op in history.operations() if op.error == "client-hung"]
    assert len(hung) == 1 and hung[0].type is Type.INFO
    assert journal.pulse.counts["ok"] > 0
    assert {op.process for op in history.operations()} == {0, 1}, "the process that hung is retired"


class RaisingClient(HangingClient):
    def invoke(self, op: Op, timeout_s: float) -> Outcome:
        raise RuntimeError("a bug in a user's client")


def test_a_client_that_raises_is_in_doubt_and_says_why(tmp_path):
    _, journal, history = drive(make_plan(200), RaisingClient, None, tmp_path / "h.jsonl")
    assert journal.pulse.counts["ok"] == 0 and journal.pulse.counts["info"] > 0
    assert all("a bug in a user's client" in op.extra["message"] for op in history.operations())


def refuse(node: str, timeout_s: float) -> socket.socket:
    raise ConnectionRefusedError("no process listens")


def test_no_connection_is_a_definite_fail(tmp_path):
    _, journal, history = drive(make_plan(200), lambda: RegisterClient("n1"), refuse, tmp_path / "h.jsonl")
    assert set(journal.pulse.counts) == {"fail"}
    assert {op.error for op in history.operations()} == {"no-connection"}


def test_an_interrupt_heals_before_it_is_raised_again(tmp_path):
    injector = NoFaults()

    def interrupt(now_ns: int, phase: Phase) -> None:
        if phase is Phase.LOAD and now_ns > 100 * MS:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drive(make_plan(60_000), lambda: RegisterClient("n1"), refuse, tmp_path / "h.jsonl", injector, interrupt)
    assert injector.asked == ["heal-all"]


def test_a_client_that_cannot_work_ends_the_run_with_its_traceback(tmp_path):
    clock, injector = RunClock(), NoFaults()
    with Recorder(tmp_path / "h.jsonl") as recorder:
        journal = Journal(recorder)
        nemesis = Nemesis(injector, journal, 1, clock.now_ns)
        runner = ThreadDriver(
            make_plan(60_000), RaisingClient, None, nemesis, journal, clock, lambda now, phase: None
        ).run()
    (error,) = nemesis.errors
    assert f"first {BROKEN_CLIENT} operations" in error and "in invoke" in error and "hint:" in error
    assert "Traceback" not in error, "it stands with the cause, and once is enough"
    assert injector.asked == ["heal-all"] and "quiet_end" not in runner.marks
    (cause,) = journal.causes.top()
    assert cause["error"] == "client-error" and cause["count"] >= BROKEN_CLIENT and "RuntimeError" in cause["traceback"]


class SomeErrors(HangingClient):
    """Of ten operations nine raise."""

    count = 0

    def invoke(self, op: Op, timeout_s: float) -> Outcome:
        type(self).count += 1
        if self.count % 10 == 1:
            return Outcome("ok", 1 if op.f == "read" else op.value)
        raise TypeError(f"unhashable type: {self.count}")


def test_errors_of_a_client_are_counted_by_cause_and_do_not_end_a_run_that_works(tmp_path):
    SomeErrors.count = 0
    runner, journal, _ = drive(make_plan(600), SomeErrors, None, tmp_path / "h.jsonl")
    assert runner.phase is Phase.DONE and "quiet_end" in runner.marks
    assert [(one["error"], one["count"]) for one in journal.causes.top()] == [
        ("client-error", journal.pulse.counts["info"])
    ]


class BrokenInjector(NoFaults):
    def inject(self, fault: Resolved) -> Observation:
        return None  # type: ignore[return-value]


def test_a_bug_in_a_nemesis_thread_keeps_its_traceback_and_is_no_error_of_the_environment(tmp_path):
    intent = Intent("f1", "pause", {"target": "one"}, 50 * MS, 100 * MS, "f1")
    clock = RunClock()
    with Recorder(tmp_path / "h.jsonl") as recorder:
        journal = Journal(recorder)
        nemesis = Nemesis(BrokenInjector(), journal, 1, clock.now_ns)
        plan = make_plan(300, intents=(intent,))
        ThreadDriver(plan, HangingClient, None, nemesis, journal, clock, lambda now, phase: None).run()
    (bug,) = nemesis.trouble.bugs
    assert "inject f1" in bug and "Traceback" in bug and "AttributeError" in bug
    assert nemesis.errors == []


class Endless(Register):
    def load(self) -> Generator:
        def hang(context: Context) -> Op:
            until_s = time.monotonic() + 10
            while time.monotonic() < until_s:
                with suppress(Exception):
                    time.sleep(0.01)
            return Op("read", "r0")

        return each(hang)


def test_a_generator_that_hangs_ends_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr("tribulation.harness.run.drive.threads.STEP_S", 0.2)
    plan = make_plan(200)
    plan = replace(plan, workloads={"register": Endless("register", plan.workloads["register"].spec)})
    with pytest.raises(DeployError, match=r"generator .* did not end within 0\.2 s"):
        drive(plan, HangingClient, None, tmp_path / "h.jsonl")
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


class Unhealable(NoFaults):
    """Heals everything only after so many tries."""

    def __init__(self, tries: int) -> None:
        super().__init__()
        self.left = tries

    def heal_all(self) -> Observation:
        self.asked.append("heal-all")
        self.left -= 1
        if self.left >= 0:
            raise FaultError("agent of n1: connection lost", "is it up?")
        return Observation(True)


def test_progress_is_looked_at_a_few_times_a_second_and_in_each_phase(server, tmp_path):
    """Its text costs more than an operation."""
    ticks = []
    drive(
        make_plan(400, clients=8),
        lambda: RegisterClient("n1"),
        lambda node, timeout_s: socket.create_connection(("127.0.0.1", server), timeout_s),
        tmp_path / "history.jsonl",
        tick=lambda now_ns, phase: ticks.append((now_ns, phase)),
    )
    again = [now - before for (before, one), (now, phase) in pairwise(ticks) if phase is one]
    assert all(gap_ns >= TICK_NS for gap_ns in again)
    assert {Phase.LOAD, Phase.QUIET, Phase.FINAL} <= {phase for _, phase in ticks}


def drive_unhealable(tries: int, path: Path):
    clock, injector = RunClock(), Unhealable(tries)
    with Recorder(path) as recorder:
        journal = Journal(recorder)
        nemesis = Nemesis(injector, journal, 1, clock.now_ns)
        plan = make_plan(200)
        runner = ThreadDriver(plan, HangingClient, None, nemesis, journal, clock, lambda now, phase: None).run()
    return runner, injector, nemesis


def test_healing_everything_is_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr("tribulation.harness.run.drive.runner.HEAL_AGAIN_NS", 20 * MS)
    runner, injector, nemesis = drive_unhealable(HEAL_TRIES - 1, tmp_path / "h.jsonl")
    assert injector.asked == ["heal-all"] * HEAL_TRIES
    assert nemesis.errors == [] and {"healed", "quiet_end"} <= set(runner.marks)


def test_a_run_that_could_not_be_healed_was_never_healed_nor_quiet(tmp_path, monkeypatch):
    monkeypatch.setattr("tribulation.harness.run.drive.runner.HEAL_AGAIN_NS", 20 * MS)
    runner, injector, nemesis = drive_unhealable(99, tmp_path / "h.jsonl")
    assert injector.asked == ["heal-all"] * HEAL_TRIES
    assert "healed" not in runner.marks and "quiet_end" not in runner.marks and "end" in runner.marks
    (error,) = nemesis.errors
    assert "agent of n1: connection lost" in error


class StillCut(NoFaults):
    def heal_all(self) -> Observation:
        self.asked.append("heal-all")
        return Observation(False, {"edges": [["n1", "n2"]], "down_but_not_cut": [["n1", "n2"]]})


def test_links_that_are_down_after_everything_was_healed_are_an_error_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.setattr("tribulation.harness.run.drive.runner.HEAL_AGAIN_NS", 20 * MS)
    clock, injector = RunClock(), StillCut()
    with Recorder(tmp_path / "h.jsonl") as recorder:
        journal = Journal(recorder)
        nemesis = Nemesis(injector, journal, 1, clock.now_ns)
        driver = ThreadDriver(make_plan(200), HangingClient, None, nemesis, journal, clock, lambda now, phase: None)
        runner = driver.run()
    assert "healed" not in runner.marks and "n1 to n2" in nemesis.errors[0]


class Silent:
    """A client that never answers in time."""

    def open(self, node, dial, timeout_s):
        pass

    def invoke(self, op, timeout_s):
        time.sleep(timeout_s)
        return Outcome("info", error="timeout")

    def close(self):
        pass


def test_a_signal_during_a_wait_does_not_make_it_endless(tmp_path):
    """`SimpleQueue.get` waits forever when a signal's handler outlasts its timeout: Ctrl-C could hang a run."""
    clock = RunClock()
    handlers_ran = []

    def slow_handler(number, frame):
        handlers_ran.append(number)
        time.sleep(0.5)

    with Recorder(tmp_path / "h.jsonl") as recorder:
        journal = Journal(recorder)
        nemesis = Nemesis(NoFaults(), journal, 1, clock.now_ns)
        driver = ThreadDriver(make_plan(200), Silent, None, nemesis, journal, clock, lambda now, phase: None)
        # Ends the test, not the wait, if the wait has become endless.
        rescue = threading.Timer(5.0, driver.happened, [Happened("rescue", "n1", clock.now_ns())])
        rescue.start()
        before = signal.signal(signal.SIGALRM, slow_handler)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            began_s = time.monotonic()
            driver._wait(clock.now_ns() + 150 * MS)
            took_s = time.monotonic() - began_s
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            rescue.cancel()
    assert handlers_ran and took_s < 4.0
