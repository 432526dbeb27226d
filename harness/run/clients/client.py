"""`Client` whose work is done by a process of its own: `open` and `close` wait for it, an operation is also sent and answered in two calls
(`SplitClient`).
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from ...systems.base import Dial, Op, Outcome, PortDial
from ..drive.worker import GRACE_S, SplitClient
from .process import ClientProcess

ENDED, SILENT = "client-ended", "client-silent"
"""Errors of operations whose process ended, or did not answer in time: whether they took place is unknown."""


class RaisedInClient(Exception):
    """Exception of a client in its process, with the traceback from there."""


class ProcessClient(SplitClient):
    """Client that works in a process. `start(node, timeout_s)` returns one; it raises `OSError` while a fault keeps it down. `give_back(process)`
    takes one that can be started again, and `taken()` is called for every other one.
    """

    def __init__(
        self,
        start: Callable[[str, float], ClientProcess],
        report: Callable[[ClientProcess, str | None], None],
        give_back: Callable[[ClientProcess], None],
        taken: Callable[[], None],
    ) -> None:
        self._start, self._notify = start, report
        self._give_back, self._taken = give_back, taken
        self._is_fresh = False
        self._process: ClientProcess | None = None
        self._is_silent = False
        self._sent = 0
        self.connected: bool | None = None

    def open(self, node: str, dial: Dial, timeout_s: float) -> None:
        self._process = process = self._start(node, timeout_s)
        process.reach = lambda to, port, within_s: _reached(dial, to, port, within_s)
        addresses = dict(dial.addresses) if isinstance(dial, PortDial) else {}
        request = {"do": "open", "node": node, "addresses": addresses, "timeout_s": timeout_s}
        try:
            answer = self._asked(request, timeout_s)
        finally:
            if not self._is_fresh:
                self._taken()
        if isinstance(answer, str):
            raise ConnectionError(f"{answer} while it connected")

    def invoke(self, op: Op, timeout_s: float) -> Outcome:
        assert self._process is not None, "open comes first"
        self._notify(self._process, op.f)
        try:
            answer = self._asked(_request(op, timeout_s), timeout_s)
        finally:
            self._notify(self._process, None)
        return _outcome(answer)

    def begin(self, op: Op, timeout_s: float) -> bool:
        assert self._process is not None, "open comes first"
        self._notify(self._process, op.f)
        self._sent += 1
        return self._process.lines.send_now({**_request(op, timeout_s), "id": self._sent})

    def fileno(self) -> int:
        assert self._process is not None, "open comes first"
        return self._process.lines.socket.fileno()

    def ended(self) -> Outcome | None:
        assert self._process is not None, "open comes first"
        try:
            answer = self._process.lines.receive_now()
        except BlockingIOError:
            return None
        except OSError:
            answer = None
        self._notify(self._process, None)
        return _outcome(ENDED if answer is None else self._taken_in(answer))

    def give_up(self) -> Outcome:
        assert self._process is not None, "open comes first"
        self._notify(self._process, None)
        self._is_silent = True
        return _outcome(SILENT)

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None and self._is_fresh:
            self._give_back(process)
        elif process is not None:
            # One that did not answer an operation would not close either.
            process.close(*([0.0] if self._is_silent else []))

    def _asked(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any] | str:
        """Return the answer; or `ENDED`, or `SILENT`. Raises what the client raised, and `ValueError` for the answer to another request."""
        assert self._process is not None
        lines = self._process.lines
        self._sent += 1
        try:
            lines.socket.settimeout(timeout_s + GRACE_S)
            lines.send({**request, "id": self._sent})
            answer = lines.receive(timeout_s + GRACE_S)
        except TimeoutError:
            self._is_silent = True
            return SILENT
        except OSError:
            return ENDED
        return ENDED if answer is None else self._taken_in(answer)

    def _taken_in(self, answer: dict[str, Any]) -> dict[str, Any]:
        if answer.get("id") != self._sent:
            raise ValueError(f"the client's process answered request {answer.get('id')}, not {self._sent}")
        self.connected = answer.get("connected")
        if "raised" in answer:
            # No connection was asked for, as its node refuses: a program, which is slow to start, is kept.
            self._is_fresh = answer["fresh"]
            raise _raised(answer["raised"])
        return answer


def _request(op: Op, timeout_s: float) -> dict[str, Any]:
    fields = {"f": op.f, "key": op.key, "value": op.value, "level": op.level, "workload": op.workload}
    return {"do": "invoke", "op": fields, "timeout_s": timeout_s}


def _outcome(answer: dict[str, Any] | str) -> Outcome:
    return Outcome("info", error=answer) if isinstance(answer, str) else Outcome(**answer["outcome"])


def _reached(dial: Dial, node: str, port: int | None, timeout_s: float) -> socket.socket:
    if port is None:
        return dial(node, timeout_s)
    if not isinstance(dial, PortDial):
        raise ConnectionError(f"port {port} of {node} cannot be dialled here: only the clients' port can")
    return dial.at(node, port, timeout_s)


def _raised(answer: dict[str, Any]) -> Exception:
    text = f"{answer['type']}: {answer['message']}"
    if answer["network"]:
        return ConnectionError(text)
    error = RaisedInClient(text)
    error.add_note(answer["traceback"])
    return error
