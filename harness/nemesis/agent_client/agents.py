"""The harness's end of the agents: one line out, one line back, to all vertices at once; a lost connection is made again.

Requests to several agents are all sent before the first answer is read, so one turn costs one round trip and no threads. Every request may be
repeated. After a lost connection it is repeated once, except in the background.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ...bytecode import with_bytecode
from ...errors import FaultError, HostError, TribulationError
from ...hosts.base import Channel, Host
from ...hosts.errors import LateLineError
from .answers import Json as Json
from .answers import Refused, parsed
from .shapes import question_of
from .shipping import agent_directory, agent_program, bundle

ANSWER_S = 60.0
CONNECT_S = 20.0
START_S = 90.0
"""Time until the first message of a new agent: an emulated machine compiles it for a quarter of a minute, and longer where others emulate next to it."""
BUSY_S = 0.5
LATE_S = 30.0
"""How long an answer to the background may take before its connection counts as lost. A new agent costs a slow machine many seconds, so one that is only slow must not be replaced."""
SPARE_S = 0.1
"""Time to read what has already arrived."""


class Busy(HostError):
    """Another thread is using this agent right now."""


class AgentClient:
    """One agent. `vertex` is its name in the network's graph, `address` where peers reach it (None: the harness's own machine).

    One that is `silent` cannot answer, because its host is off or frozen: no request is sent to it.
    """

    def __init__(self, vertex: str, address: str | None, open_channel: Callable[[], Channel], port: int) -> None:
        self.vertex, self.address, self.port = vertex, address, port
        self.addresses: list[str] = [address] if address else []
        self.lock = threading.RLock()
        self.silent = False
        self._open_channel = open_channel
        self._channel: Channel | None = None
        self._config: Json = {}
        self._question = ""
        """The last request, whose answer is read next."""
        self._asked_s = 0.0
        self._owed = False
        """Whether the answer to the last question was late, and has not come yet."""
        self.answered_late: dict[str, float] = {}
        """By question: when the newest one whose answer was late was asked, in seconds of the monotonic clock."""
        self.reconnecting = False

    def send(self, request: Mapping[str, Any], patient: bool = True) -> None:
        """Send a request. It connects first when needed, and reads the answer of the last request if that was late. Raises `HostError`, or its subclass
        `LateLineError` when the late answer has not come yet; `FaultError` for an invalid one.
        """
        self.connect()
        if self._owed:
            left_s = self._asked_s + LATE_S - time.monotonic()
            with contextlib.suppress(Refused):
                self.receive(max(SPARE_S, left_s) if patient else SPARE_S, keep=not patient and left_s > 0)
                self.answered_late[self._question] = self._asked_s
            self._owed = False
        if request["do"] == "configure":
            self._config = {**self._config, **request["config"]}
        self._send(request)

    def receive(self, timeout_s: float = ANSWER_S, keep: bool = False) -> Json:
        """Read an answer. Raises `HostError` when the connection is lost or slow, `FaultError` when the agent could not do it (`Refused`) or answers
        nonsense. `keep`: a slow connection is not lost, and the answer is read before the next request.
        """
        channel = self._channel
        if channel is None:
            raise HostError(f"agent of {self.vertex}: its connection was closed", "the harness is stopping")
        try:
            return parsed(self.vertex, self._question, channel.read_line(timeout_s))
        except Refused:
            raise
        except (HostError, FaultError) as error:
            if keep and isinstance(error, LateLineError):
                self._owed = True
            else:
                # A later answer would be taken for that of the next request.
                self.close()
            raise
        except (OSError, ValueError) as error:
            self.close()
            raise HostError(
                f"agent of {self.vertex}: its answer cannot be read: {type(error).__name__}: {error}",
                "is the host up, and does its connection work?",
            ) from error

    @property
    def connected(self) -> bool:
        return self._channel is not None and not self.silent

    @property
    def attached(self) -> bool:
        """Return whether there is a connection, even to one that is silent for now."""
        return self._channel is not None

    def reconnect_in_background(self) -> None:
        """Try once, in a thread of its own; a thread that waits for the lock also waits for the result."""
        if not self.reconnecting and not self.silent:
            self.reconnecting = True
            threading.Thread(target=self._reconnect, name=f"agent-{self.vertex}", daemon=True).start()

    def _reconnect(self) -> None:
        try:
            with self.lock, contextlib.suppress(TribulationError, OSError):
                # An error here is reported by the next request, which finds no connection.
                self.connect()
        finally:
            self.reconnecting = False

    def close(self) -> None:
        channel, self._channel = self._channel, None
        self._owed = False
        if channel is not None:
            channel.close()

    def begin(self) -> None:
        """Connect, also to an agent that was silent. Other threads wait until the agent has its identity."""
        with self.lock:
            self.silent = False
            self.connect()

    def connect(self) -> None:
        """Start the agent unless it is connected. Raises `HostError` when it does not come up, and `FaultError` for an invalid answer or a refusal."""
        if self.silent:
            raise HostError(f"agent of {self.vertex}: its host is off or frozen", "heal that fault first")
        if self._channel is not None:
            return
        self._channel = self._open_channel()
        any_port = self.address is None or self.vertex == "clients"
        self._send(
            {"do": "hello", "name": self.vertex, "port": self.port, "any_port": any_port, "address": self.address}
        )
        answer = self.receive(START_S)
        self.port = int(answer["port"])
        self.addresses = sorted({*self.addresses, *answer["addresses"]})
        if self._config:
            self._send({"do": "configure", "config": self._config})
            self.receive()

    def _send(self, request: Mapping[str, Any]) -> None:
        assert self._channel is not None
        self._question, self._asked_s = question_of(request), time.monotonic()
        try:
            self._channel.send_line(json.dumps(request))
        except HostError:
            self.close()
            raise


def ask(
    agents: Mapping[str, AgentClient],
    requests: Mapping[str, Mapping[str, Any]],
    *,
    patient: bool = True,
    timeout_s: float = ANSWER_S,
) -> tuple[dict[str, Json], dict[str, Exception]]:
    """Return answers by vertex, and errors by vertex; each requested vertex is in exactly one of them.

    Impatient requests, those of the background, do not wait for a busy agent and do not make a lost connection again: one dead host must not keep the
    others' leases from being renewed. They do not end the connection of a slow agent either.
    """
    answers: dict[str, Json] = {}
    failures: dict[str, Exception] = {}
    with contextlib.ExitStack() as stack:
        names = []
        for name in sorted(requests):
            if not agents[name].lock.acquire(timeout=-1 if patient else BUSY_S):
                reconnecting = agents[name].reconnecting
                failures[name] = (
                    HostError(f"agent of {name}: it is being reconnected", "is the host up?")
                    if reconnecting
                    else Busy(f"agent of {name}: busy", "it carries out a fault")
                )
                continue
            stack.callback(agents[name].lock.release)
            if patient or agents[name].connected:
                names.append(name)
            else:
                failures[name] = HostError(f"agent of {name}: not connected", "is the host up?")
        # Those that must be connected first come last, so that the others do not wait for it.
        names.sort(key=lambda name: not agents[name].connected)
        lost = _turn(agents, names, requests, answers, timeout_s, patient)
        again = [name for name, error in lost.items() if patient and not isinstance(error, Refused)]
        failures |= {name: error for name, error in lost.items() if name not in again}
        failures |= _turn(agents, again, requests, answers, timeout_s, patient)
    return answers, failures


def _turn(
    agents: Mapping[str, AgentClient],
    names: list[str],
    requests: Mapping[str, Mapping[str, Any]],
    answers: dict[str, Json],
    timeout_s: float,
    patient: bool,
) -> dict[str, Exception]:
    failures: dict[str, Exception] = {}
    for name in names:
        try:
            agents[name].send(requests[name], patient)
        except (HostError, FaultError) as error:
            failures[name] = error
    # One timeout for all: hosts that hang together must not each cost it.
    deadline_s = time.monotonic() + timeout_s
    for name in names:
        if name not in failures:
            try:
                left_s = max(SPARE_S, deadline_s - time.monotonic())
                answers[name] = agents[name].receive(left_s, keep=not patient)
            except (HostError, FaultError) as error:
                failures[name] = error
    return failures


def connect_all(agents: Mapping[str, AgentClient]) -> None:
    """Start all agents at the same time: each takes an interpreter's start. Raises one `FaultError` for all that failed."""
    with ThreadPoolExecutor(min(len(agents), 64), thread_name_prefix="agents") as pool:
        futures = {name: pool.submit(agent.begin) for name, agent in agents.items()}
    failures = {name: error for name, future in futures.items() if (error := future.exception()) is not None}
    bugs = [error for error in failures.values() if not isinstance(error, HostError | FaultError)]
    if bugs:
        raise bugs[0]
    require(
        ({}, {name: error for name, error in failures.items() if isinstance(error, Exception)}), "starting the agents"
    )


