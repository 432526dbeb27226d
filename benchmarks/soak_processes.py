"""The processes of a run while it goes on, read from /proc: the harness's own, and those of its lab, whatever host they are on.

A lab's processes are the descendants of its supervisor, the one process that is started with the lab's directory, `run-<pid of the harness>`. What a process
is for is told by its command line, and where it runs by the name of its host (its UTS namespace).
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
    """`born` (clock ticks since the machine's boot) tells it from another with the same pid."""

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
    try:
        descriptors = len(os.listdir(f"/proc/{pid}/fd"))
        namespace = os.readlink(f"/proc/{pid}/ns/uts")
    except OSError:
        return None
    if stat is None:
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
