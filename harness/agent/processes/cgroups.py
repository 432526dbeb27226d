"""Control groups of our own, in which the tested process gets little CPU time or memory: version 2 where it has the controller, else version 1.

A host may have no such file system mounted, as local hosts do not. It is then mounted for one command, in a mount namespace that ends with the command, so
that nothing must be removed. A group of version 1 is made below the one that the process is in, so that its limits still apply. One of version 2 is made
at the top, since a group there holds either processes or groups. Only groups of our name are made, changed or removed.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

CPU, MEMORY = "cpu", "memory"
PERIOD_US = 100_000
COMMAND_S = 15.0
_PLACE = "/sys/fs/cgroup"
_UNSHARE = ["unshare", "--mount", "--propagation", "private"]

Settings = list[tuple[str, str]]
"""(file, value) in the order in which they must be written; a missing file is skipped if its name begins with `?`."""


@dataclass(frozen=True, slots=True)
class Controller:
    """Place of a controller. `mounted` is empty when it has to be mounted for each command."""

    name: str
    version: int
    mounted: str
    options: str

    @property
    def means(self) -> str:
        return f"cgroup v{self.version}"

    def settings(self, value: int | None) -> Settings:
        """Return the settings of a limit: for `cpu` parts per million of one processor, for `memory` bytes; None removes the limit."""
        if self.name == CPU:
            quota = None if value is None else max(1000, value * PERIOD_US // 1_000_000)
            if self.version == 2:
                return [("cpu.max", f"{quota or 'max'} {PERIOD_US}")]
            return [("cpu.cfs_period_us", str(PERIOD_US)), ("cpu.cfs_quota_us", str(quota or -1))]
        if self.version == 2:
            return [("memory.max", str(value or "max")), ("?memory.swap.max", "max" if value is None else "0")]
        # The sum with swap may never be less than the limit itself.
        return [
            ("?memory.memsw.limit_in_bytes", "-1"),
            ("memory.limit_in_bytes", str(value or -1)),
            ("?memory.memsw.limit_in_bytes", str(value or -1)),
        ]

    @property
    def counter(self) -> tuple[str, str]:
        """The file, and the word in it, that count how often the limit was met: throttled periods, processes killed."""
        if self.name == CPU:
            return "cpu.stat", "nr_throttled"
        return ("memory.events" if self.version == 2 else "memory.oom_control"), "oom_kill"


def find(name: str) -> Controller | None:
    """Return a controller as the kernel reports it, None if there is none; `usable` tests whether it can be used."""
    try:
        with open("/proc/cgroups", errors="surrogateescape") as file:
            rows = [line.split() for line in file if not line.startswith("#")]
    except FileNotFoundError:
        return None
    hierarchies = {row[0]: row[1] for row in rows if row[3] == "1"}
    if name not in hierarchies:
        return None
    version = 2 if hierarchies[name] == "0" else 1
    together = [other for other, hierarchy in hierarchies.items() if hierarchy == hierarchies[name]]
    return Controller(name, version, _mounted(name, version), ",".join(sorted(together)) if version == 1 else "")


def _mounted(name: str, version: int) -> str:
    """Return the directory where this controller's file system is mounted, from its root and writable; empty if there is none."""
    with open("/proc/self/mountinfo", errors="surrogateescape") as file:
        for line in file:
            fields, _, rest = line.partition(" - ")
            kind, _, options = rest.split()[:3]
            _, _, _, root, place, flags = fields.split()[:6]
            right = kind == "cgroup2" if version == 2 else kind == "cgroup" and name in options.split(",")
            # Another mount may lie over it.
            seen = os.path.exists(f"{place}/cgroup.procs")
            if right and root == "/" and "rw" in flags.split(",") and seen:
                return place
    return ""


def group_name() -> str:
    """Return a name that only this host uses: several local hosts share one hierarchy."""
    return f"tribulation-{os.stat('/proc/self/ns/pid').st_ino}"


def path_of(pid: int, controller: Controller) -> str:
    """Return the path of the group that a process is in. Raises `OSError` when there is no such process."""
    with open(f"/proc/{pid}/cgroup", errors="surrogateescape") as file:
        for line in file:
            _, names, path = line.rstrip("\n").split(":", 2)
            if (names == "" and controller.version == 2) or controller.name in names.split(","):
                return path
    return "/"


def usable(name: str) -> tuple[Controller | None, str]:
    """Return the controller, tried with an empty group; or None, and why it cannot be used."""
    controller = find(name)
    if controller is None:
        return None, f"the kernel has no controller {name}"
    try:
        group = f"{below(controller, path_of(os.getpid(), controller))}-try"
        enabled = f'grep -qw {name} "$M/cgroup.controllers"' if controller.version == 2 else "true"
        run(controller, group, [f'{enabled} && mkdir "$g" && rmdir "$g"'])
    except (RuntimeError, OSError) as error:
        return None, str(error)
    return controller, ""


