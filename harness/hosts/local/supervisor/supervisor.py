"""The supervisor of a lab of local hosts: `python -m tribulation.harness.hosts.local.supervisor.supervisor LAB READY_FD` (requests: see `supervising.py`)."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ....wan import Regions
from ..layout.layout import DIRECTORY, Machine, machines, neighbours, routes, subnets
from . import between
from .machinery import DROPPED_CAPABILITIES, Host, boot, build_view, power_off, socket_in
from .supervising import Supervisor, main
from .switch import build_switch, has_ipv6


class LocalSupervisor(Supervisor[Host]):
    """Supervises hosts made of namespaces."""

    def make_hosts(self, settings: Mapping[str, Any]) -> Mapping[str, Host]:
        environment = {
            "LAB": str(self._lab),
            "BASE": str(self._lab.parent),
            "DROPPED": DROPPED_CAPABILITIES,
            "SSHD": settings["sshd"],
            "DIRECTORY": DIRECTORY,
        }
        self._regions = Regions.from_json(settings["regions"]) if settings["regions"] else None
        self._between = between.Between({})
        every = machines(self._nodes, self._regions)
        return {m.name: Host(m, self._lab, environment, self._network_of(m, every)) for m in every}

    def build_surroundings(self) -> None:
        every = subnets(self._regions)
        build_switch([host.machine for host in self._hosts.values()], every)
        self._between = between.build(between.ways_between(every, self._regions), has_ipv6())
        build_view(self._lab.parent, self._lab)

    def build(self) -> socket.socket:
        listener = super().build()
        between.await_delays(self._between)
        return listener

    def further_fields(self) -> Mapping[str, Any]:
        return {"between": dict(self._between.means)}

    def _network_of(self, machine: Machine, every: Sequence[Machine]) -> list[str]:
        return [*routes(machine, self._regions, has_ipv6()), *neighbours(every, machine, has_ipv6())]

    def boot(self, hosts: Sequence[Host], unattended: bool = False) -> None:
        boot(hosts, unattended)

    def power_off(self, hosts: Sequence[Host]) -> None:
        power_off(hosts)

    def socket_in(self, place: str | None, family: int, kind: int) -> socket.socket:
        return socket_in(None if place is None else self.chosen([place])[0].network, family, kind)


if __name__ == "__main__":
    sys.exit(main(LocalSupervisor))
