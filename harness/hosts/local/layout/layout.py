"""Names and addresses of a lab: pure arithmetic, shared by the supervisor and the provider.

    10.77.0.1 … 99   fd77::1 … 99   n1 … n99    the hosts
    10.77.0.200      fd77::200      clients     where clients dial from
    10.77.0.254      fd77::254      controller  on the bridge itself; network faults never cut it

A lab of regions has a subnet and a bridge for each: those of the second region are 10.77.2.0/24, fd77:0:0:2::/64 and `br2`, and n4 there is
10.77.2.4. The clients stay in subnet 0. The controller has an address in each subnet (254), which is its gateway: packets are routed where the
bridges are.

Every lab has a switch namespace of its own, so labs may use equal addresses.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ....errors import CampaignError
from ....wan import Regions

CLIENTS = "clients"
SSH_PORT = 22
MAX_NODES = 99
DESCRIPTION = "lab.json"
ALIVE = "alive"
"""The file in a lab's directory that its supervisor keeps locked."""
USERS = "users"
"""The file that every process that uses the lab keeps locked, together with the others."""
KEPT = "kept"
"""Marker file: the lab stays up while no command uses it."""
GROUPS = "groups"
"""Control groups that its hosts may have made, a line each: the PID namespace that the group is named after, and its path."""
DIRECTORY = "/srv/tribulation"
"""Where all our files are on a local host: on its own disk."""
HOME = "/srv/home"
_CONTROLLER_NUMBER, _CLIENTS_NUMBER = 254, 200


@dataclass(frozen=True, slots=True)
class Subnet:
    """One bridge, and the machines on it. Number 0 has no region: it is the whole of a lab without regions, and the clients' subnet in any other."""

    number: int = 0
    region: str | None = None

    @property
    def bridge(self) -> str:
        return f"br{self.number}"

    @property
    def network(self) -> str:
        return f"10.77.{self.number}.0/24"

    @property
    def network6(self) -> str:
        return f"{self.address6(0)}/64".replace("::0/", "::/")

    @property
    def gateway(self) -> str:
        return self.address(_CONTROLLER_NUMBER)

    @property
    def gateway6(self) -> str:
        return self.address6(_CONTROLLER_NUMBER)

    @property
    def gateway_mac(self) -> str:
        return self.mac(_CONTROLLER_NUMBER)

    def address(self, number: int) -> str:
        return f"10.77.{self.number}.{number}"

    def address6(self, number: int) -> str:
        return f"fd77:0:0:{self.number}::{number}" if self.number else f"fd77::{number}"

    def mac(self, number: int) -> str:
        return f"02:77:00:00:{self.number:02x}:{number:02x}"


@dataclass(frozen=True, slots=True)
class Machine:
    """One host of a lab. `link` is the end of its cable at the switch; the other end is its `eth0`."""

    name: str
    address: str
    address6: str
    mac: str
    link: str
    subnet: Subnet = Subnet()


def subnets(regions: Regions | None = None) -> tuple[Subnet, ...]:
    return (Subnet(), *(Subnet(number, region) for number, region in enumerate(regions.sizes if regions else (), 1)))


def machines(nodes: int, regions: Regions | None = None) -> tuple[Machine, ...]:
    """Return the machines `n1 … n<nodes>` and, last, the clients' place."""
    common, *others = subnets(regions)
    by_region = {subnet.region: subnet for subnet in others}
    names = [f"n{i}" for i in range(1, nodes + 1)]
    homes = [by_region[regions.of(name)] if regions else common for name in names]
    hosts = (_machine(name, number, home) for number, (name, home) in enumerate(zip(names, homes, strict=True), 1))
    return (*hosts, _machine(CLIENTS, _CLIENTS_NUMBER, common))


def neighbours(every: Sequence[Machine], own: Machine | Subnet, ipv6: bool) -> list[str]:
    """The `ip` commands that give a host, or the switch on a subnet, the link address of every other place there."""
    subnet = own if isinstance(own, Subnet) else own.subnet
    device = subnet.bridge if isinstance(own, Subnet) else "eth0"
    others = [(m.address, m.address6, m.mac) for m in every if m != own and m.subnet == subnet]
    if isinstance(own, Machine):
        others.append((subnet.gateway, subnet.gateway6, subnet.gateway_mac))
    return [
        f"neigh replace {address} lladdr {mac} dev {device} nud permanent"
        for address4, address6, mac in others
        for address in ((address4, address6) if ipv6 else (address4,))
    ]


def routes(own: Machine, regions: Regions | None, ipv6: bool) -> list[str]:
    """The `ip` commands that give a host the routes to other subnets; over IPv4 every host has a default route already."""
    return [f"route add ::/0 via {own.subnet.gateway6} dev eth0"] if regions and ipv6 else []


def check_names(name: str, nodes: int, regions: Regions | None = None) -> None:
    """Refuse a lab name that is not a plain file name, and a number of hosts that the address plan cannot hold."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise CampaignError(
            f"lab name {name!r} is not usable", hint="use 1 to 64 of A-Z a-z 0-9 . _ -, starting with a letter or digit"
        )
    if not 1 <= nodes <= MAX_NODES:
        raise CampaignError(f"a lab of {nodes} hosts is not possible", hint=f"ask for 1 to {MAX_NODES} hosts")
    if regions is not None and regions.nodes != nodes:
        raise CampaignError(
            f"regions of {regions.nodes} hosts together do not make a lab of {nodes}", hint="let the numbers agree"
        )


def _machine(name: str, number: int, home: Subnet) -> Machine:
    return Machine(name, home.address(number), home.address6(number), home.mac(number), f"v{number}", home)
