"""One client on one thread, which opens it, invokes operations, checks its answers, and drops it when its connection may be dead.

A client is foreign code. Whatever it raises or returns, the thread goes on: anything unexpected is an `info` with error `client-error` and a fresh
client for the next operation.

A `SplitClient` that is open needs the thread no more: the driver's thread sends its operations (`begin`) and reads its answers (`answer`). The thread
opens and closes it.

A client is dropped after an `info`. After a `fail` its attribute `connected` is read, if it has one. When that is false, the client is dropped if the
error names a connection (`connection-lost`, `BrokenPipeError`, …), or is the `SAME_FAILS`-th in a row with the same error that is not a refusal
(`REFUSALS`).
"""

from __future__ import annotations

import queue
import re
import threading
import time
import traceback
from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from tribulation.histories.model.answers import answers
from tribulation.histories.model.operation import FOUND_NOTHING, MISMATCH

from ...errors import shown
from ...foreign import in_one_process
from ...systems.base import Client, Dial, Op, Outcome
from ...systems.plain import exact, plain, refuse_large, refuse_taken
from ...workloads.sized import Sizes
from .causes import CLIENT_ERROR
from .runner import Invocation

SAME_FAILS = 3
REFUSALS = FOUND_NOTHING | {MISMATCH, "no-quorum"}
"""Errors that only a running server returns; a client whose operations end so keeps its connection."""

_OUTCOMES = ("ok", "fail", "info")
_OF_A_CONNECTION = re.compile(r"connect|closed|reset|pipe|eof|timeout|timed.out|unreachable|oserror", re.IGNORECASE)
GRACE_S = 0.3
"""How much longer than an operation's time the answer of a `SplitClient` is awaited."""

LONGEST_MESSAGE = 500
TRACEBACK_LINES = 40
OUTCOME = "invoke answered an Outcome whose"


class RunClock:
    """Clock of a run: ns since it began, on the monotonic clock."""

    def __init__(self) -> None:
        # Bound here: a client may replace the functions of `time`, and a history's times must not jump with it.
        self._monotonic_ns = time.monotonic_ns
        self.started_ns = time.monotonic_ns()

    def now_ns(self) -> int:
        return self._monotonic_ns() - self.started_ns


@dataclass(frozen=True, slots=True)
class Answer:
    """Report of a worker. `generation` distinguishes a hung predecessor's late answer from its successor's.

    `dropped`: a client that had been open is gone, and its session with it. `traceback` is that of a `client-error`.
    """

    slot: int
    generation: int
    outcome: Outcome
    dropped: bool = False
    traceback: str = ""


class Takes(Protocol):
    def put(self, report: object, /) -> None: ...


class SplitClient(Client):
    """A client whose operations can also be sent and answered in two calls, neither of which waits."""

    @abstractmethod
    def begin(self, op: Op, timeout_s: float) -> bool:
        """Send the operation. Returns False when nothing was sent: `invoke` must do it."""

    @abstractmethod
    def fileno(self) -> int:
        """The descriptor that can be read when the answer may be there."""

    @abstractmethod
    def ended(self) -> Outcome | None:
        """The outcome of what `begin` sent; None while it is not there. Raises what `invoke` raises."""

    @abstractmethod
    def give_up(self) -> Outcome:
        """The outcome of what was not answered in time."""


