"""A client's process: it opens its client, invokes the operations that it receives, and ends when the run closes its stream.

The first process loads the adapter once and forks a process for each client, so that a new one takes milliseconds. Each is the leader of a group of
its own, to which everything belongs that its driver starts. All end with the run, also when the run is killed.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from ...foreign import in_one_process, noted_timers
from ...systems.adapter import strays
from ...systems.adapter.program import ProgramClient
from ...systems.adapter.program_messages import WrongAnswer
from ...systems.adapter.program_process import ProgramError
from ...systems.base import Client, Op, Outcome
from ..drive.worker import checked
from ..plan.own_system import load_system
from .messages import Lines, pass_sockets, take_sockets

PR_SET_PDEATHSIG = 1
STRAYS = 3
"""Exit status of the first process where something that a client started could not be ended."""
REAP_MS = 500
"""How often the first process waits for what it has adopted and has ended."""
SPARE_S = 1.0
"""How much longer than its own time a dial may take to be answered by the run."""


class AskedDial:
    """`PortDial` of a client's process: the run makes the connection, and passes it."""

    def __init__(self, channel: socket.socket, addresses: Mapping[str, str]) -> None:
        self._channel = channel
        self.addresses = addresses

    def __call__(self, node: str, timeout_s: float) -> socket.socket:
        return self._ask({"node": node, "timeout_s": timeout_s})

    def at(self, node: str, port: int, timeout_s: float) -> socket.socket:
        return self._ask({"node": node, "port": port, "timeout_s": timeout_s})

    def _ask(self, request: dict[str, Any]) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours:
            with theirs:
                pass_sockets(self._channel, request, [theirs.fileno()])
            ours.settimeout(request["timeout_s"] + SPARE_S)
            answer, descriptors = take_sockets(ours)
        if not descriptors:
            raise _error_of(answer or {"type": "ConnectionError", "message": "the run did not answer"})
        made = socket.socket(fileno=descriptors[0])
        made.settimeout(request["timeout_s"])
        return made


def _error_of(raised: Mapping[str, Any]) -> OSError:
    kinds = {kind.__name__: kind for kind in (ConnectionRefusedError, ConnectionResetError, TimeoutError)}
    return kinds.get(raised["type"], ConnectionError)(raised["message"])


def serve(
    make_client: Callable[[], Client], stream: socket.socket, dials: socket.socket, stderr: Path | None = None
) -> None:
    """Serve one client until the stream ends. `stderr`: a file for the standard error of a client program, which is started at once."""
    lines = Lines(stream)
    client: Client | None = None
    try:
        if stderr is not None:
            client = made = make_client()
            assert isinstance(made, ProgramClient)
            lines.send({"wrong": _started(made, stderr)})
        while (request := lines.receive()) is not None:
            with in_one_process():
                try:
                    if request["do"] == "open":
                        client = client or make_client()
                        client.open(request["node"], AskedDial(dials, request["addresses"]), request["timeout_s"])
                        answer: dict[str, Any] = {"opened": True}
                    else:
                        assert client is not None
                        answer = _answered(client, Op(**request["op"]), request["timeout_s"])
                except BaseException as error:  # a client is foreign code
                    answer = {"raised": _raised(error), "fresh": isinstance(client, ProgramClient) and client.is_fresh}
                answer["connected"] = _connected(client)
            lines.send({**answer, "id": request["id"]})
    finally:
        with suppress(BaseException):
            if client is not None:
                client.close()


def _answered(client: Client, op: Op, timeout_s: float) -> dict[str, Any]:
    """Return the client's answer as JSON. The outcome is checked here: JSON would hide what it cannot hold."""
    outcome: Outcome = checked(client.invoke(op, timeout_s))
    return {
        "outcome": {
            "type": outcome.type,
            "value": outcome.value,
            "error": outcome.error,
            "extra": dict(outcome.extra),
        }
    }


def _started(client: ProgramClient, stderr: Path) -> str:
    """Describe why the program did not start; empty when it did."""
    try:
        client.prepare(stderr)
    except (OSError, ProgramError, WrongAnswer) as error:
        return client.described(error)
    return ""


def _connected(client: Client | None) -> bool | None:
    found = getattr(client, "connected", None)
    return None if found is None else bool(found)


def _raised(error: BaseException) -> dict[str, Any]:
    try:
        message = str(error)
    except BaseException as second:
        message = f"its text cannot be had: {type(second).__name__}"
    trace = "".join(traceback.format_exception(error))
    return {
        "type": type(error).__name__,
        "message": message.encode(errors="backslashreplace").decode(),
        "network": isinstance(error, OSError),
        "traceback": trace.encode(errors="backslashreplace").decode(),
    }


def main() -> None:
    """Fork a client's process for each request on standard input, which is a socket of the run."""
    given = json.loads(sys.argv[1])
    control = socket.socket(fileno=os.dup(0))
    _quiet()
    strays.adopt()
    # What the file sets must not end this process, without which no client has another.
    timers = noted_timers()
    timers.__enter__()
    _, make_client = load_system(Path(given["file"]), given["options"])
    logs = Path(given["logs"]) if isinstance(make_client(), ProgramClient) else None
    pass_sockets(control, {"programs": logs is not None}, [])
    children: dict[int, int] = {}
    """Processes of clients by their handles (pidfds)."""
    poll = select.poll()
    poll.register(control, select.POLLIN)
    while True:
        for handle in [handle for handle, _ in poll.poll(REAP_MS) if handle in children]:
            poll.unregister(handle)
            _end_group(handle, children.pop(handle))
        strays.reap(children.values())
        if not select.select([control], [], [], 0)[0]:
            continue
        try:
            request, descriptors = take_sockets(control)
        except ConnectionResetError:
            # The run is over, and did not read every answer.
            request = None
        if request is None:
            break
        stream, dials = (socket.socket(fileno=descriptor) for descriptor in descriptors)
        parent = os.getpid()
        if (pid := os.fork()) == 0:
            control.close()
            stderr = None if logs is None else logs / f"{request['slot']}.log"
            _be_a_client(partial(serve, make_client, stream, dials, stderr), parent)
        stream.close()
        dials.close()
        with suppress(ProcessLookupError):
            os.setpgid(pid, pid)
        handle = os.pidfd_open(pid)
        children[handle] = pid
        poll.register(handle, select.POLLIN)
        pass_sockets(control, {"pid": pid}, [handle])
    for handle, pid in children.items():
        _end_group(handle, pid)
    # With sessions of their own, they are in none of the groups.
    if left := strays.end_children(strays.END_S):
        print(f"warning: {strays.left_over('a client', left)}", file=sys.stderr)
        sys.exit(STRAYS)


def _end_group(handle: int, pid: int) -> None:
    """End a client's process and all that it started. Its number is its own until it is waited for, here."""
    with suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(handle)


def _be_a_client(serve_it: Callable[[], None], parent: int) -> None:
    status = 1
    try:
        os.setpgid(0, 0)
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            return
        serve_it()
        status = 0
    except OSError:
        # The run is over.
        status = 0
    finally:
        os._exit(status)


def _quiet() -> None:
    """Redirect standard output to standard error, and read nothing: what a client prints must not mix with the output of the command."""
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)


if __name__ == "__main__":
    main()
