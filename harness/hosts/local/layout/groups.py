"""Control groups that a host leaves behind when it loses its power: they are the machine's, and no namespace takes them along.

Faults limit processes in groups called `tribulation-<pid namespace>` (`harness/agent/processes/cgroups.py`), and remove them. What is left is empty, since
everybody in it was killed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

PREFIX = "tribulation-"


def name_of(init_pid: int) -> str:
    """What groups of the host are called whose process 1 this is."""
    return f"{PREFIX}{os.stat(f'/proc/{init_pid}/ns/pid').st_ino}"


def remove(name: str) -> None:
    """Those of this name that are empty, wherever this process sees control groups."""
    for folder in _folders():
        with contextlib.suppress(OSError):
            os.rmdir(folder / name)


def record(init_pid: int) -> list[str]:
    """A line for each group that the host may make whose process 1 this is: enough to find it when nobody lives who knew it."""
    name = name_of(init_pid)
    return [f"{name.removeprefix(PREFIX)} {folder / name}" for folder in _folders()]


def remove_recorded(lines: Iterable[str]) -> None:
    """The groups of these lines that are empty, but for those named after a PID namespace that lives: its number was given again."""
    living = _pid_namespaces()
    for line in lines:
        number, _, path = line.partition(" ")
        if path and number not in living:
            with contextlib.suppress(OSError):
                os.rmdir(path)


def _pid_namespaces() -> set[str]:
    """The numbers of those in which a process runs that this one sees."""
    numbers = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                numbers.add(str(os.stat(entry / "ns/pid").st_ino))
    return numbers


def _folders() -> Iterator[Path]:
    """Where hosts make them: below the group that they share with this process (version 1), or at the top (version 2)."""
    own = [line.split(":", 2)[1:] for line in Path("/proc/self/cgroup").read_text().splitlines()]
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        kind, _, options = rest.split()[:3]
        place = Path(fields.split()[4])
        if kind == "cgroup2":
            yield place
        elif kind == "cgroup":
            controllers = options.split(",")
            yield from (place / path.lstrip("/") for names, path in own if set(names.split(",")) & set(controllers))
