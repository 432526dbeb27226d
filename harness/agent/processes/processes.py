"""Kill, start, stop and continue the system's processes: the one that a pid file or a pid names, and all that belong to it (`trees`). Every function may be
called twice.

`how` says how to find and control it: `pid_file` or `pid`; `contains`, text of its command line; `marker`, a file that makes its supervisor leave it
down; and, for a process without such a supervisor, `again`, how it was running when it was killed (`remember`).
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from . import proc, trees
from .proc import Process

WAIT_S = 3.0
STOP_S = KILL_S = 10.0
FIRST_STOP_S = 1.0
"""A process to be killed is stopped first, so that it cannot fork; one that does not stop in this time is killed anyway."""
POLL_S = 0.005
QUICK_LOOKS = 10
PID_BYTES = 64
GATES = frozenset({"sshd", "sshd-session", "sshd-auth", "dropbear", "systemd", "init", "tini"})
"""Programs in whose session or control group others than the system may be."""
DISK_PROGRAM = b"/disk.pyz"

_seen: dict[str, dict[int, int]] = {}
"""What was seen to belong to a system, by how it is found, for as long as this program lives."""


@dataclass(frozen=True, slots=True)
class Tree:
    """All living processes of the system. `groups` are process groups that hold no other process."""

    processes: tuple[Process, ...]
    groups: frozenset[int]

    @property
    def pairs(self) -> list[list[int]]:
        """[pid, start time] of each."""
        return [[process.pid, process.started] for process in self.processes]

    @property
    def moving(self) -> list[Process]:
        return [process for process in self.processes if not process.stopped]

    def send(self, number: int) -> None:
        """Send a signal to all. Children are killed before their parents: the kernel continues stopped processes of a group that a parent's end orphans."""
        order = self._ordered(number)
        last = {process.group: process.pid for process in order}
        for process in order:
            if process.group not in self.groups:
                _signal(process.pid, number)
            elif last[process.group] == process.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.group, number)

    def _ordered(self, number: int) -> list[Process]:
        def age(process: Process) -> tuple[int, int]:
            return process.started, process.pid

        return sorted(self.processes, key=age, reverse=number == signal.SIGKILL)


def find(how: dict[str, Any]) -> int | None:
    """Return the pid of the living process (a zombie is not living), or None."""
    pid = how.get("pid")
    if how.get("pid_file"):
        try:
            pid = int(_pid_text(how["pid_file"]).split()[0])
        except (FileNotFoundError, ValueError, IndexError):
            pid = None
    return pid if pid is not None and alive(pid) and _is_it(pid, how.get("contains", "")) else None


def _pid_text(path: str) -> bytes:
    """The beginning of a pid file. Raises `OSError` for a pipe or a device, which another user may have put there and which would hold every undo."""
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        return file.read(PID_BYTES)


def _is_it(pid: int, contains: str) -> bool:
    """Return whether the pid is the system's process. Numbers are used again, so a stale pid file may name another process; its command line decides."""
    return not contains or contains.encode() in proc.command_line(pid)


def tree(how: dict[str, Any]) -> Tree:
    """Return the processes that belong to the system now. Raises `RuntimeError` if the agent itself would be one of them."""
    key, table = _key(how), proc.table()
    root = find(how)
    apart = _apart(table)
    if root is not None and root in apart:
        raise RuntimeError(
            f"process {root} is the agent or a parent of it: a fault on it would end the process that undoes faults"
        )
    strangers = frozenset(pid for pid, process in table.items() if process.name in GATES)
    before = _seen.get(key, {})
    found = trees.belonging(table, root, before, apart, strangers, proc.control_groups)
    _seen[key] = trees.still_heads(table, before, found)
    return Tree(tuple(found.values()), trees.whole_groups(table, found))


def members(how: dict[str, Any]) -> list[int]:
    """Return the pids of the tree; empty where nothing is known of the process."""
    return [process.pid for process in tree(how).processes] if how else []


def recall(how: dict[str, Any], pairs: Iterable[list[int]]) -> None:
    """Restore processes that an earlier agent saw to belong to the system, and recorded."""
    _seen[_key(how)] = {**{pid: started for pid, started in pairs}, **_seen.get(_key(how), {})}


