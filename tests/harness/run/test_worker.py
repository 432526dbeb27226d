"""Clients that misbehave in every way: the thread lives, the history says what happened, and no connection that died is kept."""

from __future__ import annotations

import asyncio
import os
import queue
import subprocess
import sys
import time
from decimal import Decimal
from typing import ClassVar

import pytest

from tribulation.harness.foreign import contained, put_back_time
from tribulation.harness.run.drive.runner import Invocation
from tribulation.harness.run.drive.worker import SAME_FAILS, Answer, RunClock, Worker
from tribulation.harness.run.plan.plan import Slot
from tribulation.harness.systems.base import Client, Op, Outcome
from tribulation.harness.systems.plain import MOST_BYTES
from tribulation.harness.workloads.sized import Sizes
from tribulation.histories import Recorder, read_history
from tribulation.histories.model.bounds import INTEGER_DIGITS

SECOND = 1_000_000_000


class Scripted(Client):
    """Answers what it is given; `made` counts clients, `closed` those that were closed."""

    made = 0
    closed = 0
    script: ClassVar[list] = []

    def __init__(self) -> None:
        type(self).made += 1

    def open(self, node, dial, timeout_s):
        self._play("open")

    def invoke(self, op, timeout_s):
        return self._play("invoke")

    def close(self):
        type(self).closed += 1

    def _play(self, where: str):
        if not self.script or self.script[0][0] != where:
            return Outcome("ok", 1)
        what = self.script.pop(0)[1]
        if isinstance(what, BaseException):
            raise what
        return what


def asked(client, script: list, times: int = 1) -> list[Answer]:
    """What a worker reports of `times` operations with a client that plays `script`."""
    client.made = client.closed = 0
    client.script = list(script)
    answers: queue.Queue = queue.Queue()
    clock = RunClock()
    worker = Worker(client, None, clock, answers, 0, 0, Sizes({}))
    got = []
    for _ in range(times):
        deadline_ns = clock.now_ns() + 5 * SECOND
        worker.submit(Invocation(Slot(0, "register", 0, 1, "n1"), 0, Op("read", "k"), deadline_ns, False))
        got.append(answers.get(timeout=10))
    worker.close()
    deadline_s = time.monotonic() + 10
    while client.closed < client.made and time.monotonic() < deadline_s:
        time.sleep(0.001)
    assert client.closed == client.made, "every client that was made is closed"
    return got


UNFORESEEN = [
    TypeError("t"),
    AttributeError("a"),
    SystemExit(3),
    GeneratorExit(),
    asyncio.CancelledError(),
    KeyError(1),
]


@pytest.mark.parametrize("where", ["open", "invoke"])
@pytest.mark.parametrize("error", UNFORESEEN, ids=lambda error: type(error).__name__)
def test_whatever_a_client_raises_is_doubt_and_the_next_operation_has_a_fresh_client(where, error):
    first, second = asked(Scripted, [(where, error)], 2)
    assert (first.outcome.type, first.outcome.error) == ("info", "client-error")
    assert first.outcome.extra["message"].startswith(type(error).__name__)
    assert f"in {where}" in first.traceback
    assert second.outcome.type == "ok" and Scripted.made == 2


def test_a_client_that_cannot_be_made_is_doubt_too():
    made: list[int] = []

    def make():
        made.append(1)
        if len(made) == 1:
            raise ImportError("no module named redis")
        return Scripted()

    Scripted.made = Scripted.closed = 0
    answers: queue.Queue = queue.Queue()
    clock = RunClock()
    worker = Worker(make, None, clock, answers, 0, 0, Sizes({}))
    invocation = Invocation(Slot(0, "register", 0, 1, "n1"), 0, Op("read", "k"), clock.now_ns() + 5 * SECOND, False)
    worker.submit(invocation)
    assert answers.get(timeout=10).outcome.error == "client-error"
    worker.submit(invocation)
    assert answers.get(timeout=10).outcome.type == "ok"
    worker.close()


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


