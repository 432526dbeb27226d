"""Control groups that a host leaves behind when it loses power: they belong to the machine and do not end with a namespace.

Faults limit processes in groups called `tribulation-<pid namespace>` (`harness/agent/processes/cgroups.py`), and remove them. What is left is empty, because
all processes in it were killed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

PREFIX = "tribulation-"


def name_of(init_pid: int) -> str:
    """The name of the control groups of the host with this process 1."""
    return f"{PREFIX}{os.stat(f'/proc/{init_pid}/ns/pid').st_ino}"


def remove(name: str) -> None:
    """Remove empty groups of this name, wherever this process sees control groups."""
    for folder in _folders():
        with contextlib.suppress(OSError):
            os.rmdir(folder / name)


def record(init_pid: int) -> list[str]:
    """A line for each group that the host with this process 1 may make: enough to find it when no process that knew it is left."""
    name = name_of(init_pid)
    return [f"{name.removeprefix(PREFIX)} {folder / name}" for folder in _folders()]


def remove_recorded(lines: Iterable[str]) -> None:
    """Remove the empty groups of these lines, except those named after a living PID namespace: its number was used again."""
    living = _pid_namespaces()
    for line in lines:
        number, _, path = line.partition(" ")
        if path and number not in living:
            with contextlib.suppress(OSError):
                os.rmdir(path)


def _pid_namespaces() -> set[str]:
    """The numbers of PID namespaces in which a process visible to this one runs."""
    numbers = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                numbers.add(str(os.stat(entry / "ns/pid").st_ino))
    return numbers


def _folders() -> Iterator[Path]:
    """The folders in which hosts make groups: below the group that they share with this process (version 1), or at the top (version 2)."""
    own = [line.split(":", 2)[1:] for line in Path("/proc/self/cgroup").read_text().splitlines()]
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        fields, _, rest = line.partition(" - ")
        kind, _, options = rest.split()[:3]
        place = Path(fields.split()[4])
        if kind == "cgroup2":
            yield place
        elif kind == "cgroup":
            controllers = options.split(",")
            yield from (place / path.lstrip("/") for names, path in own if set(names.split(",")) & set(controllers))
