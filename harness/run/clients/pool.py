"""All clients' processes of a run: each slot has one at a time, and the fault `client` pauses and kills them by their numbers."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import DeployError
from ...nemesis.cluster.client_control import SeenClient
from ...systems.base import Client
from ..plan.plan import Slot
from .client import ProcessClient
from .messages import pass_sockets, take_sockets
from .process import ClientProcess

START_S = 60.0
"""Time for the adapter to be loaded in the first process, and for a process to be made of it."""


@dataclass(slots=True)
class _Known:
    """`current`: it serves its slot, or is about to."""

    process: ClientProcess
    slot: int
    node: str
    operation: str | None = None
    current: bool = True


class ClientProcesses:
    """`ClientControl` of one run. Everything ends with `close`, and when the run itself is killed."""

    def __init__(self, file: Path, options: Mapping[str, Any], slots: Sequence[Slot]) -> None:
        self._slots = {slot.slot: slot for slot in slots}
        self._known: dict[int, _Known] = {}
        self._spare: dict[int, int] = {}
        """By slot, a process that was started at the heal of a kill and has not opened its client yet."""
        self._held: dict[int, int] = {}
        """By slot, the killed process because of which none may start."""
        self._lock, self._forking = threading.Lock(), threading.Lock()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(START_S)
        given = json.dumps({"file": str(file), "options": dict(options)})
        with theirs:
            self._first = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.worker", given], stdin=theirs.fileno(), start_new_session=True
            )
        try:
            self._answer("the adapter was not loaded in the clients' process")
        except BaseException:
            self.close()
            raise

    def client_of(self, slot: int) -> Callable[[], Client]:
        """The factory of one slot's clients."""
        return lambda: ProcessClient(lambda node: self._start(slot, node), self._tell)

    def close(self) -> None:
        with self._lock:
            known = list(self._known.values())
            self._known.clear()
        for one in known:
            one.process.forget()
        self._control.close()
        try:
            self._first.wait(START_S)
        except subprocess.TimeoutExpired:
            self._first.kill()
            self._first.wait()

    # `ClientControl`.

    def seen(self, processes: Sequence[int] | None = None) -> Mapping[int, SeenClient]:
        with self._lock:
            known = {pid: self._known[pid] for pid in processes or () if pid in self._known}
            if processes is None:
                known = {pid: one for pid, one in self._known.items() if one.current}
        return {
            pid: SeenClient(one.slot, self._workload(one.slot), one.node, pid, one.process.state(), one.operation)
            for pid, one in known.items()
        }

    def pause(self, processes: Sequence[int]) -> None:
        self._signal(processes, signal.SIGSTOP)

    def resume(self, processes: Sequence[int]) -> None:
        self._signal(processes, signal.SIGCONT)

    def kill(self, processes: Sequence[int]) -> None:
        with self._lock:
            self._held.update({self._known[pid].slot: pid for pid in processes if pid in self._known})
        self._signal(processes, signal.SIGKILL)

    def release(self, processes: Sequence[int]) -> None:
        with self._lock:
            slots = [slot for slot, pid in self._held.items() if pid in processes]
            for slot in slots:
                del self._held[slot]
        for slot in slots:
            made = self._forked(slot, self._slots[slot].node)
            with self._lock:
                self._spare[slot] = made

    def _signal(self, processes: Sequence[int], number: signal.Signals) -> None:
        with self._lock:
            found = [self._known[pid].process for pid in processes if pid in self._known]
        for process in found:
            process.signal(number)

    def _workload(self, slot: int) -> str:
        return self._slots[slot].workload

    def _tell(self, process: ClientProcess, operation: str | None) -> None:
        with self._lock:
            if (known := self._known.get(process.pid)) is not None:
                known.operation = operation

    def _start(self, slot: int, node: str) -> ClientProcess:
        with self._lock:
            if slot in self._held:
                raise ConnectionRefusedError("a fault keeps this client's process down")
            spare = self._spare.pop(slot, None)
        pid = self._forked(slot, node) if spare is None else spare
        with self._lock:
            return self._known[pid].process

    def _forked(self, slot: int, node: str) -> int:
        stream, its_stream = socket.socketpair()
        dials, its_dials = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its_stream, its_dials, self._forking:
            try:
                pass_sockets(self._control, {"do": "fork"}, [its_stream.fileno(), its_dials.fileno()])
                answer, descriptors = self._answer("no process was made for a client")
            except BaseException:
                stream.close()
                dials.close()
                raise
        process = ClientProcess(answer["pid"], descriptors[0], stream, dials)
        self._forget_ended()
        with self._lock:
            for other in self._known.values():
                other.current = other.current and other.slot != slot
            self._known[process.pid] = _Known(process, slot, node)
        return process.pid

    def _forget_ended(self) -> None:
        """Free what is held of processes that ended and no longer serve."""
        with self._lock:
            held = set(self._held.values())
            over = [
                pid for pid, one in self._known.items() if not one.current and pid not in held and one.process.wait(0)
            ]
            found = [self._known.pop(pid) for pid in over]
        for one in found:
            one.process.forget()

    def _answer(self, wrong: str) -> tuple[dict[str, Any], list[int]]:
        with contextlib.suppress(OSError, ValueError):
            answer, descriptors = take_sockets(self._control)
            if answer is not None:
                return answer, descriptors
        raise DeployError(
            wrong, hint="its error is above; the file is loaded once more there, by `tri run` itself before"
        )