def require(result: tuple[dict[str, Json], dict[str, Exception]], what: str) -> dict[str, Json]:
    """Return all answers, or raise one `FaultError` that names every agent that failed."""
    answers, failures = result
    if failures:
        text = "\n".join(f"  {name}: {getattr(error, 'message', error)}" for name, error in sorted(failures.items()))
        hint = next((error.hint for error in failures.values() if isinstance(error, HostError | FaultError)), None)
        raise FaultError(f"{what} failed on {len(failures)} of {len(failures) + len(answers)}:\n{text}", hint)
    return answers


def on_host(vertex: str, host: Host, port: int, address: str | None = None) -> AgentClient:
    """Make the agent of a host; its program is copied there at each connect, in case the host lost it.

    An agent that did not answer in time is replaced by the next at once: both are started for the same client.
    """
    client = secrets.token_hex(8)

    def open_channel() -> Channel:
        program = agent_program(host.directory)
        # Another Python than this one ignores the bytecode.
        host.put(with_bytecode(bundle()), program, timeout_s=CONNECT_S)
        command = [*host.sudo, host.python, "-I", program, "serve", agent_directory(host.directory), client]
        return host.start(command, timeout_s=CONNECT_S)

    return AgentClient(vertex, address or host.address, open_channel, port)


def here(vertex: str, port: int) -> AgentClient:
    """Make an agent as a plain process of the harness's machine, for clients that run here; it only probes."""
    return AgentClient(vertex, None, LocalChannel, port)


