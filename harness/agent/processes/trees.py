"""Processes that belong to the system under test on this host, given the table of all processes. Pure.

The service names one process, the *root*. To it belong

* all its descendants;
* processes in a session or process group that one of them leads or led;
* processes that were seen to belong earlier, under whatever parent they are now;
* orphans in the root's own session, process group or control group that began after it: what a descendant left when it ended.

A session, group or control group is the root's *own* if it holds no process that faults must not touch. Never belong: process 1, the agent and its
programs, what they descend from, and what the root descends from (a supervisor that starts it again) with its other children.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from .proc import Process

Table = Mapping[int, Process]
Heads = Mapping[int, int]
"""pid → start time of processes that were seen to belong; also of ended ones, while any process is in a session or group that they led."""

NOT_OWN = ("session-", "init.scope", "user@")
"""How systemd calls the control groups of logins, where whatever a user runs may be."""


def ancestors(table: Table, pid: int) -> list[int]:
    """Return the ancestors of a process, its parent first. Ends at a process whose parent is not in the table."""
    found: list[int] = []
    above = table[pid].parent if pid in table else 0
    while above in table and above not in found:
        found.append(above)
        above = table[above].parent
    return found


def belonging(
    table: Table,
    root: int | None,
    seen: Heads,
    apart: frozenset[int],
    strangers: frozenset[int],
    control_groups: Callable[[int], Iterable[str]],
) -> dict[int, Process]:
    """Return the living processes of the system, by pid; without a root, what is left of those that were seen.

    `apart` never belong. `strangers` may, but a session or group with one of them in it is not the root's own.
    """
    above = frozenset(ancestors(table, root)) if root is not None else frozenset()
    barred = apart | above
    free = {pid: process for pid, process in table.items() if process.living and pid not in barred}
    found = {pid: free[pid] for pid, started in seen.items() if pid in free and free[pid].started == started}
    # A number that another process has now leads nothing of ours.
    led = {pid for pid, started in seen.items() if pid not in table or table[pid].started == started} - barred
    places = _Places(table, apart, above, strangers, control_groups)
    if root is not None and root in free:
        found[root] = free[root]
        places.own_of(free[root])
    while True:
        led.update(found)
        more = {
            pid: process
            for pid, process in free.items()
            if pid not in found
            and (
                process.parent in found or process.session in led or process.group in led or places.orphaned_in(process)
            )
        }
        if not more:
            return found
        found.update(more)


def still_heads(table: Table, seen: Heads, found: Mapping[int, Process]) -> dict[int, int]:
    """Return the heads of sessions and groups to remember: those found now, and those of `seen` that ended while their session or group lives."""
    used = {number for process in found.values() for number in (process.session, process.group)}
    gone = {pid: started for pid, started in seen.items() if pid not in found and pid in used and pid not in table}
    return {**gone, **{pid: process.started for pid, process in found.items()}}


def whole_groups(table: Table, found: Mapping[int, Process]) -> frozenset[int]:
    """Process groups that hold no other process: one signal reaches all of such a group, even a process that is forking just now."""
    others = {process.group for pid, process in table.items() if process.living and pid not in found}
    return frozenset({process.group for process in found.values()} - others - {0})


class _Places:
    """Sessions, process groups and control groups, as marks that processes share."""

    def __init__(
        self,
        table: Table,
        apart: frozenset[int],
        above: frozenset[int],
        strangers: frozenset[int],
        control_groups: Callable[[int], Iterable[str]],
    ) -> None:
        self._table, self._apart, self._above, self._strangers = table, apart, above, strangers
        self._control_groups = control_groups
        self._own: frozenset[str] = frozenset()
        self._since = 0

    def own_of(self, root: Process) -> None:
        """Learn which of the root's places are its own."""
        foreign = [self._table[pid] for pid in (self._apart | self._strangers) if pid in self._table]
        taken = {mark for process in foreign for mark in self._marks(process)}
        self._own = frozenset(self._marks(root) - taken)
        self._since = root.started

    def orphaned_in(self, process: Process) -> bool:
        """Return whether the process is in a place of the system's own and has no ancestor there that is not part of the system."""
        if not self._own or process.started < self._since:
            return False
        shared = self._marks(process) & self._own
        return bool(shared) and not any(
            pid != 1 and (pid in self._apart or (pid in self._above and self._marks(self._table[pid]) & shared))
            for pid in ancestors(self._table, process.pid)
        )

    def _marks(self, process: Process) -> set[str]:
        groups = (line for line in self._control_groups(process.pid) if not _of_login(line))
        numbers = {f"session {process.session}", f"group {process.group}"} - {"session 0", "group 0"}
        return {*numbers, *groups}


def _of_login(line: str) -> bool:
    path = line.split(":", 2)[-1]
    return path == "/" or path.rpartition("/")[2].startswith(NOT_OWN)
