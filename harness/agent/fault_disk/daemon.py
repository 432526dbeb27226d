"""The daemon of one disk: mounts over a directory, serves it in one thread, and answers the control socket.

    disk.pyz serve DIRECTORY STATE [MODEL]   start a daemon that serves DIRECTORY, unless there is one
    disk.pyz settle DIRECTORY STATE          sync everything
    disk.pyz leave DIRECTORY STATE           sync everything and unmount, if it is mounted
    disk.pyz drop DIRECTORY STATE            unmount at once, without pending data, even while processes use it

`STATE` is another directory, for the socket, the log and the record of damage. `MODEL` determines what a power loss loses: `strict` or
`journaled`; it is stored there for a daemon that is restarted without the argument.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from ..state.log import log_line
from ..state.store import write_durably
from . import control, mount
from .decay import Decay, torn
from .operations import Operations
from .protocol import BUFFER, Op, parse
from .tree.nodes import HIDDEN
from .tree.tree import MODELS, Tree
from .trouble import Trouble

Json = dict[str, Any]
LEAVE_S = 60.0
"""Time limit for writing pending data, which takes long on a busy host."""
AT_ONCE = 64
"""Requests of the kernel between two checks of the control socket, which busy processes would otherwise starve."""
DARK_S = 6.0
"""How long the disk does not answer after a power loss was announced. If the requester ended without a power loss, the disk then continues."""
LONGEST_WAIT_S = 3600.0
"""A selector does not accept arbitrarily long timeouts."""
MODEL_FILE = "model"


class Daemon:
    def __init__(self, directory: str, state: str, model: str) -> None:
        self._directory, self._state = directory, state
        self._backing = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._tree = Tree(self._backing, model)
        self._dark_until_s = self._held_until_s = 0.0
        self._operations = Operations(self._tree, Random())
        self._decay = Decay(self._tree, state)
        self._started = False
        self._results: dict[str, Json] = {}
        self._leaving: Any = None
        self._connection = mount.mount(directory)
        self._listener = control.listen(state)

    def serve(self, ready: int) -> None:
        """Serve until the unmount. Reports "ready" when the handshake with the kernel is done."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._connection, selectors.EVENT_READ)
            selector.register(self._listener, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select(self._timeout_s()):
                    if key.fileobj is self._listener:
                        control.answer_one(self._listener, self._respond)
                    elif not self._dark_until_s and not self._serve_some():
                        return
                    if self._started and ready >= 0:
                        os.write(ready, b"ready\n")
                        os.close(ready)
                        ready = -1
                self._keep_time(selector)
                self._answer_all(self._operations.due(time.monotonic_ns()))

    def _keep_time(self, selector: selectors.BaseSelector) -> None:
        """Handle timeouts. While a power loss is pending, the kernel's requests are not read: they wait in the kernel, where their processes can be
        killed. A power loss that does not happen times out.
        """
        now_s, listening = time.monotonic(), self._connection in selector.get_map()
        if self._dark_until_s and now_s >= self._dark_until_s:
            self._dark_until_s = 0.0
        if self._dark_until_s and listening:
            selector.unregister(self._connection)
        elif not self._dark_until_s and not listening:
            selector.register(self._connection, selectors.EVENT_READ)
        if self._held_until_s and now_s >= self._held_until_s:
            self._held_until_s = 0.0
            self._answer_all(self._operations.set_trouble(replace(self._operations.trouble, held=False)))

    def _timeout_s(self) -> float | None:
        due_ns = self._operations.next_due_ns()
        ends_s = [until_s for until_s in (self._dark_until_s, self._held_until_s) if until_s]
        ends_s += [] if due_ns is None else [due_ns / 1e9]
        return min(max(0.0, min(ends_s) - time.monotonic()), LONGEST_WAIT_S) if ends_s else None

    def _serve_some(self) -> bool:
        """Handle some of the kernel's waiting requests. Return False if the mount is gone."""
        for _ in range(AT_ONCE):
            try:
                data = os.read(self._connection, BUFFER)
            except OSError as error:
                if error.errno == errno.EAGAIN:
                    return True
                if error.errno in (errno.EINTR, errno.ENOENT):
                    continue
                if error.errno == errno.ENODEV:
                    return False
                raise
            request = parse(data)
            answer = self._operations.handle(request)
            self._started = self._started or request.op == Op.INIT
            if answer is not None:
                self._answer_all([answer])
            if self._operations.next_due_ns() is not None:
                return True
        return True

    def _answer_all(self, answers: list[bytes]) -> None:
        for answer in answers:
            try:
                os.write(self._connection, answer)
            except OSError as error:
                # The requester is gone (ENOENT), or the mount is (ENODEV), which the next read shows. Anything else is a bug of ours, and is
                # written to the log: a disk that ends would take everybody's data with it.
                if error.errno not in (errno.ENOENT, errno.ENODEV):
                    log_line(f"the kernel refused an answer of {len(answer)} bytes: {error}")

    def _respond(self, request: Json) -> Json:
        what = request["do"]
        if what == "status":
            return self._status()
        if what == "trouble":
            self._answer_all(self._operations.set_trouble(Trouble.from_json(request["trouble"])))
            return {}
        if what == "hold_syncs":
            self._held_until_s = time.monotonic() + request["for_s"]
            self._answer_all(self._operations.set_trouble(replace(self._operations.trouble, held=True)))
            return {}
        if what == "settle":
            self._tree.sync_all()
            return {}
        if what == "leave":
            return self._leave()
        if what == "note":
            self._results.setdefault(request["id"], {}).update(request["note"])
            return {}
        result = self._act(what, request)
        self._results.setdefault(request.get("id", ""), {}).update(result)
        return result

    def _act(self, what: str, request: Json) -> Json:
        """Execute a request that changes the data, and return its answer."""
        decay = self._decay
        if what == "crash" and request.get("torn"):
            return torn(self._tree, Random(request["draw"]))
        if what == "crash":
            return self._tree.crash(request["draw"])
        if what == "lose_power":
            self._dark_until_s = time.monotonic() + DARK_S
            if self._held_until_s:
                self._held_until_s = self._dark_until_s
            # A requester that got no answer asks again.
            return self._results.get(request["id"]) or self._tree.lose(request["draw"])
        if what == "damage":
            return {"damaged": len(decay.damage(request["id"], request["effect"], request["draw"]))}
        if what == "repair":
            return {"repaired": len(decay.repair(request["ids"]))}
        if what == "wipe":
            return {"wiped_files": decay.wipe()}
        if what == "back_up":
            return {"backed_up_files": decay.back_up(request["id"])}
        if what == "restore":
            return {"restored_files": decay.restore(request["id"])}
        if what == "drop_backup":
            return {"dropped": decay.drop_backup(request["id"])}
        raise ValueError(f"a fault disk cannot do {what!r}")

    def _status(self) -> Json:
        """Return the daemon's state; `results` has the changes of the data and the observations of them, by the ids of the requests."""
        return {
            "pid": os.getpid(),
            "model": self._tree.model,
            "backing": self._backing,
            "trouble": vars(self._operations.trouble),
            "pending_bytes": self._tree.pending_bytes(),
            "held_syncs": self._operations.held_syncs,
            "damage": self._decay.records(),
            "forgot": self._decay.forgot,
            "results": self._results,
        }

    def _leave(self) -> Json:
        self._dark_until_s = self._held_until_s = 0.0
        self._answer_all(self._operations.set_trouble(Trouble()))
        self._tree.sync_all()
        for name in [name for name in os.listdir(self._backing) if name.startswith(HIDDEN)]:
            with contextlib.suppress(OSError):
                (os.rmdir if name == HIDDEN else os.unlink)(name, dir_fd=self._backing)
        self._leaving = mount.unmount_from_outside(self._directory)
        return {}


def serve(directory: str, state: str, model: str | None = None) -> int:
    """Return 0 when a disk is served. One that is served already keeps its model. Without `model`, the former one is used, or `strict`."""
    if model not in (None, *MODELS):
        raise ValueError(f"unknown model of a power loss {model!r}; there are {', '.join(MODELS)}")
    os.makedirs(state, mode=0o755, exist_ok=True)
    if _answers(state) and mount.mounted(directory):
        return 0
    model = _kept_model(state, model)
    # A daemon that died leaves a mount on which everything fails.
    mount.unmount(directory)
    os.makedirs(directory, exist_ok=True)
    read_end, write_end = os.pipe()
    if os.fork() == 0:
        os.close(read_end)
        os.setsid()
        if os.fork() == 0:
            _be_daemon(directory, state, model, write_end)
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as report:
        said = report.read().decode(errors="replace").strip()
    os.wait()
    if said != "ready":
        print(said or f"the fault disk did not start: see {state}/log", file=sys.stderr)
        return 1
    return 0


def _kept_model(state: str, model: str | None) -> str:
    path = os.path.join(state, MODEL_FILE)
    if model is not None:
        write_durably(path, model)
        return model
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return "strict"


def _be_daemon(directory: str, state: str, model: str, report: int) -> None:
    """Run the daemon; it closes the streams of its caller."""
    try:
        log = os.open(os.path.join(state, "log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        null = os.open(os.devnull, os.O_RDONLY)
        os.chdir("/")
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        os.umask(0)
        Daemon(directory, state, model).serve(report)
        os._exit(0)
    except BaseException as error:
        traceback.print_exc()
        sys.stderr.flush()
        if isinstance(error, OSError):
            os.write(report, f"{error.strerror or error}\n".encode())
        os._exit(1)


def settle(directory: str, state: str) -> int:
    control.ask(state, {"do": "settle"}, LEAVE_S)
    return 0


def leave(directory: str, state: str) -> int:
    """Unmount after a sync of pending data, if there is a daemon."""
    if not mount.mounted(directory):
        return 0
    if _answers(state):
        control.ask(state, {"do": "leave"}, LEAVE_S)
        deadline_s = time.monotonic() + LEAVE_S
        while mount.mounted(directory) and time.monotonic() < deadline_s:
            time.sleep(0.01)
    mount.unmount(directory)
    return 0


def drop(directory: str, state: str) -> int:
    """Unmount a disk whose data are removed anyway. This needs no answer of the daemon; a process that still uses the disk then gets errors."""
    for pid in _daemons(state):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    mount.unmount(directory)
    return 0


def _daemons(state: str) -> list[int]:
    """The processes that serve the disk with this state directory."""
    found = []
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().split(b"\0")
            if b"serve" in words and os.fsencode(state) in words and pid != os.getpid():
                found.append(pid)
    return found


def _answers(state: str) -> bool:
    try:
        control.ask(state, {"do": "status"})
    except control.DiskError:
        return False
    return True


def main(arguments: list[str]) -> int:
    verb, directory, state, *model = arguments
    try:
        verbs: dict[str, Callable[..., int]] = {"serve": serve, "settle": settle, "leave": leave, "drop": drop}
        return verbs[verb](os.path.abspath(directory), os.path.abspath(state), *model)
    except (OSError, ValueError, control.DiskError) as error:
        print(error, file=sys.stderr)
        return 1
