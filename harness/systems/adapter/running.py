"""A system that runs already, as units of systemd or in control groups: nothing is installed, stopped or removed. Faults apply to its processes.

    class Etcd(RunningUnit):
        unit, port = "etcd.service", 2379

systemd starts again what is killed. So that a kill lasts as long as its fault, each host has a drop-in for the unit in /run for the time of the run:
the unit is always started again, and its start waits while a marker exists. Only the marker has to be removed for that, which the watchdog of faults
does as well when the harness is gone.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from ...errors import DeployError, HostError
from ...hosts.base import Host
from ...hosts.printed import understood, whole
from ...trouble import undo_all
from ..base import Dial
from .daemon import POLL_S, listens

DROP_IN = "90-tribulation.conf"
MOST_LINES = 20_000
"""Lines of the unit's journal that are kept."""
RESTART_MS = 100
RELOAD_S = 60.0
"""systemd reads all units again: on a busy emulated machine that takes longer than other commands may."""


class _Running:
    """Base of both classes. A subclass has `port`; `logs` are files to keep, by name.

    `keeps_data`: the system has data of earlier runs, so that this run uses keys of its own.
    """

    port: int
    logs: ClassVar[Mapping[str, str]] = {}
    capabilities: frozenset[str] = frozenset()
    keeps_data = True

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        self.options: Mapping[str, Any] = options or {}

    @property
    def name(self) -> str:
        return type(self).__name__.lower()

    def ready(self, host: Host) -> bool:
        """Return whether it serves clients. By default: whether something listens on the port."""
        return listens(host, self.port)

    def leader(self, hosts: Sequence[Host], dial: Dial) -> str | None:
        return None

    def status(self, host: Host, dial: Dial) -> Mapping[str, Any] | None:
        return None

    def wait_ready(self, host: Host, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not self.ready(host):
            if time.monotonic() > deadline_s:
                raise DeployError(
                    f"{host.name}: {self.name} does not serve port {self.port} after {timeout_s:g} s",
                    hint="look at its log on the host",
                )
            time.sleep(POLL_S)

    def stop(self, host: Host) -> None:
        """Nothing: it ran before."""

    def collect(self, host: Host) -> Mapping[str, bytes]:
        return {f"logs/{name}": host.get(path) for name, path in self.logs.items()}

    @staticmethod
    def _as_root(host: Host, command: Sequence[str], within_s: float = 20.0) -> None:
        host.run([*host.sudo, *command], timeout_s=within_s)


class RunningUnit(_Running):
    """Implements `Service` for a unit of systemd. A subclass has `unit` and `port`; `logs` are files to keep in addition to the unit's journal."""

    unit: str

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(options)
        self._since: dict[str, str] = {}

    def install(self, host: Host, cluster: Sequence[Host]) -> None:
        """Make kills last. Raises `DeployError` where the unit does not run."""
        pid = self.pid(host)
        if pid is None:
            raise DeployError(
                f"{host.name}: unit {self.unit} does not run", hint=f"systemctl start {self.unit}; then run it again"
            )
        self._since.setdefault(host.name, host.run(["date", "+%s"]).stdout.strip())
        host.put(self._drop_in(host).encode(), self._path(host, DROP_IN))
        host.put(f"{pid}\n".encode(), self._path(host, "pid"))
        place = self._place(host)
        self._as_root(host, ["mkdir", "-p", place.rpartition("/")[0]])
        self._as_root(host, ["cp", self._path(host, DROP_IN), place])
        self._reload(host)
        # Some types of units refuse it, and are not loaded then.
        if (restart := self._shown(host, "Restart")) != "always":
            raise DeployError(
                f"{host.name}: unit {self.unit} has Restart={restart} with our drop-in {place}: a kill would not end",
                hint=f"systemd-analyze verify {self.unit}",
            )

    def start(self, host: Host, environment: Mapping[str, str]) -> None:
        if self.pid(host) is None:
            self._as_root(host, ["rm", "-f", self._path(host, "stopped")])
            self._as_root(host, ["systemctl", "start", "--no-block", self.unit])

    def pid(self, host: Host) -> int | None:
        """The unit's main process."""
        found = self._shown(host, "MainPID")
        with understood(host.name, found, "a process's number"):
            return whole(found) or None

    def control(self, host: Host) -> Mapping[str, str]:
        return {"pid_file": self._path(host, "pid"), "marker": self._path(host, "stopped")}

    def collect(self, host: Host) -> Mapping[str, bytes]:
        since = self._since.get(host.name)
        if since is None:
            return {}
        command = ["journalctl", "--unit", self.unit, "--since", f"@{since}", "--lines", str(MOST_LINES), "--no-pager"]
        journal = host.run([*host.sudo, *command, "--output", "short-precise"], check=False)
        return {"logs/journal.log": journal.stdout.encode(), **super().collect(host)}

    def uninstall(self, host: Host) -> None:
        """Remove what `install` put there. A unit that a fault kept down runs again. Raises `DeployError` with all that could not be undone."""
        place = self._place(host)
        steps: list[Callable[[], object]] = []
        if host.run(["test", "-e", place], check=False).exit_code == 0:
            steps = [
                lambda: self._as_root(host, ["rm", "-f", self._path(host, "stopped"), place]),
                lambda: self._as_root(host, ["rmdir", "--ignore-fail-on-non-empty", place.rpartition("/")[0]]),
                lambda: self._reload(host),
                lambda: self.start(host, {}),
            ]
        undo_all(host.name, *steps, lambda: self._as_root(host, ["rm", "-rf", self._path(host)]))

    def _reload(self, host: Host) -> None:
        try:
            self._as_root(host, ["systemctl", "daemon-reload"], RELOAD_S)
        except HostError as error:
            raise DeployError(
                error.message, f"on {host.name}: systemctl daemon-reload; systemctl start {self.unit}"
            ) from error

    def _drop_in(self, host: Host) -> str:
        names = ("stopped", "pid", "pid.new")
        marker, pid, new = (shlex.quote(self._path(host, name)).replace("%", "%%") for name in names)
        return (
            "# Tribulation: for the time of a run. A kill lasts while its marker is there.\n"
            "[Unit]\nStartLimitIntervalSec=0\n"
            f"[Service]\nRestart=always\nRestartSec={RESTART_MS}ms\nTimeoutStartSec=infinity\n"
            f'ExecStartPre=+/bin/sh -c "while test -e {marker}; do sleep 0.1; done"\n'
            f'ExecStartPost=+/bin/sh -c "echo $$MAINPID > {new} && mv {new} {pid}"\n'
        )

    def _shown(self, host: Host, name: str) -> str:
        return host.run(["systemctl", "show", "--property", name, "--value", "--", self.unit]).stdout.strip()

    def _place(self, host: Host) -> str:
        return f"/run/systemd/system/{self.unit}.d/{DROP_IN}"

    def _path(self, host: Host, name: str = "") -> str:
        return f"{host.directory}/{self.name}/{name}".rstrip("/")


class RunningCgroup(_Running):
    """Implements `Service` for the processes of a control group, such as that of a container: `cgroup` is its path below `/sys/fs/cgroup`. The root
    of its processes is the oldest one.

    `restart` is a command that starts the system again after a kill, in the same group. Without the harness the watchdog starts the process as it
    was, outside of the group.
    """

    cgroup: str
    restart: ClassVar[Sequence[str]] = ()

    def install(self, host: Host, cluster: Sequence[Host]) -> None:
        """Check that the group has a process. Raises `DeployError` if it has none."""
        if self.pid(host) is None:
            raise DeployError(
                f"{host.name}: control group {self.cgroup} has no process",
                hint="cgroup is a path below /sys/fs/cgroup, as in /proc/PID/cgroup of its process",
            )

    def start(self, host: Host, environment: Mapping[str, str]) -> None:
        if self.pid(host) is None:
            if not self.restart:
                raise DeployError(f"{host.name}: {self.name} does not run, and its class has no `restart`")
            self._as_root(host, self.restart)

    def pid(self, host: Host) -> int | None:
        found = host.run([host.python, "-I", "-S", "-c", _OLDEST, self.cgroup.strip("/")]).stdout
        with understood(host.name, found, "a process's number"):
            return whole(found) or None

    def uninstall(self, host: Host) -> None:
        if self.restart:
            self.start(host, {})


_OLDEST = """
import glob, sys

def born(pid):
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            fields = stat.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in b"ZX" else int(fields[19])

pids = set()
for place in ("/sys/fs/cgroup/", "/sys/fs/cgroup/*/"):
    for path in glob.glob(place + glob.escape(sys.argv[1]) + "/cgroup.procs"):
        with open(path) as file:
            pids.update(map(int, file.read().split()))
living = [(start, pid) for pid in pids if (start := born(pid)) is not None]
print(min(living)[1] if living else 0)
"""
