"""A system that runs already, as units of systemd: nothing is installed, stopped or removed. Faults apply to the unit's processes.

    class Etcd(RunningUnit):
        unit, port = "etcd.service", 2379

systemd starts again what is killed. So that a kill lasts as long as its fault, each host has a drop-in for the unit in /run for the time of the run: the unit is always started
again, and its start waits while a marker exists. Only the marker has to be removed for that, which the watchdog of faults does as well when the harness is gone.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ...errors import DeployError
from ...hosts.base import Host
from ...hosts.printed import understood, whole
from ..base import Dial
from .daemon import POLL_S, listens

DROP_IN = "90-tribulation.conf"
MOST_LINES = 20_000
"""Lines of the unit's journal that are kept."""
RESTART_MS = 100


class RunningUnit:
    """Implements `Service`. A subclass has `unit` and `port`; `logs` are further files to keep, by name.

    `keeps_data`: the system has data of earlier runs, so that this run uses keys of its own.
    """

    unit: str
    port: int
    logs: ClassVar[Mapping[str, str]] = {}
    capabilities: frozenset[str] = frozenset()
    keeps_data = True

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        self.options: Mapping[str, Any] = options or {}
        self._since: dict[str, str] = {}

    @property
    def name(self) -> str:
        return type(self).__name__.lower()

    def ready(self, host: Host) -> bool:
        """Whether it serves clients. By default: whether something listens on the port."""
        return listens(host, self.port)

    def leader(self, hosts: Sequence[Host], dial: Dial) -> str | None:
        return None

    def status(self, host: Host, dial: Dial) -> Mapping[str, Any] | None:
        return None

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
        place = self._place()
        self._as_root(host, ["mkdir", "-p", place.rpartition("/")[0]])
        self._as_root(host, ["cp", self._path(host, DROP_IN), place])
        self._as_root(host, ["systemctl", "daemon-reload"])
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

    def wait_ready(self, host: Host, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not self.ready(host):
            if time.monotonic() > deadline_s:
                raise DeployError(
                    f"{host.name}: unit {self.unit} does not serve port {self.port} after {timeout_s:g} s",
                    hint=f"journalctl -u {self.unit}",
                )
            time.sleep(POLL_S)

    def pid(self, host: Host) -> int | None:
        """The unit's main process."""
        found = self._shown(host, "MainPID")
        with understood(host.name, found, "a process's number"):
            return whole(found) or None

    def control(self, host: Host) -> Mapping[str, str]:
        return {"pid_file": self._path(host, "pid"), "marker": self._path(host, "stopped")}

    def stop(self, host: Host) -> None:
        """Nothing: it ran before."""

    def collect(self, host: Host) -> Mapping[str, bytes]:
        since = self._since.get(host.name)
        if since is None:
            return {}
        command = ["journalctl", "--unit", self.unit, "--since", f"@{since}", "--lines", str(MOST_LINES), "--no-pager"]
        journal = host.run([*host.sudo, *command, "--output", "short-precise"], check=False)
        return {
            "logs/journal.log": journal.stdout.encode(),
            **{f"logs/{name}": host.get(path) for name, path in self.logs.items()},
        }

    def uninstall(self, host: Host) -> None:
        """Remove what `install` put there. A unit that a fault kept down runs again."""
        if host.run(["test", "-e", self._place()], check=False).exit_code == 0:
            self._as_root(host, ["rm", "-f", self._path(host, "stopped"), self._place()])
            self._as_root(host, ["rmdir", "--ignore-fail-on-non-empty", self._place().rpartition("/")[0]])
            self._as_root(host, ["systemctl", "daemon-reload"])
            self.start(host, {})
        self._as_root(host, ["rm", "-rf", self._path(host)])

    def _drop_in(self, host: Host) -> str:
        marker, pid = (shlex.quote(self._path(host, name)).replace("%", "%%") for name in ("stopped", "pid"))
        return (
            "# Tribulation: for the time of a run. A kill lasts while its marker is there.\n"
            "[Unit]\nStartLimitIntervalSec=0\n"
            f"[Service]\nRestart=always\nRestartSec={RESTART_MS}ms\nTimeoutStartSec=infinity\n"
            f'ExecStartPre=+/bin/sh -c "while test -e {marker}; do sleep 0.1; done"\n'
            f'ExecStartPost=+/bin/sh -c "echo $$MAINPID > {pid}"\n'
        )

    def _shown(self, host: Host, name: str) -> str:
        return host.run(["systemctl", "show", "--property", name, "--value", "--", self.unit]).stdout.strip()

    def _place(self) -> str:
        return f"/run/systemd/system/{self.unit}.d/{DROP_IN}"

    def _path(self, host: Host, name: str = "") -> str:
        return f"{host.directory}/{self.name}/{name}".rstrip("/")

    @staticmethod
    def _as_root(host: Host, command: Sequence[str]) -> None:
        host.run([*host.sudo, *command])
