"""Everything about a host that a fault may change, as text to be compared: rules, queues, limits, groups, mounts, processes, clock, files."""

from __future__ import annotations

import json
from collections import Counter

from tribulation.harness.hosts.ssh.remote import RemoteHost

# Runs in the host. Names of processes and not their numbers, since what was killed comes back under another.
_LOOK = r"""
import glob, json, os, subprocess, sys

def output_of(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout
    except FileNotFoundError:
        return ""

def without_counters(text):
    return [line.split("counter")[0].rstrip() for line in text.splitlines() if not line.startswith(("#", ":"))]

def read(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""

directory = sys.argv[1]
node = read(f"{directory}/reference/node.pid").split()
pid = node[0] if node else "-"
here = str(os.getpid())
names = []
for entry in os.listdir("/proc"):
    arguments = read(f"/proc/{entry}/cmdline").replace("\0", " ").strip() if entry.isdigit() else ""
    if arguments and entry != here and "host_state" not in arguments:
        names.append(arguments.split(" -c ")[0])
environment = dict(
    item.split("=", 1) for item in read(f"/proc/{pid}/environ").split("\0") if item.startswith(("LD_PRELOAD", "TRIBULATION", "FAKETIME"))
)
clock = subprocess.run(
    [sys.executable, "-c", "import time; print(time.time())"], env={**os.environ, **environment}, capture_output=True, text=True
).stdout
import time
print(json.dumps({
    "nft": without_counters(output_of("nft", "list", "ruleset")),
    "iptables": without_counters(output_of("iptables-save")),
    "ip6tables": without_counters(output_of("ip6tables-save")),
    "qdiscs": output_of("tc", "qdisc", "show").splitlines(),
    "filters": output_of("tc", "filter", "show", "dev", "eth0").splitlines(),
    "links": [line.split(" ", 1)[1].split("@")[0] + line.partition("<")[2] for line in output_of("ip", "-o", "link").splitlines()],
    "routes": output_of("ip", "route").splitlines(),
    "limits": read(f"/proc/{pid}/limits").splitlines(),
    "groups": sorted(read(f"/proc/{pid}/cgroup").splitlines()),
    "mounts": sorted(line.split()[1] + " " + line.split()[2] + " " + line.split()[3] for line in read("/proc/mounts").splitlines()),
    "processes": sorted(names),
    "stopped": read(f"/proc/{pid}/stat").rpartition(")")[2].split()[:1] in (["T"], ["t"]),
    "clock_is_off": abs(float(clock or "0") - time.time()) > 1.0,
    "boot": sorted(os.listdir(f"{directory}/boot.d")) if os.path.isdir(f"{directory}/boot.d") else [],
}))
"""


def state_of(host: RemoteHost) -> dict[str, object]:
    """By part. Agents, watchdogs and what looks for them, which come and go with the harness, are left out of the processes."""
    said = host.run([host.python, "-c", _LOOK, host.directory], timeout_s=60.0).stdout
    state: dict[str, object] = json.loads(said)
    processes: list[str] = state["processes"]  # type: ignore[assignment]
    state["processes"] = [name for name in processes if not _comes_and_goes(name)]
    return state


def differences(before: dict[str, object], after: dict[str, object]) -> dict[str, tuple[object, object]]:
    """What is not as it was: part → (before, after), of lists only what the other does not have."""
    return {part: _apart(before[part], after[part]) for part in before if before[part] != after[part]}


def _apart(before: object, after: object) -> tuple[object, object]:
    if not (isinstance(before, list) and isinstance(after, list)):
        return before, after
    gone, come = Counter(map(str, before)), Counter(map(str, after))
    return sorted((gone - come).elements()), sorted((come - gone).elements())


def _comes_and_goes(name: str) -> bool:
    looks_for_the_harness = name.endswith((" -S -E", " -I -S")) or name in ("sh", "/bin/sh")
    return (
        looks_for_the_harness
        or "agent.pyz" in name
        or name.startswith(("sshd", "/usr/lib/openssh", "sh -c", "/bin/sh -c"))
    )
