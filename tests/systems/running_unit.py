"""The register server as a unit that runs already, under a stand-in for systemd that each host has before the run attaches to it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from register_server import SERVER, client
from systemd_standin import JOURNALCTL, PLACE, SYSTEMCTL, SYSTEMD

from tribulation.harness.systems.adapter.marked import Marked
from tribulation.testing import Host, RunningUnit

__all__ = ["client", "service"]
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class RegisterUnit(RunningUnit):
    unit, port = "own.service", 10500

    def install(self, host: Host, cluster: Sequence[Host]) -> None:
        self._boot(host)
        super().install(host, cluster)

    def collect(self, host: Host) -> Mapping[str, bytes]:
        return super().collect(_with_programs(host))

    def _boot(self, host: Host) -> None:
        """Make what a machine has before a run."""
        here = _machine(host)
        if host.run(["test", "-e", f"{here}/MainPID"], check=False).exit_code == 0:
            return
        for name, text in (("bin/systemctl", SYSTEMCTL), ("bin/journalctl", JOURNALCTL)):
            host.put(text.encode(), f"{here}/{name}", mode=0o755)
        for name, text in (("systemd.py", SYSTEMD), ("server.py", SERVER)):
            host.put(text.encode(), f"{here}/{name}")
        words = [host.python, f"{here}/systemd.py", here, host.python, f"{here}/server.py", str(self.port), "fresh"]
        host.run(f"(setsid {shlex.join(words)} </dev/null >/dev/null 2>&1 &)")
        host.run(f"for i in $(seq 600); do test -s {here}/MainPID && exit 0; sleep 0.05; done; exit 1", timeout_s=40)

    def _shown(self, host: Host, name: str) -> str:
        return super()._shown(_with_programs(host), name)

    def _as_root(self, host: Host, command: Sequence[str], within_s: float = 20.0) -> None:
        super()._as_root(_with_programs(host), command, within_s)

    def _place(self, host: Host) -> str:
        return f"{_machine(host)}/{PLACE}"


def _machine(host: Host) -> str:
    return f"{host.directory}/machine"


def _with_programs(host: Host) -> Host:
    return Marked(host, "PATH", f"{_machine(host)}/bin:{SEARCH_PATH}")


service = RegisterUnit
