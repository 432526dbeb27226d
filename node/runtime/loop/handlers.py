"""Handlers of tasks: those that every node has, and how to add your own.

A handler is a function of the task's payload and of those keys of the agent's state that the payload names in `reads`. It returns the value of the
step, JSON of at most 64 KiB with 64 levels and integers of 64 bits, or a `Result` with a value and with keys of the agent's state to set. It runs in
a thread, perhaps more than once, perhaps on two nodes at a time. Effects outside of the cluster must therefore be fenced with
`payload["task"]["token"]`, which grows with every attempt. The node sets `payload["task"]`: `{"id", "step", "token", "attempt", "retries", "agent"}`.
An exception makes the attempt fail, and its text is the reason.

    # my_handlers.py, named to the node as `handlers: my_handlers.py` among its runtime options
    from tribulation.node.runtime.loop.handlers import Result

    def add(payload, state):
        total = state.get("total", 0) + payload["n"]
        return Result(total, {"total": total})      # submitted with "payload": {"n": 2, "reads": ["total"]}

    HANDLERS = {"add": add}

| handler | payload | value |
|---|---|---|
| `echo` | `value`, or anything | `value`, or else the payload |
| `sleep` | `ms` | the same; its thread waits, in the simulator virtual time passes |
| `digest` | `data`; `rounds` (1) | SHA-256 of the canonical JSON of `data`, hashed again `rounds` − 1 times, in hex |
| `learn` | `set`: keys and values, null removes; `add`: keys and numbers to add to what `reads` brought | what was set |
| `fail` | `message`; `times`: it fails in the first `times` tries of its step only (default: always) | the number of tries |

Every payload may have `timeout_s` (60): when the run takes longer, the attempt has failed.
"""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import site
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...bounded import refuse_surrogates, within
from ...core.interface.effects import RunTask
from ...core.interface.entry import canonical
from ...core.interface.events import TaskDone

TIMEOUT_S = 60.0
TIMEOUT_MAX_S = 24 * 3600.0
CHANGES_LIMIT = 256 << 10
"""Bytes of canonical JSON that a run may set in the state of its agent: a checkpoint must fit in a message."""
REASON_LIMIT = 500
ROUNDS_LIMIT = 10_000_000


@dataclass(frozen=True, slots=True)
class Result:
    """`changes`: keys of the agent's state to set; None removes."""

    value: Any = None
    changes: Mapping[str, Any] = field(default_factory=dict)


Handler = Callable[[Mapping[str, Any], Mapping[str, Any]], Any]


def perform(task: RunTask, handlers: Mapping[str, Handler]) -> TaskDone:
    """Run the task in this thread, without the wait of `wait_s`. Never raises: every failure, even a handler's `sys.exit`, becomes the reason why the
    attempt failed.
    """
    handler = handlers.get(task.handler)
    if handler is None:
        return failed(task.run, f"there is no handler {task.handler!r} on this node; there are {', '.join(handlers)}")
    try:
        # Copies: the node goes on with the originals meanwhile.
        result = handler(copy.deepcopy(task.payload), copy.deepcopy(dict(task.state)))
        if not isinstance(result, Result):
            result = Result(result)
        value, changes = result.value, dict(result.changes)
        if not within([value, changes]):
            raise ValueError(
                "what it returned has more than 64 levels, an integer of more than 64 bits, or no finite number"
            )
        text = canonical(value)
        refuse_surrogates(text, value)
        text = canonical(changes)
        refuse_surrogates(text, changes)
        length = len(text)
    except BaseException as error:
        return failed(task.run, f"{task.handler}: {described(error)}")
    if length > CHANGES_LIMIT:
        return failed(task.run, f"{task.handler} set {length} bytes of state, and may set {CHANGES_LIMIT}")
    return TaskDone(task.run, True, value, changes)


def failed(run: int, reason: str) -> TaskDone:
    # Names of files may contain bytes that are not text, and so may an error about one.
    return TaskDone(run, False, reason[:REASON_LIMIT].encode("utf-8", "replace").decode("utf-8"))


