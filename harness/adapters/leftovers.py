"""The leftovers of an adapter on a host: files, processes and zombie processes."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from ..hosts.base import Host
from ..systems.answers import INIT

_OURS = ("grep -l", "sshd", "find /", "readlink")
"""Parts of command lines that are of the search itself, or of the way to the host."""


def files(host: Host) -> set[str]:
    """Names below the host's folder, two levels deep."""
    return set(host.run(["find", host.directory, "-mindepth", "1", "-maxdepth", "2"], check=False).stdout.splitlines())


def running(host: Host) -> dict[str, str]:
    """Return by pid the command lines of processes that have the host's folder in their command line, their environment or their working directory."""
    folder = shlex.quote(host.directory + "/")
    found = host.run(
        f"grep -laF -- {folder} /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null; "
        f"for one in /proc/[0-9]*/cwd; do case $(readlink $one 2>/dev/null)/ in {folder}*) echo $one;; esac; done",
        check=False,
    )
    names = {}
    for pid in dict.fromkeys(path.split("/")[2] for path in found.stdout.split()):
        name = host.run(f"tr '\\0' ' ' </proc/{shlex.quote(pid)}/cmdline", check=False).stdout.strip()
        if name and not any(part in name for part in _OURS):
            names[pid] = name
    return names


def end(host: Host, pids: Iterable[str]) -> None:
    if listed := [pid for pid in pids if pid.isdigit() and int(pid) > INIT]:
        host.run(["kill", "-KILL", *listed], check=False)


def zombies(host: Host, pid: int) -> int:
    """Return how many processes below `pid` have ended and were not waited for."""
    found = host.run(_ZOMBIES.format(pid=pid), check=False).stdout.split()
    return len(found)


_ZOMBIES = (
    'new={pid}; while [ -n "$new" ]; do next=\'\'; for p in $new; do next="$next $(cat /proc/$p/task/*/children 2>/dev/null)"; done; '
    "new=$(echo $next); for p in $new; do grep -q '^State:.Z' /proc/$p/status 2>/dev/null && echo $p; done; done; true"
)