class Worker:
    """One client on one daemon thread."""

    def __init__(
        self,
        make_client: Callable[[], Client],
        dial: Dial,
        clock: RunClock,
        answers: Takes,
        slot: int,
        generation: int,
        sizes: Sizes,
    ) -> None:
        self._make_client, self._dial, self._clock, self._answers = make_client, dial, clock, answers
        self._sizes = sizes
        self.slot, self.generation = slot, generation
        self._tasks: queue.SimpleQueue[Invocation | Answer | None] = queue.SimpleQueue()
        self._client: Client | None = None
        self._fails: tuple[str | None, int] = (None, 0)
        """The error of the last fails in a row, and their number."""
        threading.Thread(target=self._run, name=f"client-{slot}", daemon=True).start()

    def submit(self, invocation: Invocation) -> None:
        self._tasks.put(invocation)

    def begin(self, invocation: Invocation) -> int | None:
        """Send an operation without the thread, which must be idle. Return the descriptor on which the answer comes, or None: `submit` it."""
        client, op = self._client, invocation.op
        if invocation.fresh or not isinstance(client, SplitClient) or op.workload in self._sizes.bytes_of:
            return None
        descriptor = client.fileno()
        return descriptor if descriptor >= 0 and client.begin(op, self._left_s(invocation)) else None

    def answer(self, invocation: Invocation, is_late: bool = False) -> Answer | None:
        """The answer to what `begin` sent; None while it is not there. One with `dropped` must be given to `drop`."""
        client = self._client
        assert isinstance(client, SplitClient), "begin comes first"
        trace = ""
        try:
            outcome = client.give_up() if is_late else client.ended()
            if outcome is None:
                return None
            outcome = fitting(invocation.op, checked(outcome))
        except OSError as error:
            outcome = _lost(error)
        except Exception as error:
            outcome, trace = _unforeseen(error)
        return Answer(self.slot, self.generation, outcome, self._is_doubtful(outcome), trace)

    def drop(self, answer: Answer) -> None:
        """Let the thread close the client and report the answer then, since closing may take long."""
        self._tasks.put(answer)

    def close(self) -> None:
        self._tasks.put(None)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            if isinstance(task, Answer):
                self._drop()
                self._answers.put(task)
                continue
            with in_one_process():
                answer = self._attempt(task)
            self._answers.put(answer)
        self._drop()

    def _attempt(self, invocation: Invocation) -> Answer:
        trace = ""
        if invocation.fresh:
            self._drop()
        try:
            outcome = self._tried(invocation)
            drops = self._is_doubtful(outcome)
        except BaseException as error:  # a client is foreign code; whether the operation took place is unknown
            (outcome, trace), drops = _unforeseen(error), True
        was_open = self._client is not None
        if drops:
            self._drop()
        return Answer(self.slot, self.generation, outcome, drops and was_open, trace)

    def _tried(self, invocation: Invocation) -> Outcome:
        if self._client is None:
            client = self._make_client()
            try:
                client.open(invocation.slot.node, self._dial, self._left_s(invocation))
            except OSError as error:
                _close(client)
                return Outcome("fail", error="no-connection", extra={"message": _message(error)})
            except BaseException:
                _close(client)
                raise
            self._client = client
        try:
            answered = self._client.invoke(self._sizes.grown(invocation.op), self._left_s(invocation))
        except OSError as error:
            return _lost(error)
        return fitting(invocation.op, checked(self._sizes.shrunk(invocation.op.workload, checked(answered))))

    def _is_doubtful(self, outcome: Outcome) -> bool:
        """Return whether the client's connection may be dead or out of step."""
        if outcome.type != "fail" or outcome.error in REFUSALS:
            self._fails = (None, 0)
            return outcome.type == "info"
        connected = getattr(self._client, "connected", None)
        if connected is not None:
            return not connected
        last, count = self._fails
        self._fails = (outcome.error, count + 1 if outcome.error == last else 1)
        return bool(_OF_A_CONNECTION.search(outcome.error or "")) or self._fails[1] >= SAME_FAILS

    def _left_s(self, invocation: Invocation) -> float:
        return max(0.001, (invocation.deadline_ns - self._clock.now_ns()) / 1e9)

    def _drop(self) -> None:
        client, self._client = self._client, None
        self._fails = (None, 0)
        if client is not None:
            _close(client)


def _lost(error: OSError) -> Outcome:
    """Return the outcome of a connection that broke: the operation may have been sent."""
    return Outcome("info", error="connection-lost", extra={"message": _message(error)})


def _unforeseen(error: BaseException) -> tuple[Outcome, str]:
    return Outcome("info", error=CLIENT_ERROR, extra={"message": _message(error)}), _excerpt(error)


def _close(client: Client) -> None:
    with suppress(BaseException):  # closing a broken connection may fail; it is gone either way
        client.close()


def checked(answer: Any) -> Outcome:
    """Return `answer` as a history records it: a copy in JSON's own types, since a client may change or redefine its objects later. Raises `TypeError` or
    `ValueError` that says what a client must return instead.
    """
    if not isinstance(answer, Outcome):
        raise TypeError(f"invoke answered {shown(answer)}, not an Outcome")
    kind = exact(answer.type) if isinstance(answer.type, str) else None
    if kind not in _OUTCOMES:
        raise ValueError(f"invoke answered an Outcome of type {shown(answer.type)}; it is ok, fail or info")
    if not (answer.error is None or isinstance(answer.error, str)):
        raise TypeError(f"invoke answered an Outcome with error {shown(answer.error)}, which is not a text")
    if not isinstance(answer.extra, Mapping) or not all(isinstance(name, str) for name in answer.extra):
        raise TypeError(f"invoke answered an Outcome with extra {shown(answer.extra)}, which is not a mapping of names")
    extra = {exact(name): plain(value, f"{OUTCOME} extra {name!r}") for name, value in answer.extra.items()}
    refuse_taken(extra, "invoke answered an Outcome with extra")
    value = plain(answer.value, f"{OUTCOME} value")
    error = None if answer.error is None else plain(answer.error, f"{OUTCOME} error")
    refuse_large([value, extra, error], "invoke answered an Outcome that")
    return Outcome(kind, value, error=error, extra=extra)


def fitting(op: Op, outcome: Outcome) -> Outcome:
    """Return the outcome. Raises `ValueError` for an ok answer that is not one to `op`, such as a write that returns another value: it would make the
    whole history meaningless.
    """
    if outcome.type == "ok" and outcome.value is not None and not answers(op.f, op.value, outcome.value):
        raise ValueError(
            f"invoke answered {op.f} of {shown(op.value)} with {shown(outcome.value)}; leave the value out"
        )
    return outcome


def _message(error: BaseException) -> str:
    """An error's text for the history: of bounded length and valid UTF-8. Its `__str__` may raise as well."""
    try:
        text = f"{type(error).__name__}: {error}"
    except BaseException as second:
        text = f"{type(error).__name__}, whose text cannot be read: {type(second).__name__}"
    return text[:LONGEST_MESSAGE].encode(errors="backslashreplace").decode()


def _excerpt(error: BaseException) -> str:
    """The traceback; a long one without its middle."""
    lines = "".join(traceback.format_exception(error)).encode(errors="backslashreplace").decode().splitlines()
    if len(lines) > TRACEBACK_LINES:
        half = TRACEBACK_LINES // 2
        lines = [*lines[:half], f"  … {len(lines) - TRACEBACK_LINES} lines …", *lines[-half:]]
    return "\n".join(lines)
