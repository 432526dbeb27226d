"""What a run may leave behind on a machine, as names that can be compared: before it, and after it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

Snapshot = dict[str, set[str]]
"""Kind of thing → names of those that there are."""

_OURS = ("tribulation", "agent.pyz", "node.pyz", "disk.pyz", "harness.hosts.local")


def snapshot() -> Snapshot:
    """Of this machine's own namespaces; those of a lab end with its processes, which are looked for as well."""
    return {
        "processes": set(_processes()),
        "network namespaces": _namespaces("net"),
        "mounts": set(_mounts()),
        "firewall tables": set(_lines(["nft", "list", "tables"])),
        "firewall rules": {line for line in _lines(["iptables", "-w", "2", "-S"]) if "tribulation" in line},
        "links": {line.split(":")[1].strip() for line in _lines(["ip", "-o", "link"]) if line.count(":") > 1},
        "queueing disciplines": set(_lines(["tc", "qdisc", "show"])),
        "control groups": set(_control_groups()),
        "labs": {path.name for path in Path("/var/lib/tribulation").glob("*")},
    }


def left_over(before: Snapshot, after: Snapshot) -> dict[str, list[str]]:
    """What there was not before, and is now."""
    return {kind: sorted(names - before.get(kind, set())) for kind, names in after.items() if names - before[kind]}


def _processes() -> Iterable[str]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                command = Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if any(word in command for word in _OURS) and int(name) != os.getpid():
                yield f"{name} {command.strip()[:160]}"


def _namespaces(kind: str) -> set[str]:
    """Those that some process is in; one without processes is gone, or has a name, which is a mount."""
    found = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                found.add(os.readlink(f"/proc/{name}/ns/{kind}"))
            except OSError:
                continue
    return found


def _mounts() -> Iterable[str]:
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        fields = line.split(" ")
        yield f"{fields[4]} ({line.partition(' - ')[2].split(' ')[0]})"


def _control_groups() -> Iterable[str]:
    root = Path("/sys/fs/cgroup")
    for top in [root, *(path for path in root.glob("*") if path.is_dir())]:
        yield from (str(path) for path in top.glob("*tribulation*"))


def _lines(command: list[str]) -> list[str]:
    """What a tool says; nothing when there is no such tool, or it may not look."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return []
    return done.stdout.splitlines() if done.returncode == 0 else []
