"""Operations that the main thread sends to clients' processes itself: what the history says when one is killed, paused, slow, raises, or answers much."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tests.harness.run.test_threads import NoFaults
from tribulation.harness.run.clients.pool import ClientProcesses
from tribulation.harness.run.drive.journal import Journal
from tribulation.harness.run.drive.nemesis import Nemesis
from tribulation.harness.run.drive.runner import Phase
from tribulation.harness.run.drive.threads import Events, ThreadDriver
from tribulation.harness.run.drive.worker import RunClock, Worker
from tribulation.harness.run.plan.plan import Plan, Timing, make_slots
from tribulation.harness.workloads import Register, RegisterSpec
from tribulation.histories import Recorder, read_history
from tribulation.histories.model.history import History
from tribulation.histories.model.operation import Operation

MS = 1_000_000
ADAPTER = """
import os, time

from tribulation.testing import Daemon, Outcome


class Own(Daemon):
    name, port = "own", 1

    def command(self, host, cluster):
        return ["true"]


class Client:
    count = 0

    def open(self, node, dial, timeout_s):
        pass

    def invoke(self, op, timeout_s):
        self.count += 1
        time.sleep(0.002)
        INVOKE
        return Outcome("ok", None if op.f == "write" else 7)

    def close(self):
        pass


def service(options):
    return Own(options)


def client(options):
    return Client()
"""


def make_plan(clients: int, load_ms: int, operation_ms: int) -> Plan:
    spec = RegisterSpec(clients=clients, rate=1000.0, keys=2, mix={"read": 1, "write": 1})
    workloads = {"register": Register("register", spec)}
    timing = Timing(load_ms * MS, 10 * MS, 3000 * MS, operation_ms * MS)
    return Plan("t", 1, ("n1",), {"n1": 1}, timing, workloads, make_slots(workloads, ("n1",)), ())


def ran(
    folder: Path,
    invoke: str,
    during: Callable[[ClientProcesses, int], None] = lambda pool, now_ns: None,
    clients: int = 3,
    load_ms: int = 1500,
    operation_ms: int = 1000,
) -> tuple[History, Journal]:
    """The history of a load whose clients execute `invoke`. `during(pool, run time)` is called a few times a second."""
    file = folder / "own.py"
    file.write_text(ADAPTER.replace("INVOKE", invoke))
    plan, clock = make_plan(clients, load_ms, operation_ms), RunClock()
    with (
        Recorder(folder / "history.jsonl") as recorder,
        closing(ClientProcesses(file, {}, plan.slots, folder)) as pool,
    ):
        journal = Journal(recorder, plan.effects)
        nemesis = Nemesis(NoFaults(), journal, 1, clock.now_ns)

        def tick(now_ns: int, phase: Phase) -> None:
            if phase is Phase.LOAD:
                during(pool, now_ns)

        driver = ThreadDriver(plan, None, None, nemesis, journal, clock, tick, client_of=pool.client_of)  # type: ignore[arg-type]
        clock.started_ns = time.monotonic_ns()
        assert driver.run().phase is Phase.DONE
        assert not driver._events.watched
    return read_history(folder / "history.jsonl"), journal


def of_slot(history: History, slot: int, clients: int = 3) -> list[Operation]:
    """A slot's operations: a retired process has a successor."""
    return [op for op in history.operations() if isinstance(op.process, int) and op.process % clients == slot]


def once(do: Callable[[ClientProcesses], None]) -> Callable[[ClientProcesses, int], None]:
    done: list[bool] = []

    def during(pool: ClientProcesses, now_ns: int) -> None:
        if not done and now_ns > 300 * MS:
            done.append(True)
            do(pool)

    return during


def process_of(pool: ClientProcesses, slot: int) -> int:
    return next(process for process, seen in pool.seen().items() if seen.slot == slot)


def test_a_thread_opens_a_client_and_is_not_used_by_its_later_operations(tmp_path: Path, monkeypatch) -> None:
    by_thread: list[int] = []
    submit = Worker.submit
    monkeypatch.setattr(
        Worker, "submit", lambda self, invocation: (by_thread.append(self.slot), submit(self, invocation))
    )
    history, journal = ran(tmp_path, "pass")
    assert journal.pulse.counts["ok"] == len(history.operations()) > 30
    assert sorted(by_thread) == [0, 0, 1, 1, 2, 2], (
        "a client is opened for the load, and another one for the final reads"
    )
    assert {op.result for op in history.operations() if op.f == "read"} == {7}


def test_the_operation_of_a_killed_process_is_in_doubt_and_its_slot_goes_on(tmp_path: Path) -> None:
    hang = "time.sleep(0.4 if self.count == 5 else 0)"
    history, journal = ran(tmp_path, hang, once(lambda pool: os.kill(process_of(pool, 0), signal.SIGKILL)))
    (cause,) = (one for one in journal.causes.top() if one["type"] == "info")
    assert cause["error"] == "client-ended" and cause["count"] == 1
    operations = of_slot(history, 0)
    ended = next(i for i, op in enumerate(operations) if op.type == "info")
    assert operations[ended].process == 0 and {op.process for op in operations[ended + 1 :]} == {3}
    assert "ok" in {op.type for op in operations[ended + 1 :]}
    assert {op.type for op in of_slot(history, 1) + of_slot(history, 2)} == {"ok"}