ANSWERS = [
    None,
    "ok",
    ("ok", 1),
    Outcome("OK", 1),
    Outcome("", 1),
    Outcome(None, 1),
    Outcome("fail", error=ValueError("x")),
    Outcome("ok", b"5"),
    Outcome("ok", Decimal("1.5")),
    Outcome("ok", float("nan")),
    Outcome("ok", "\ud800"),
    Outcome("fail", error="\ud800"),
    Outcome("ok", 10**INTEGER_DIGITS),
    Outcome("ok", {10**INTEGER_DIGITS: 1}),
    Outcome("ok", extra={"seen": [-(10**INTEGER_DIGITS)]}),
    Outcome("ok", "x" * MOST_BYTES),
    Outcome("fail", error="\0" * (MOST_BYTES // 6)),
    Outcome("ok", [1, {"a": object()}]),
    Outcome("ok", {(1, 2): 3}),
    Outcome("ok", 1, extra={"process": 7}),
    Outcome("ok", 1, extra={"time_ns": 7}),
    Outcome("ok", 1, extra=[1]),
    Outcome("ok", 1, extra={1: 2}),
]


@pytest.mark.parametrize("answer", ANSWERS, ids=range(len(ANSWERS)))
def test_an_answer_that_a_history_cannot_hold_is_doubt_and_names_the_mistake(answer):
    first, second = asked(Scripted, [("invoke", answer)], 2)
    assert (first.outcome.type, first.outcome.error) == ("info", "client-error")
    assert second.outcome.type == "ok" and Scripted.made == 2


def test_a_list_that_holds_itself_and_an_error_without_text_end_no_thread():
    endless: list = []
    endless.append(endless)
    first, second, third = asked(Scripted, [("invoke", Outcome("ok", endless)), ("invoke", Unprintable())], 3)
    assert [one.outcome.type for one in (first, second, third)] == ["info", "info", "ok"]


def test_an_os_error_of_an_operation_is_doubt_about_its_connection_and_no_error_of_the_client():
    first, _ = asked(Scripted, [("invoke", ConnectionResetError("peer"))], 2)
    assert (first.outcome.type, first.outcome.error) == ("info", "connection-lost")
    assert Scripted.made == 2


@pytest.mark.parametrize("error", ["connection-lost", "BrokenPipeError", "Connection closed by server.", "timed out"])
def test_a_fail_of_a_connection_ends_that_client_and_its_process(error):
    first, _ = asked(Scripted, [("invoke", Outcome("fail", error=error))], 2)
    assert first.outcome.type == "fail" and first.dropped and Scripted.made == 2


def test_a_client_that_keeps_failing_alike_is_replaced():
    script = [("invoke", Outcome("fail", error="ERR unknown"))] * (2 * SAME_FAILS)
    answers = asked(Scripted, script, 2 * SAME_FAILS + 1)
    assert Scripted.made == 3, "two dead clients, and one that works"
    assert answers[-1].outcome.type == "ok"


def test_refusals_by_a_living_server_keep_the_client_however_many_they_are():
    script = [
        ("invoke", Outcome("fail", error=error)) for error in ("mismatch", "no-quorum", "queue-empty") for _ in range(5)
    ]
    answers = asked(Scripted, script, 16)
    assert Scripted.made == 1 and not any(one.dropped for one in answers)


class Knowing(Scripted):
    """Says itself whether its connection lives."""

    connected = True


def test_a_client_that_knows_its_connection_is_believed():
    asked(Knowing, [("invoke", Outcome("fail", error="timeout"))] * 5, 6)
    assert Knowing.made == 1
    Knowing.connected = False
    first, _ = asked(Knowing, [("invoke", Outcome("fail", error="busy"))], 2)
    assert first.dropped and Knowing.made == 2
    Knowing.connected = True


def test_a_node_that_refuses_connections_does_not_use_up_processes():
    answers = asked(Scripted, [("open", ConnectionRefusedError("nobody"))] * 5, 5)
    assert {(one.outcome.type, one.outcome.error, one.dropped) for one in answers} == {("fail", "no-connection", False)}


def test_a_write_that_is_answered_with_another_value_is_doubt_and_does_not_spoil_the_history():
    class Mine(Scripted):
        script: ClassVar[list] = [("invoke", Outcome("ok", 2))]

    answers: queue.Queue = queue.Queue()
    clock = RunClock()
    worker = Worker(Mine, None, clock, answers, 0, 0, Sizes({}))
    write = Op("write", "k", 1)
    worker.submit(Invocation(Slot(0, "register", 0, 1, "n1"), 0, write, clock.now_ns() + 5 * SECOND, False))
    got = answers.get(timeout=5)
    worker.close()
    assert (got.outcome.type, got.outcome.error) == ("info", "client-error")
    assert "leave the value out" in got.outcome.extra["message"]


class Int64(int):
    """As drivers of databases answer."""


@pytest.mark.parametrize(
    "value",
    [{"\ud800": 1}, {True: 1}, {1: "a", "1": "b"}, [{"n": {True: 1}}], 10**5000],
    ids=["surrogate", "bool", "two keys of one text", "deep", "huge"],
)
def test_what_no_history_can_hold_is_doubt_and_no_end_of_the_run(value):
    for outcome in (Outcome("ok", value), Outcome("ok", 1, extra={"seen": value})):
        first, second = asked(Scripted, [("invoke", outcome)], 2)
        assert (first.outcome.type, first.outcome.error) == ("info", "client-error")
        assert second.outcome.type == "ok"


@pytest.mark.parametrize(
    "value", [Int64(5), [Int64(5)], type("Text", (str,), {})("a"), type("Real", (float,), {})(1.5)]
)
def test_subclasses_of_numbers_and_texts_are_recorded_as_what_they_are(value, tmp_path):
    (first,) = asked(Scripted, [("invoke", Outcome("ok", value))])
    assert first.outcome.type == "ok"
    with Recorder(tmp_path / "history.jsonl") as recorder:
        recorder.record(1, 0, "invoke", "read", None, key="k")
        recorder.record(2, 0, "ok", "read", first.outcome.value, key="k")
    assert recorder.failure is None
    assert read_history(tmp_path / "history.jsonl").operations()[0].result == value


class Deceiving(str):
    """Equal to everything, and another text later."""

    __hash__ = str.__hash__

    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False

    def encode(self, *_):
        return b"changed"


def test_a_text_that_claims_to_equal_every_other_one_is_no_type_of_an_outcome():
    (answer,) = asked(Scripted, [("invoke", Outcome(Deceiving("okay"), 1))])
    assert (answer.outcome.type, answer.outcome.error) == ("info", "client-error")


def test_what_a_client_changes_after_its_answer_does_not_change_what_is_recorded():
    cached = [1, {"a": [Deceiving("x")]}]
    (answer,) = asked(Scripted, [("invoke", Outcome("ok", cached, extra={"more": cached}))])
    cached.append(2)
    cached[1]["a"].append(3)
    assert answer.outcome.value == answer.outcome.extra["more"] == [1, {"a": ["x"]}]
    assert type(answer.outcome.value[1]["a"][0]) is str


class Forking(Scripted):
    children: ClassVar[list[int]] = []

    def invoke(self, op, timeout_s):
        child = os.fork()
        if child:
            self.children.append(child)
        return Outcome("ok", 1)


def test_a_copy_of_the_run_that_a_client_forked_ends_with_the_operation():
    (answer,) = asked(Forking, [])
    (child,) = Forking.children
    assert answer.outcome.type == "ok"
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_times_of_a_run_do_not_stand_still_when_a_client_replaces_the_clock(monkeypatch):
    clock = RunClock()
    monkeypatch.setattr(time, "monotonic_ns", lambda: 0)
    assert 0 <= clock.now_ns() < 3600 * SECOND
    assert put_back_time() == ["monotonic_ns"] and time.monotonic_ns() > 0


def test_no_users_code_leaves_ours_with_fewer_calls_than_before():
    least = sys.getrecursionlimit()
    with contained():
        sys.setrecursionlimit(least - 500)
        assert sys.getrecursionlimit() == least


def test_what_users_code_writes_to_the_streams_of_python_itself_goes_to_stderr():
    program = """
import sys
from tribulation.harness.cli.process.streams import guarded_streams
from tribulation.harness.foreign import contained
with guarded_streams():
    with contained():
        sys.__stdout__.write("theirs")
    print("ours")
    sys.__stdout__.write("too")
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert (ran.stdout, ran.stderr) == ("ours\ntoo", "theirs")