def enter(controller: Controller, group: str, pids: Iterable[int], value: int) -> None:
    """Make the group if it is missing, set its limit, and put the processes into it; those that have ended meanwhile are skipped."""
    moves = [f'echo {pid} >"$g/cgroup.procs" || [ ! -e /proc/{pid}/exe ] || exit 1' for pid in pids]
    lines = ['mkdir -p "$g"', *_writes(controller.settings(value)), *moves]
    if controller.version == 2:
        enabled = f'grep -qw {controller.name} "$M/cgroup.subtree_control"'
        lines.insert(
            0,
            f"{enabled} || {{ echo 'the top group does not enable {controller.name} for its children' >&2; exit 1; }}",
        )
    run(controller, group, lines)


def lift(controller: Controller, group: str) -> None:
    """Remove the limit and keep the group, which has another limit too."""
    run(controller, group, ['[ -d "$g" ] || exit 0', *_writes(controller.settings(None))])


def leave(controller: Controller, group: str, prior: str) -> bool:
    """Move all processes of the group to the group `prior`, and remove it; return whether it was there."""
    back = (
        f'while read -r pid; do echo "$pid" >"$M"{shlex.quote(prior)}/cgroup.procs 2>/dev/null; done <"$g/cgroup.procs"'
    )
    again = f'i=0; until rmdir "$g" 2>/dev/null; do [ $i = 100 ] && exit 1; i=$((i+1)); {back}; sleep 0.01; done'
    return run(controller, group, ['[ -d "$g" ] || exit 0', back, again, "echo was there"]) == "was there"


def read(controller: Controller, group: str, *files: str) -> str:
    """Return the content of these files of the group, one after the other; empty for a missing group."""
    return run(controller, group, [f'cat "$g/{file}" 2>/dev/null || true' for file in files])


def counted(controller: Controller, group: str) -> int:
    file, word = controller.counter
    rows = [line.split() for line in read(controller, group, file).splitlines()]
    return next((int(row[1]) for row in rows if len(row) == 2 and row[0] == word), 0)


def usage_bytes(controller: Controller, group: str) -> int:
    file = "memory.current" if controller.version == 2 else "memory.usage_in_bytes"
    return int(read(controller, group, file) or 0)


def quota_ppm(controller: Controller, group: str) -> int | None:
    """Return the share of one processor that the group has, as the kernel reports it; None without a limit."""
    files = ("cpu.max",) if controller.version == 2 else ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    quota, period = read(controller, group, *files).split()
    return int(quota) * 1_000_000 // int(period) if quota.isdigit() else None


def run_inside(controller: Controller, group: str, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command of ours in the group."""
    return _run(controller, group, ['echo $$ >"$g/cgroup.procs"', f"exec {shlex.join(command)}"])


def run(controller: Controller, group: str, lines: list[str]) -> str:
    """Run shell commands that know the group as `$g` and the top as `$M`; return their output. Raises `RuntimeError` with the first line of stderr."""
    done = _run(controller, group, lines)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[:1] or [f"exit {done.returncode}"]
        raise RuntimeError(f"{controller.means} {controller.name}, group {group}: {said[0]}")
    return done.stdout.strip()


def _run(controller: Controller, group: str, lines: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        script(controller, group, lines), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMMAND_S
    )


def script(controller: Controller, group: str, lines: list[str]) -> list[str]:
    """Return the command that runs these lines, with a mount of its own where there is none."""
    top = controller.mounted or _PLACE
    kind = "cgroup2" if controller.version == 2 else f"cgroup -o {controller.options}"
    mount = [] if controller.mounted else [f"mount -t {kind} none {top} || exit 1"]
    text = "\n".join(["set -u", *mount, f"M={shlex.quote(top)}", f'g="$M"{shlex.quote(group)}', *lines])
    return [*([] if controller.mounted else _UNSHARE), "sh", "-c", text]


def _writes(settings: Settings) -> list[str]:
    return [
        f'[ ! -e "$g/{file[1:]}" ] || echo {value} >"$g/{file[1:]}"'
        if file.startswith("?")
        else f'echo {value} >"$g/{file}" || exit 1'
        for file, value in settings
    ]


def below(controller: Controller, prior: str) -> str:
    """Return the path of our group for a process that was in `prior`."""
    return f"{'' if controller.version == 2 or prior == '/' else prior}/{group_name()}"


def as_json(controller: Controller) -> dict[str, Any]:
    return {
        "name": controller.name,
        "version": controller.version,
        "mounted": controller.mounted,
        "options": controller.options,
    }


def from_json(value: dict[str, Any]) -> Controller:
    return Controller(value["name"], value["version"], value["mounted"], value["options"])
