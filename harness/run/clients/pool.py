"""All clients' processes of a run: each slot has one at a time, and the fault `client` pauses and kills them by their numbers."""

from __future__ import annotations

import contextlib
import json
import queue
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
from ...systems.adapter import strays
from ...systems.base import Client
from ..plan.plan import Slot
from .client import ProcessClient
from .messages import pass_sockets, take_sockets
from .process import ClientProcess
from .worker import STRAYS

PROGRAM_HINT = "docs/reference/client-programs.md has the protocol; `tri try FILE` tries an adapter"
RELEASE_S = 5.0
AGAIN_S = 1.0
"""Time until a program that did not start is tried again."""
START_S = 60.0
"""Time for the adapter to be loaded in the first process, and for a process to be made of it."""


class ProgramNotStarted(Exception):
    """Exception for a client program that ended, or did not answer, before it was used."""


@dataclass(slots=True)
class _Known:
    """A client's process. `current`: it serves its slot. One that does not is a spare, or was dropped."""

    process: ClientProcess
    slot: int
    node: str
    operation: str | None = None
    current: bool = False


class ClientProcesses:
    """`ClientControl` of one run. Everything ends with `close`, and when the run itself is killed.

    Each slot has a spare process from the start, replaced when it is taken: on a busy host it takes longer than an operation may.
    """

    def __init__(self, file: Path, options: Mapping[str, Any], slots: Sequence[Slot], logs: Path) -> None:
        """`logs`: the folder for the standard error of client programs, a file for each slot."""
        self._slots = {slot.slot: slot for slot in slots}
        self._known: dict[int, _Known] = {}
        self._spare: dict[int, int] = {}
        """By slot, a process that serves no client yet."""
        self._held: dict[int, int] = {}
        """By slot, the killed process because of which none may start."""
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._wanted: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        """Slots that need a spare."""
        self._why_none = ""
        self._programs = self._begun = False
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(START_S)
        given = json.dumps({"file": str(file), "options": dict(options), "logs": str(logs)})
        with theirs:
            command = [sys.executable, "-m", f"{__package__}.worker", given]
            with strays.marking() as self._mark:
                self._first = subprocess.Popen(command, stdin=theirs.fileno(), start_new_session=True)
        try:
            loaded, _ = self._answer("the adapter was not loaded in the clients' process")
            self._programs = bool(loaded["programs"])
            threading.Thread(target=self._make_spares, name="client-spares", daemon=True).start()
            for slot in self._slots:
                self._wanted.put(slot)
            with self._changed:
                # A program takes as long as its language does.
                within_s = START_S * (len(self._slots) if self._programs else 1)
                self._changed.wait_for(lambda: self._spare.keys() == self._slots.keys() or self._why_none, within_s)
                self._begun = True
            if self._why_none:
                raise DeployError(
                    self._why_none,
                    hint=PROGRAM_HINT
                    if self._programs
                    else "is the host overloaded, or its number of processes limited?",
                )
        except BaseException:
            self.close()
            raise

    def client_of(self, slot: int) -> Callable[[], Client]:
        """Return the factory of one slot's clients."""
        return lambda: ProcessClient(
            lambda node, timeout_s: self._start(slot, node, timeout_s),
            self._notify,
            lambda process: self._give_back(slot, process),
            lambda: self._wanted.put(slot),
        )

    def close(self) -> None:
        self._wanted.put(None)
        with self._lock:
            self._why_none = "the run is over"
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
        if (left := strays.end_marked(self._mark, strays.END_S)) or self._first.returncode == STRAYS:
            raise DeployError(strays.left_over("a client", left or ["see above"]))

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
            for slot in [slot for slot, spare in self._spare.items() if spare in processes]:
                # It was given back.
                del self._spare[slot]
                self._wanted.put(slot)
        self._signal(processes, signal.SIGKILL)

    def release(self, processes: Sequence[int]) -> None:
        with self._changed:
            slots = {slot for slot, pid in self._held.items() if pid in processes}
            self._changed.wait_for(lambda: slots <= self._spare.keys() or self._why_none, RELEASE_S)
            for slot in slots:
                del self._held[slot]
                if (spare := self._spare.get(slot)) is not None:
                    # It serves the slot from now on, also before its first operation.
                    self._serves(spare)

    def _signal(self, processes: Sequence[int], number: signal.Signals) -> None:
        with self._lock:
            found = [self._known[pid].process for pid in processes if pid in self._known]
        for process in found:
            process.signal(number)

    def _workload(self, slot: int) -> str:
        return self._slots[slot].workload

    def _notify(self, process: ClientProcess, operation: str | None) -> None:
        with self._lock:
            if (known := self._known.get(process.pid)) is not None:
                known.operation = operation

    def _start(self, slot: int, node: str, timeout_s: float) -> ClientProcess:
        with self._changed:
            if slot in self._held:
                raise ConnectionRefusedError("a fault keeps this client's process down")
            self._changed.wait_for(lambda: slot in self._spare or self._why_none, timeout_s)
            if (pid := self._spare.pop(slot, None)) is None:
                raise ConnectionError(self._why_none or f"no process was made for this client within {timeout_s:.3g} s")
            self._serves(pid)
            self._known[pid].node = node
            return self._known[pid].process

    def _give_back(self, slot: int, process: ClientProcess) -> None:
        with self._changed:
            if process.pid in self._known and process.state() is not None:
                self._spare[slot] = process.pid
                self._changed.notify_all()
                return
        self._wanted.put(slot)

    def _serves(self, pid: int) -> None:
        slot = self._known[pid].slot
        for other in self._known.values():
            other.current = other.current and other.slot != slot
        self._known[pid].current = True

    def _make_spares(self) -> None:
        while (slot := self._wanted.get()) is not None:
            try:
                self._make_spare(slot)
            except ProgramNotStarted as error:
                with self._changed:
                    if not self._begun:
                        self._why_none = str(error)
                        self._changed.notify_all()
                        return
                    self._changed.wait_for(lambda: self._why_none, AGAIN_S)
                self._wanted.put(slot)
            except Exception as error:
                with self._changed:
                    self._why_none = self._why_none or f"no process can be made for a client: {error}"
                    self._changed.notify_all()
                return

    def _make_spare(self, slot: int) -> None:
        stream, its_stream = socket.socketpair()
        dials, its_dials = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its_stream, its_dials:
            try:
                pass_sockets(self._control, {"do": "fork", "slot": slot}, [its_stream.fileno(), its_dials.fileno()])
                answer, descriptors = self._answer("no process was made for a client")
            except BaseException:
                stream.close()
                dials.close()
                raise
        process = ClientProcess(answer["pid"], descriptors[0], stream, dials)
        self._forget_ended()
        if self._programs and (wrong := _not_started(process)):
            process.forget()
            raise ProgramNotStarted(wrong)
        with self._changed:
            self._known[process.pid] = _Known(process, slot, self._slots[slot].node)
            self._spare[slot] = process.pid
            self._changed.notify_all()
            over = bool(self._why_none)
        if over:
            process.forget()

    def _forget_ended(self) -> None:
        """Free what is held of processes that ended and no longer serve."""
        with self._lock:
            held = set(self._held.values())
            over = [
                pid
                for pid, one in self._known.items()
                if not one.current and pid not in held and self._spare.get(one.slot) != pid and one.process.wait(0)
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


def _not_started(process: ClientProcess) -> str:
    """Describe why the program of a new process did not start; empty when it did."""
    with contextlib.suppress(OSError, ValueError):
        answer = process.lines.receive(START_S)
        return "the process of a client program ended" if answer is None else str(answer["wrong"])
    return f"the process of a client program did not answer in {START_S:g} s"