class LocalChannel:
    """`Channel` to an agent in a process of our own, with a directory that is removed with it."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="tribulation-agent-")
        program = Path(self._folder.name) / "agent.pyz"
        program.write_bytes(with_bytecode(bundle()))
        command = [sys.executable, "-I", str(program), "serve", self._folder.name]
        # A session of its own: Ctrl-C reaches only the harness, which still needs the agent to verify the heal.
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, start_new_session=True
        )
        self._buffer = b""

    def send_line(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
        except OSError as error:
            raise HostError(
                f"the clients' agent does not read its input any more: {error}", "was its process killed?"
            ) from None

    def read_line(self, timeout_s: float) -> str:
        assert self._process.stdout is not None
        deadline_s = time.monotonic() + timeout_s
        while b"\n" not in self._buffer:
            left_s = deadline_s - time.monotonic()
            ready = select.select([self._process.stdout], [], [], max(0.0, left_s))[0]
            chunk = self._process.stdout.read(1 << 16) if ready else b""
            if not chunk:
                hint = "was its process killed, or the machine overloaded?"
                if ready:
                    raise HostError("the clients' agent ended", hint)
                what = f"the clients' agent printed no line within {timeout_s:g} s"
                raise LateLineError("clients", "agent", None, what, hint)
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._folder.cleanup()
