"""Steps of a trial: what each found, what to do about it, and calls that are not waited for without end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..trouble import described


@dataclass(frozen=True, slots=True)
class Step:
    """`wrong`: what is wrong, in a sentence; empty when nothing is. `hint`: what to do then. `seen`: what was seen."""

    name: str
    seen: str = ""
    wrong: str = ""
    hint: str = ""


class Wrong(Exception):
    """Failure that a step found."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


_GUIDE = "docs/guides/own-system.md"
_HINTS = {
    "install": f"install(host, cluster) copies what the system needs, may be called twice, and ends in bounded time: {_GUIDE}",
    "start": f"start(host, environment) starts it in the foreground of a session of its own, and wait_ready says when it serves: {_GUIDE}",
    "start again": "calling start() while the system runs must do nothing",
    "client": f"a client connects with the `dial` that it gets, and has one method for each operation: {_GUIDE}",
    "wrong port": "connect only with `dial`, and do not catch its OSError",
    "pause": "an operation without an answer is `info`; only what certainly did not happen is `fail`",
    "kill": "pid(host) is None when the process is gone, and an operation without an answer is `info`",
    "files to keep": "name only files that exist after the start",
    "stop": "stop(host) ends every process that start(host) started, and may be called twice",
    "uninstall": "uninstall(host) removes everything that install and start left, and may be called twice",
}
_OF_AN_OPERATION = f"a method returns the value that was read, nothing, or an Outcome: {_GUIDE}"


def bounded(call: Callable[[], Any], within_s: float, what: str) -> Any:
    """Return the result of the call. Raises `Wrong` if the call raises, or does not return within `within_s` seconds."""
    answer: list[Any] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            answer.append(call())
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True, name="tri-try")
    thread.start()
    thread.join(within_s)
    if thread.is_alive():
        raise Wrong(f"{what} did not return within {within_s:g} s")
    if raised:
        raise Wrong(f"{what} raised {described(raised[0])}", getattr(raised[0], "hint", None) or "")
    return answer[0]


def soon(true: Callable[[], bool], within_s: float = 1.0) -> bool:
    """Return whether `true` becomes true in time. A process that has ended stays listed for a moment."""
    deadline_s = time.monotonic() + within_s
    while not (found := true()) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    return found


def hint_of(step: str) -> str:
    return _HINTS.get(step.removesuffix(" after the kill"), _OF_AN_OPERATION)
