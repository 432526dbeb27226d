"""Script that is sent to a host as text and prints the facts for deployment as one JSON object. It changes nothing, and needs only Python.

`observe.py` sends it and reads what it prints.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
from typing import Any

_LISTENING = "0A"


def look(asked: dict[str, Any]) -> dict[str, Any]:
    folder, unit = asked["folder"], asked["unit"]
    missing, nearest = _missing_folders(asked["directory"])
    disk = os.statvfs(nearest)
    systemd = os.path.isdir("/run/systemd/system") and _read("/proc/1/comm").strip() == b"systemd"
    name = os.path.basename(unit)
    return {
        "executable": os.path.realpath(sys.executable),
        "root": os.geteuid() == 0,
        "missing": missing,
        "nearest": nearest,
        "entered": _others_may_enter(asked["directory"]),
        "free_mib": disk.f_bavail * disk.f_frsize >> 20,
        "systemd": systemd,
        "files": {name: found for name in asked["names"] if (found := _digest(f"{folder}/{name}"))},
        "folder": os.path.isdir(folder),
        "config": _text(f"{folder}/config.json"),
        "certificate": _text(f"{folder}/{asked['certificate']}"),
        "node": (node := _process(folder, "node.pid")),
        "node_s": _age_s(node),
        "supervisor": _process(folder, "supervisor.pid"),
        "kept_down": os.path.exists(f"{folder}/stopped"),
        "ports": [row for kind, port, address in asked["ports"] for row in _holders(kind, port, address, folder)],
        "unit": _text(unit),
        "active": _said("systemctl", "is-active", name) if systemd else "",
        "enabled": _said("systemctl", "is-enabled", name) if systemd else "",
        "user": any(line.split(":")[0] == asked["user"] for line in _text("/etc/passwd").splitlines()),
        "made": _text(asked["made"]),
        "rules": _said("nft", "-j", "list", "ruleset"),
    }


def _read(path: str) -> bytes:
    """The content; empty if there is no such file, or it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _text(path: str) -> str:
    return _read(path).decode("utf-8", "replace")


def _digest(path: str) -> str:
    content = _read(path)
    return hashlib.sha256(content).hexdigest() if content else ""


def _said(*command: str) -> str:
    """A program's output, whatever its exit code; empty if there is no such program."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace").strip()


def _missing_folders(path: str) -> tuple[list[str], str]:
    """Missing folders, from the topmost down to `path`, and the existing folder above them."""
    missing: list[str] = []
    while not os.path.isdir(path):
        missing.insert(0, path)
        path = os.path.dirname(path)
    return missing, path


def _others_may_enter(path: str) -> bool:
    """Return whether a user without special rights can reach that folder, where it exists."""
    while path != "/":
        if os.path.isdir(path) and not os.stat(path).st_mode & 0o001:
            return False
        path = os.path.dirname(path)
    return True


def _process(folder: str, pid_file: str) -> int | None:
    """The number in a pid file, if it is of a process whose command line names the folder: pids are reused."""
    text = _text(f"{folder}/{pid_file}").strip()
    ours = text.isdigit() and os.fsencode(folder + "/") in _read(f"/proc/{text}/cmdline")
    return int(text) if ours else None


def _age_s(pid: int | None) -> float | None:
    """Return how long this process has run."""
    fields = _text(f"/proc/{pid}/stat").rpartition(")")[2].split() if pid is not None else []
    if not fields:
        return None
    return float(_text("/proc/uptime").split()[0]) - int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _holders(kind: str, port: int, address: str, folder: str) -> list[dict[str, Any]]:
    """The process that uses this port of this address: no row or one row; without a name if the process may not be inspected."""
    inodes = _bound(kind, port, _numbers(address, port))
    if not inodes:
        return []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if _sockets(pid) & inodes:
            ours = os.fsencode(folder + "/") in _read(f"/proc/{pid}/cmdline")
            who = f"{_text(f'/proc/{pid}/comm').strip()}, pid {pid}"
            return [{"kind": kind, "port": port, "who": who, "ours": ours}]
    return [{"kind": kind, "port": port, "who": "", "ours": False}]


def _bound(kind: str, port: int, numbers: set[bytes]) -> set[str]:
    """Inodes of conflicting sockets: listening, or, for UDP, not connected, at one of these addresses or at all addresses. An empty list means all
    addresses.
    """
    found: set[str] = set()
    for family in ("", "6"):
        for line in _text(f"/proc/net/{kind}{family}").splitlines()[1:]:
            fields = line.split()
            waits = fields[3] == _LISTENING if kind == "tcp" else fields[2].endswith(":0000")
            where, _, number = fields[1].rpartition(":")
            here = _in_order(where)
            if waits and int(number, 16) == port and (not numbers or not any(here) or here in numbers):
                found.add(fields[9])
    return found


def _in_order(text: str) -> bytes:
    """An address in the kernel's form: words in this machine's byte order."""
    words = [bytes.fromhex(text[start : start + 8]) for start in range(0, len(text), 8)]
    return b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)


def _numbers(address: str, port: int) -> set[bytes]:
    """An address in the forms in which it may be bound, also an IPv4 one as seen by IPv6. Empty for all addresses, and for a name that is unknown here."""
    try:
        found = socket.getaddrinfo(address or None, port, type=socket.SOCK_STREAM) if address else []
    except OSError:
        return set()
    plain = {socket.inet_pton(family, str(place[0]).partition("%")[0]) for family, _, _, _, place in found}
    return {each for number in plain if any(number) for each in (number, b"\0" * 10 + b"\xff\xff" + number)}


def _sockets(pid: str) -> set[str]:
    found: set[str] = set()
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            target = os.readlink(f"/proc/{pid}/fd/{name}")
            if target.startswith("socket:["):
                found.add(target[8:-1])
    except OSError:
        # It ended, or is another user's.
        return found
    return found


if __name__ == "__main__":
    print(json.dumps(look(json.loads(sys.argv[1]))))