def _key(how: dict[str, Any]) -> str:
    return str(how.get("pid_file") or how.get("pid"))


def _apart(table: trees.Table) -> frozenset[int]:
    """Process 1, this program and what it descends from, and its like: watchdog, helpers of links, fault disks."""
    own, programs = os.getpid(), (os.path.abspath(sys.argv[0]).encode(), DISK_PROGRAM)
    alike = {
        pid
        for pid, process in table.items()
        if "python" in process.name and any(program in proc.command_line(pid) for program in programs)
    }
    return frozenset({1, own, *trees.ancestors(table, own), *alike})


def alive(pid: int) -> bool:
    known = proc.read(pid)
    return known is not None and known.living


def kill(how: dict[str, Any]) -> None:
    """Kill all. The marker comes first, so that no supervisor starts it again in between; all are stopped first, so that none forks in between."""
    if how.get("marker"):
        with open(how["marker"], "w"):
            pass
    _stop(how, FIRST_STOP_S)
    deadline_s = time.monotonic() + KILL_S
    while (found := tree(how)).processes:
        found.send(signal.SIGKILL)
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"outlived SIGKILL for {KILL_S:g} s: {_names(found.processes)}")
        time.sleep(POLL_S)


def start(how: dict[str, Any]) -> bool:
    """Let it run again; return whether anything had to be done."""
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
                **_as_whom(again.get("identity")),
            )
        did = True
    return did


def remember(pid: int) -> dict[str, Any] | None:
    """Return the arguments, directory, environment, output and user of the process, to start another one like it; None if unreadable."""
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
            "identity": proc.identity(pid),
        }
    except OSError:
        return None


def _as_whom(identity: list[Any] | None) -> dict[str, Any]:
    """Return the user to start as; empty for our own. Some servers refuse to run as root, so each is started as the user that it ran as."""
    if identity is None or identity == proc.identity(os.getpid()):
        return {}
    user, group, groups = identity
    return {"user": user, "group": group, "extra_groups": groups}


def pause(how: dict[str, Any]) -> list[list[int]]:
    """Stop all of it and return [[pid, start time], …]. Waits up to `WAIT_S` for one that is just starting; without one, returns an empty list.

    Raises `RuntimeError` with the names of those that do not stop.
    """
    deadline_s = time.monotonic() + WAIT_S
    while find(how) is None:
        if time.monotonic() > deadline_s:
            return []
        time.sleep(POLL_S)
    found = _stop(how, STOP_S)
    if moving := found.moving:
        raise RuntimeError(f"did not stop within {STOP_S:g} s: {_names(moving)}")
    return found.pairs


def _stop(how: dict[str, Any], within_s: float) -> Tree:
    """Stop all, until two looks in a row show no process that runs: what a process forks before it stops is in the second.

    One look may miss a new process, whose number may be one that the look has passed.
    """
    deadline_s = time.monotonic() + within_s
    still = looks = 0
    while True:
        found = tree(how)
        looks, still = looks + 1, 0 if found.moving else still + 1
        if still == 2 or time.monotonic() > deadline_s:
            return found
        if not still:
            found.send(signal.SIGSTOP)
            # Without a pause at first: a process that forks and ends is another one by the time that it is found.
            time.sleep(0 if looks < QUICK_LOOKS else POLL_S)


def resume(stopped: Iterable[list[int]], how: dict[str, Any] | None = None) -> list[int]:
    """Continue those of the list that are still the same processes, and all of the system `how`; returns the pids of those that were stopped."""
    pairs = {(pid, started) for pid, started in stopped}
    if how:
        # A pid file that cannot be read, as on a disk that fails, must not keep known processes stopped.
        with contextlib.suppress(RuntimeError, OSError):
            pairs |= {(process.pid, process.started) for process in tree(how).processes}
    woken = []
    for pid, started in sorted(pairs):
        known = proc.read(pid)
        if known is not None and known.started == started:
            if known.stopped:
                woken.append(pid)
            _signal(pid, signal.SIGCONT)
    return woken


def _names(found: Iterable[Process]) -> str:
    return ", ".join(str(process) for process in list(found)[:10])


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
