"""Names that do not resolve on this host, or resolve to other hosts: `{"names": {"n2": [], "n3": ["10.77.0.1"]}}`, each name with its new addresses.

Changed copies are mounted over the files that resolvers read (bind mounts); the files themselves are not changed, and are visible again after the
unmount. If a name must have no address, name servers are made unreachable too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]
NAME = "names"
HOSTS, RESOLV = "/etc/hosts", "/etc/resolv.conf"
COPIES = {HOSTS: "tribulation-hosts", RESOLV: "tribulation-resolv.conf"}
NO_SERVER = "nameserver 192.0.2.1\noptions timeout:1 attempts:1\n"
"""An address that belongs to no host (RFC 5737)."""
LOOK_S = 30.0
_RESOLVE = """
import json, socket, sys
found = {}
for name in sys.argv[1:]:
    try: found[name] = sorted({row[4][0] for row in socket.getaddrinfo(name, None)})
    except OSError: found[name] = []
print(json.dumps(found))
"""


def claim(before: Json, wanted: Json, config: Json) -> Json:
    """The files that may be covered, and the names."""
    if not wanted:
        return before
    return {"names": sorted({*before.get("names", ()), *wanted["names"]}), "files": sorted(COPIES)}


def change(claimed: Json, wanted: Json, config: Json) -> Json:
    for path in claimed.get("files", ()):
        uncover(path)
    if not wanted:
        return {}
    names: Mapping[str, Sequence[str]] = wanted["names"]
    cover(HOSTS, edited(_read(HOSTS), names))
    if not all(names.values()) and "nameserver" in _read(RESOLV):
        cover(RESOLV, NO_SERVER)
    return {**claimed, "names": sorted(names)}


def undo(force: Json) -> list[str]:
    gone = [path for path in force.get("files", ()) if uncover(path)]
    return [f"names: {', '.join(force['names'])} ({', '.join(gone)})"] if gone else []


def look(request: Json, config: Json) -> Json:
    """Return, by `what`, whether files can be covered on this host (`abilities`), or how a new process resolves some names now."""
    if request["what"] == "abilities":
        return {"abilities": _why_not()}
    command = [sys.executable, "-I", "-c", _RESOLVE, *request["names"]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LOOK_S + 4 * len(request["names"]))
    return {"names": json.loads(done.stdout)}


def edited(text: str, names: Mapping[str, Sequence[str]]) -> str:
    """A hosts file in which these names have exactly these addresses. All other names and lines stay."""
    lines = []
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        kept = [word for word in words[1:] if word not in names]
        if len(kept) == len(words[1:]):
            lines.append(line)
        elif kept:
            lines.append(" ".join([words[0], *kept]))
    lines += [f"{address} {name}" for name, addresses in names.items() for address in addresses]
    return "\n".join([*lines, ""])


def cover(path: str, text: str) -> None:
    copy = _copy_of(path)
    with open(copy, "w") as file:
        file.write(text)
    os.chmod(copy, 0o644)
    done = subprocess.run(["mount", "--bind", copy, os.path.realpath(path)], capture_output=True, text=True, timeout=10)
    if done.returncode:
        raise RuntimeError(f"{path} cannot be covered: {done.stderr.strip()}")


def uncover(path: str) -> bool:
    """Remove our copy, even while processes have it open. Return whether there was one."""
    was_covered = False
    while is_covered(path):
        done = subprocess.run(["umount", "-l", os.path.realpath(path)], capture_output=True, text=True, timeout=10)
        if done.returncode:
            raise RuntimeError(f"{path} stays covered: {done.stderr.strip()}")
        was_covered = True
    return was_covered


def is_covered(path: str) -> bool:
    """Return whether the topmost mount at `path` is our copy, as reported by the kernel."""
    target, top = os.path.realpath(path), ""
    with open("/proc/self/mountinfo", errors="surrogateescape") as file:
        for line in file:
            root, at = line.split()[3:5]
            top = root if at == target else top
    # A file that was removed or replaced beneath a mount has a mark behind its name.
    return os.path.basename(top).partition("//")[0] == COPIES[path]


def _why_not() -> str | None:
    """Test it in a separate mount namespace, so that nothing on the host changes."""
    command = ["unshare", "-m", "mount", "--bind", "/proc/self/comm", os.path.realpath(HOSTS)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        return str(error)
    return done.stderr.strip() or f"exit {done.returncode}" if done.returncode else None


def _read(path: str) -> str:
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _copy_of(path: str) -> str:
    """A path next to the agent's program, which is in the agent's directory."""
    return os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), COPIES[path])
