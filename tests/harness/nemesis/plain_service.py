"""A system of one process a host that does nothing but live and look at the clock: what faults on processes and clocks are tried on.

`Plain` is known by its pid alone; `Supervised` has a supervisor with a marker, as the reference node does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tribulation.harness.hosts.base import Host
from tribulation.harness.systems.base import Dial

PROGRAM = "import time\nwhile True: time.time(), time.sleep(0.05)\n"
SUPERVISOR = """
while [ ! -e over ]; do
  if [ -e stopped ]; then sleep 0.02; continue; fi
  "$0" program.py & echo $! >pid.new; mv pid.new pid
  # The process that made the marker meanwhile found no process to kill.
  if [ -e stopped ]; then kill -9 $!; fi
  wait
done
"""


class Plain:
    name = "plain"
    capabilities = frozenset({"clock"})
    port = 10000

    def install(self, host: Host, cluster: Sequence[Host]) -> None:
        host.put(PROGRAM.encode(), f"{host.directory}/plain/program.py")

    def start(self, host: Host, environment: Mapping[str, str]) -> None:
        if self.pid(host) is None:
            self._launch(host, environment, f"{host.python} program.py >log 2>&1 & echo $! >pid")

    def _launch(self, host: Host, environment: Mapping[str, str], command: str) -> None:
        variables = " ".join(f"{name}={value}" for name, value in environment.items())
        host.run(f"cd {host.directory}/plain && rm -f over stopped && (env {variables} setsid {command})")

    def wait_ready(self, host: Host, timeout_s: float) -> None:
        host.run(
            f"for i in $(seq 200); do kill -0 $(cat {host.directory}/plain/pid) && exit 0; sleep 0.02; done; exit 1"
        )

    def pid(self, host: Host) -> int | None:
        # By its command line too: after a boot, a number of before may be anybody's, even that of the shell that looks.
        looked = f"cd {host.directory}/plain && grep -q '[p]rogram.py' /proc/$(cat pid)/cmdline && kill -0 $(cat pid) && cat pid"
        found = host.run(looked, check=False)
        return int(found.stdout) if found.exit_code == 0 else None

    def stop(self, host: Host) -> None:
        host.run(f"cd {host.directory}/plain && touch over && kill -9 $(cat pid)", check=False)

    def collect(self, host: Host) -> Mapping[str, bytes]:
        return {}

    def uninstall(self, host: Host) -> None:
        host.run(["rm", "-rf", f"{host.directory}/plain"])

    def leader(self, hosts: Sequence[Host], dial: Dial) -> str | None:
        return None

    def status(self, host: Host, dial: Dial) -> Mapping[str, Any] | None:
        return None


class Supervised(Plain):
    def start(self, host: Host, environment: Mapping[str, str]) -> None:
        if self.pid(host) is None:
            host.put(SUPERVISOR.encode(), f"{host.directory}/plain/supervisor.sh")
            self._launch(host, environment, f"sh -c '. ./supervisor.sh' {host.python} >log 2>&1 &")

    def control(self, host: Host) -> Mapping[str, Any]:
        at = f"{host.directory}/plain"
        return {"pid_file": f"{at}/pid", "marker": f"{at}/stopped", "contains": "program.py"}
