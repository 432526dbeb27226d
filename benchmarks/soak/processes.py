"""The processes of a run while it goes on, read from /proc: the harness's own, and those of its lab, whatever host they are on.

A lab's processes are the descendants of its supervisor, the one process that is started with the lab's directory, `run-<pid of the harness>`. What a process
is for is known from its command line, and where it runs by the name of its host (its UTS namespace).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

ROLES = (
    (re.compile(r"/reference/code "), "node"),
    (re.compile(r"node\.pyz --supervise"), "node-supervisor"),
    (re.compile(r"disk\.pyz serve"), "fault-disk"),
    (re.compile(r"agent\.pyz (\w+)"), "agent"),
    (re.compile(r"harness\.hosts\.local\.supervisor"), "lab-supervisor"),
    (re.compile(r"sshd"), "sshd"),
)


@dataclass(frozen=True, slots=True)
class Process:
    """`born` (clock ticks since the machine's boot) distinguishes it from another with the same pid."""

    pid: int
    parent: int
    born: int
    role: str
    host: str
    rss_bytes: int
    descriptors: int
    threads: int

    @property
    def name(self) -> str:
        return f"{self.role}@{self.host}" if self.host else self.role


class Members:
    """Every process that was seen, with the network namespaces of the lab: what of them is still there afterwards was left behind."""

    def __init__(self) -> None:
        self._own = os.readlink("/proc/self/ns/net")
        self._seen: dict[tuple[int, int], str] = {}
        self._namespaces: set[str] = set()

    def add(self, processes: list[Process]) -> None:
        for process in processes:
            if (process.pid, process.born) not in self._seen:
                self._seen[process.pid, process.born] = process.name
                namespace = _namespace(process.pid, "net")
                if namespace not in (None, self._own):
                    self._namespaces.add(str(namespace))

    def left(self) -> dict[str, list[str]]:
        """Processes by pid and name, and those not seen before that are in the lab's namespaces."""
        found = []
        for pid in _pids():
            stat = _stat(pid)
            if stat is not None and stat[0] != "Z":
                name = self._seen.get((pid, int(stat[19])))
                if name is not None or _namespace(pid, "net") in self._namespaces:
                    found.append(f"{pid} {name or _command(pid)[:120]}")
        return {"processes": found} if found else {}


def watched(harness: int) -> list[Process]:
    """The harness and its lab, now. A process that ends while it is looked at is left out."""
    table = {pid: stat for pid in _pids() if (stat := _stat(pid)) is not None}
    roots = [pid for pid in table if f"run-{harness} " in _command(pid) + " "]
    found = [_process(harness, table, "harness", "")]
    found += [_process(pid, table, None, None) for pid in _descendants(roots, table)]
    return [process for process in found if process is not None]


def _descendants(roots: list[int], table: dict[int, list[str]]) -> list[int]:
    children: dict[int, list[int]] = {}
    for pid, stat in table.items():
        children.setdefault(int(stat[1]), []).append(pid)
    found: dict[int, None] = {}
    left = list(roots)
    while left:
        pid = left.pop()
        if pid not in found:
            found[pid] = None
            left += children.get(pid, [])
    return list(found)


def _process(pid: int, table: dict[int, list[str]], role: str | None, host: str | None) -> Process | None:
    """`stat` fields count from the third one of proc(5), for the second may hold anything: state, ppid, …"""
    stat = table.get(pid)
    namespace = _namespace(pid, "uts")
    try:
        descriptors = len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return None
    if stat is None or namespace is None:
        return None
    command = _command(pid)
    return Process(
        pid,
        int(stat[1]),
        int(stat[19]),
        role or _role(command),
        host if host is not None else namespace.strip("uts:[]"),
        int(stat[21]) * PAGE_BYTES,
        descriptors,
        int(stat[17]),
    )


def _role(command: str) -> str:
    for pattern, role in ROLES:
        match = pattern.search(command)
        if match is not None:
            return f"{role}-{match[1]}" if match.groups() else role
    return os.path.basename(command.split(" ")[0]) or "other"


def _namespace(pid: int, kind: str) -> str | None:
    try:
        return os.readlink(f"/proc/{pid}/ns/{kind}")
    except OSError:
        return None


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _stat(pid: int) -> list[str] | None:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def _command(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return ""