def described(error: BaseException) -> str:
    """Return class and message of an exception. If the message of a handler's own exception class cannot be made, return the class only."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__


def wait_s(task: RunTask) -> float:
    """Return how long the driver waits before it performs the task: the time of `sleep`, 0 for all others."""
    return _number(task, "ms", TIMEOUT_MAX_S * 1000) / 1000 if task.handler == "sleep" else 0.0


def timeout_s(task: RunTask) -> float:
    return _number(task, "timeout_s", TIMEOUT_MAX_S) or TIMEOUT_S


def _number(task: RunTask, key: str, most: float) -> float:
    """Return a positive number of the payload, `most` at most; 0 when it has none. An integer may be greater than any float."""
    value = task.payload.get(key) if isinstance(task.payload, Mapping) else None
    return float(min(value, most)) if isinstance(value, (int, float)) and value > 0 else 0.0


def load_handlers(path: Path) -> dict[str, Handler]:
    """Load the handlers of this file in addition to those that every node has. Raises `ValueError` with a hint."""
    hint = "hint: a file of handlers is Python with HANDLERS = {'name': function(payload, state)}"
    spec = importlib.util.spec_from_file_location("node_handlers", path)
    if spec is None or spec.loader is None:
        raise ValueError(f"handlers: {path} is not a Python file\n{hint}")
    if sys.flags.no_site:
        # A node starts without the host's packages, which it does not need; handlers may need them.
        site.main()
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ValueError(f"handlers: {path}: {type(error).__name__}: {error}\n{hint}") from error
    own = getattr(module, "HANDLERS", None)
    if not isinstance(own, Mapping) or not all(isinstance(name, str) and callable(own[name]) for name in own):
        raise ValueError(f"handlers: {path} has HANDLERS = {str(own)[:80]}, not an object of functions\n{hint}")
    taken = [name for name in own if name in HANDLERS]
    if taken:
        raise ValueError(
            f"handlers: {path} has a handler {taken[0]!r}, as every node has\nhint: call it something else"
        )
    return {**HANDLERS, **own}


def _echo(payload: Mapping[str, Any], state: Mapping[str, Any]) -> Any:
    if "value" in payload:
        return payload["value"]
    return {key: value for key, value in payload.items() if key != "task"}


def _sleep(payload: Mapping[str, Any], state: Mapping[str, Any]) -> Any:
    """The waiting was done before, see `wait_s`."""
    ms = payload.get("ms")
    if not isinstance(ms, (int, float)) or not 0 <= ms <= TIMEOUT_MAX_S * 1000:
        raise ValueError(f"ms is {ms!r}, not a number of milliseconds")
    return ms


def _digest(payload: Mapping[str, Any], state: Mapping[str, Any]) -> Any:
    rounds = payload.get("rounds", 1)
    if type(rounds) is not int or not 1 <= rounds <= ROUNDS_LIMIT:
        raise ValueError(f"rounds is {rounds!r}, not an integer 1..{ROUNDS_LIMIT}")
    value = canonical(payload.get("data", payload.get("input"))).encode("ascii")
    for _ in range(rounds):
        value = hashlib.sha256(value).hexdigest().encode("ascii")
    return value.decode("ascii")


def _learn(payload: Mapping[str, Any], state: Mapping[str, Any]) -> Any:
    wanted, added = payload.get("set", {}), payload.get("add", {})
    if not isinstance(wanted, Mapping) or not isinstance(added, Mapping):
        raise ValueError(f"set is {str(wanted)[:80]} and add is {str(added)[:80]}: both are objects")
    changes = {**wanted, **{key: state.get(key, 0) + number for key, number in added.items()}}
    return Result(changes, changes)


def _fail(payload: Mapping[str, Any], state: Mapping[str, Any]) -> Any:
    task = payload.get("task")
    tries = (task.get("retries", 0) if isinstance(task, Mapping) else 0) + 1
    times = payload.get("times", tries)
    if type(times) is int and tries > times:
        return tries
    raise RuntimeError(str(payload.get("message", "as it was asked to")))


HANDLERS: dict[str, Handler] = {"echo": _echo, "sleep": _sleep, "digest": _digest, "learn": _learn, "fail": _fail}
