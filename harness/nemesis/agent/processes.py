"""Kill, start, stop and continue one process, known by a pid file or by its pid. Everything may be asked twice.

`how` says how to find and control it: `pid_file` or `pid`; `contains`, text of its command line; `marker`, a file that tells its supervisor to leave it down; and, for a
process without such a supervisor, `again`, how it was running when it was killed (`remember`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from typing import Any

WAIT_S = 3.0
POLL_S = 0.005


def find(how: dict[str, Any]) -> int | None:
    """The pid of the living process (a zombie is not living), or None."""
    pid = how.get("pid")
    if how.get("pid_file"):
        try:
            with open(how["pid_file"]) as file:
                pid = int(file.read().split()[0])
        except (FileNotFoundError, ValueError, IndexError):
            pid = None
    return pid if pid is not None and alive(pid) and _is_it(pid, how.get("contains", "")) else None


def _is_it(pid: int, contains: str) -> bool:
    """Process numbers are used again, so a stale pid file may name a stranger; its command line tells."""
    if not contains:
        return True
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return contains.encode() in file.read()
    except OSError:
        return False


def stat(pid: int) -> tuple[str, int] | None:
    """Its state letter and its start time, which tells it from a later process of the same number."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return fields[0], int(fields[19])


def alive(pid: int) -> bool:
    known = stat(pid)
    return known is not None and known[0] not in "ZX"


def kill(how: dict[str, Any]) -> None:
    """The marker first, so that no supervisor starts it again in between."""
    if how.get("marker"):
        with open(how["marker"], "w"):
            pass
    deadline = time.monotonic() + WAIT_S
    while (pid := find(how)) is not None:
        _signal(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise RuntimeError(f"process {pid} outlived SIGKILL for {WAIT_S:g} s")
        time.sleep(POLL_S)


def start(how: dict[str, Any]) -> bool:
    """Let it run again; says whether anything had to be done."""
    did = False
    if how.get("marker"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(how["marker"])
            did = True
    again = how.get("again")
    if again and find(how) is None:
        with open(again["output"] or os.devnull, "ab") as output:
            subprocess.Popen(
                again["argv"],
                cwd=again["cwd"],
                env=again["environment"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        did = True
    return did


def remember(pid: int) -> dict[str, Any] | None:
    """How the process was started, as far as the system knows: what is needed to start its like again."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            argv = [part.decode(errors="surrogateescape") for part in file.read().split(b"\0")[:-1]]
        with open(f"/proc/{pid}/environ", "rb") as file:
            variables = [part.decode(errors="surrogateescape").partition("=") for part in file.read().split(b"\0")[:-1]]
        output = os.readlink(f"/proc/{pid}/fd/1")
        return {
            "argv": argv,
            "cwd": os.readlink(f"/proc/{pid}/cwd"),
            "environment": {name: value for name, _, value in variables},
            "output": output if os.path.isfile(output) else None,
        }
    except OSError:
        return None


def pause(how: dict[str, Any]) -> list[list[int]]:
    """Stop it and return [[pid, start time]]; waits a moment for one that is just starting, and is content with none."""
    deadline = time.monotonic() + WAIT_S
    while (pid := find(how)) is None:
        if time.monotonic() > deadline:
            return []
        time.sleep(POLL_S)
    known = stat(pid)
    _signal(pid, signal.SIGSTOP)
    while (now := stat(pid)) is not None and now[0] not in "TtZX":
        if time.monotonic() > deadline:
            raise RuntimeError(f"process {pid} did not stop within {WAIT_S:g} s")
        time.sleep(POLL_S)
    return [[pid, known[1]]] if known is not None else []


def resume(paused: list[list[int]]) -> list[int]:
    """Continue those that are still the same processes; returns the pids of those that were stopped."""
    woken = []
    for pid, started in paused:
        known = stat(pid)
        if known is not None and known[1] == started:
            if known[0] in "Tt":
                woken.append(pid)
            _signal(pid, signal.SIGCONT)
    return woken


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
