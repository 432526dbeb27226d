"""Things that a run may leave behind on a machine, as names that can be compared: before it, and after it.

Other runs may go on meanwhile; so processes, and the namespaces that they are in, are not compared but remembered (`soak_processes.Members`).
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

Snapshot = dict[str, set[str]]
"""Kind of thing → names of those that there are."""


def snapshot() -> Snapshot:
    """Take a snapshot of this machine's own namespaces; what is in those of a lab ends with its processes."""
    return {
        "named namespaces": {path.name for path in Path("/run/netns").glob("*")},
        "mounts": set(_mounts()),
        "firewall tables": set(_lines(["nft", "list", "tables"])),
        "firewall rules": {line for line in _lines(["iptables", "-w", "2", "-S"]) if "tribulation" in line},
        "links": {line.split(":")[1].strip() for line in _lines(["ip", "-o", "link"]) if line.count(":") > 1},
        "queueing disciplines": set(_lines(["tc", "qdisc", "show"])),
        "control groups": set(_control_groups()),
    }


def left_over(before: Snapshot, after: Snapshot) -> dict[str, list[str]]:
    """Return the names that are in `after` and not in `before`, by kind."""
    return {kind: sorted(names - before.get(kind, set())) for kind, names in after.items() if names - before[kind]}


def _mounts() -> Iterable[str]:
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        fields = line.split(" ")
        yield f"{fields[4]} ({line.partition(' - ')[2].split(' ')[0]})"


def _control_groups() -> Iterable[str]:
    root = Path("/sys/fs/cgroup")
    for top in [root, *(path for path in root.glob("*") if path.is_dir())]:
        yield from (str(path) for path in top.glob("*tribulation*"))


def _lines(command: list[str]) -> list[str]:
    """Return the output lines of a tool; none if it is missing or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return []
    return done.stdout.splitlines() if done.returncode == 0 else []
