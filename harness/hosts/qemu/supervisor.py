"""The supervisor of a lab of emulated machines: `python -m tribulation.harness.hosts.qemu.supervisor LAB READY_FD`.

Requests, end and leases are those of the local hosts' supervisor (`local/supervisor/supervising.py`); its hosts are QEMU processes on a bridge in the
lab's own network namespace. It is process 1 of the lab's PID namespace too, so nothing outlives it: machines, switch and cable end with it,
however it is killed. One more request: `{"do": "plug"}` puts the cable from this machine, which a process outside has to make, into the switch.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..local.supervisor.machinery import MachineError, command, ip_batch
from ..local.supervisor.supervising import Supervisor, main
from ..programs import end_of
from .plan import BRIDGE, UPLINK, Boot, Machine, machines, qemu_command, switch_lines

_END_S = 20.0
_ALIVE_S = 0.5
"""A QEMU that rejects its command line, or lacks memory, has reported it by then."""


class EmulatedHost:
    """One machine: powered on while its QEMU runs."""

    def __init__(self, machine: Machine, lab: Path, boot: Boot) -> None:
        self.machine = machine
        self.boots = 0
        self._lab, self._boot = lab, boot
        self._qemu: subprocess.Popen[bytes] | None = None
        self._stopped = False

    @property
    def on(self) -> bool:
        return self._qemu is not None and self._qemu.poll() is None

    @property
    def frozen(self) -> bool:
        return self.on and self._stopped

    @property
    def addresses(self) -> Mapping[str, str]:
        return {"address": self.machine.address}

    def spawn(self, unattended: bool) -> None:
        with (self._lab / "hosts" / self.machine.name / "qemu.log").open("ab") as log:
            self._qemu = subprocess.Popen(
                qemu_command(self.machine, self._lab, self._boot, unattended),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._stopped = False
        self.boots += 1

    def freeze(self) -> None:
        """Stop its virtual processor with all that runs on it, its kernel included; for the machine, no time passes."""
        if self._qemu is None or not self.on:
            raise MachineError(f"{self.machine.name} is powered off, so it cannot be frozen")
        self._qemu.send_signal(signal.SIGSTOP)
        self._stopped = True

    def thaw(self) -> None:
        if self._qemu is not None and self.on:
            self._qemu.send_signal(signal.SIGCONT)
        self._stopped = False

    def kill(self) -> None:
        if self._qemu is not None:
            self._qemu.kill()
            self._qemu.wait(timeout=_END_S)
        self._qemu, self._stopped = None, False

    def last_words(self) -> str:
        return end_of(self._lab / "hosts" / self.machine.name / "qemu.log", 500) or "it printed nothing"


class QemuSupervisor(Supervisor[EmulatedHost]):
    def make_hosts(self, settings: Mapping[str, Any]) -> Mapping[str, EmulatedHost]:
        boot = Boot(Path(settings["kernel"]), settings["accelerator"])
        return {m.name: EmulatedHost(m, self._lab, boot) for m in machines(self._nodes, settings["subnet"])}

    def build_surroundings(self) -> None:
        ip_batch(switch_lines([host.machine.tap for host in self._hosts.values()]))

    def boot(self, hosts: Sequence[EmulatedHost], unattended: bool = False) -> None:
        """Power on; return when QEMU runs; the machines need some more time to boot. Running ones are not changed."""
        starting = [host for host in hosts if not host.on]
        for host in starting:
            host.spawn(unattended)
        if starting:
            time.sleep(_ALIVE_S)
        for host in starting:
            if not host.on:
                raise MachineError(f"QEMU of {host.machine.name} ended at once: {host.last_words()}")

    def power_off(self, hosts: Sequence[EmulatedHost]) -> None:
        """Cut the power. A machine whose kernel ends at once sends no FIN. Unwritten data is lost with its memory."""
        for host in hosts:
            host.kill()

    def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        if request.get("do") != "plug":
            return super().answer(request)
        command(["ip", "link", "set", UPLINK, "master", BRIDGE, "up"])
        return {"pid": os.getpid()}


if __name__ == "__main__":
    sys.exit(main(QemuSupervisor))