def test_a_paused_process_is_in_doubt_after_its_time_and_delays_no_other(tmp_path: Path) -> None:
    paused_ns: list[int] = []

    def pause(pool: ClientProcesses) -> None:
        os.kill(process_of(pool, 0), signal.SIGSTOP)

    history, _ = ran(tmp_path, "pass", once(pause), load_ms=2500, operation_ms=700)
    doubtful = [op for op in history.operations() if op.type == "info"]
    assert [op.error for op in doubtful] == ["client-silent"] and doubtful[0].process == 0
    paused_ns += [doubtful[0].invoke_ns, doubtful[0].complete_ns]
    assert paused_ns[1] - paused_ns[0] >= 1000 * MS, "its time and the grace"
    for slot in (1, 2):
        during = [op for op in of_slot(history, slot) if paused_ns[0] < op.invoke_ns < paused_ns[1]]
        assert len(during) > 10 and {op.type for op in during} == {"ok"}


def test_what_a_client_raises_is_doubt_with_its_traceback_and_a_fresh_client(tmp_path: Path) -> None:
    history, journal = ran(tmp_path, "if self.count == 5: raise KeyError('fifth')")
    (cause,) = journal.causes.top()
    assert cause["error"] == "client-error" and "KeyError: 'fifth'" in cause["message"]
    assert "own.py" in cause["traceback"]
    retired = {op.process for op in history.operations() if op.type == "info"}
    assert retired and cause["count"] == len([op for op in history.operations() if op.type == "info"])
    assert all(op.type == "ok" for op in history.operations() if op.process not in retired)


def test_a_wrong_value_of_a_write_is_refused(tmp_path: Path) -> None:
    _, journal = ran(tmp_path, "if self.count > 2: return Outcome('ok', 'other')", load_ms=500)
    assert any(
        one["error"] == "client-error" and "leave the value out" in one["message"] for one in journal.causes.top()
    )


def test_an_answer_that_comes_in_parts_is_whole(tmp_path: Path) -> None:
    history, journal = ran(tmp_path, "if op.f == 'read': return Outcome('ok', 'x' * 1_000_000)", load_ms=700)
    assert journal.pulse.counts["ok"] == len(history.operations())
    answers = [event.value for event in history.events if event.type == "ok" and event.f == "read"]
    assert len(answers) > 5 and set(answers) == {"x" * 1_000_000}


def test_a_report_ends_the_wait_for_answers_and_is_never_lost() -> None:
    events = Events()
    quiet, other = socket.socketpair()
    with quiet, other:
        events.put("before")
        events.watch(0, quiet.fileno())
        assert events.wait(5) == ([], ["before"])
        threading.Timer(0.1, events.put, ["later"]).start()
        began_s = time.monotonic()
        assert events.wait(20) == ([], ["later"])
        assert time.monotonic() - began_s < 15
        other.send(b"1")
        assert events.wait(5) == ([0], [])
        events.unwatch(0)
        assert events.wait(0) == ([], [])


def test_a_descriptor_that_another_slot_has_by_now_stays_watched() -> None:
    events = Events()
    quiet, other = socket.socketpair()
    with quiet, other:
        events.watch(0, quiet.fileno())
        events.watch(1, quiet.fileno())
        events.unwatch(0)
        other.send(b"1")
        assert events.wait(5) == ([1], [])
        events.unwatch(1)
        assert not events.watched and events.wait(0) == ([], [])


KILLED = """
import sys
from pathlib import Path
from tests.harness.run.clients.test_split_clients import ran
ran(Path(sys.argv[1]), "open(SEEN, 'a').write(f'{op.f} {op.value}\\\\n')".replace("SEEN", repr(sys.argv[1] + "/seen")), load_ms=60_000)
"""


def test_what_a_client_did_before_the_harness_was_killed_is_in_the_history(tmp_path: Path) -> None:
    run = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], cwd=Path(__file__).parents[4])
    seen = tmp_path / "seen"
    rescue = threading.Timer(60, run.kill)
    rescue.start()
    try:
        while run.poll() is None and not (seen.exists() and seen.read_text().count("\n") > 100):
            time.sleep(0.01)
        assert run.poll() is None
        run.kill()
        run.wait(10)
    finally:
        rescue.cancel()
    time.sleep(0.2)
    history = read_history(tmp_path / "history.jsonl")
    invoked = {event.value for event in history.events if event.type == "invoke" and event.f == "write"}
    done = {int(line.split()[1]) for line in seen.read_text().splitlines() if line.startswith("write")}
    assert len(done) > 20 and done <= invoked
