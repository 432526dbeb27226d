"""Names and addresses of a lab: pure arithmetic, shared by the supervisor and the provider.

    10.77.0.1 … 99   fd77::1 … 99   n1 … n99    the hosts
    10.77.0.200      fd77::200      clients     where clients dial from
    10.77.0.254      fd77::254      controller  on the bridge itself; network faults never cut it

Every lab has a switch namespace of its own, so labs may use equal addresses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...errors import CampaignError

CONTROLLER = "10.77.0.254"
CONTROLLER6 = "fd77::254"
CONTROLLER_MAC = "02:77:00:00:00:fe"
BRIDGE = "br0"
CLIENTS = "clients"
SSH_PORT = 22
MAX_NODES = 99
ALIVE = "alive"
"""The file in a lab's directory that its supervisor keeps locked."""
DIRECTORY = "/srv/tribulation"
"""Where everything of ours lives on a local host: on its own disk."""
HOME = "/srv/home"


@dataclass(frozen=True, slots=True)
class Machine:
    """One host of a lab. `link` is the name of its cable's end at the switch; the other end is its `eth0`."""

    name: str
    address: str
    address6: str
    mac: str
    link: str


def machines(nodes: int) -> tuple[Machine, ...]:
    """`n1 … n<nodes>` and, last, the clients' place."""
    return (*(_machine(f"n{i}", i) for i in range(1, nodes + 1)), _machine(CLIENTS, 200))


def neighbours(nodes: int, own: Machine | None, ipv6: bool) -> list[str]:
    """The `ip` commands that tell a host (`own`), or the switch (None), the link address of every other place in the lab."""
    device = BRIDGE if own is None else "eth0"
    others = [(m.address, m.address6, m.mac) for m in machines(nodes) if m != own]
    if own is not None:
        others.append((CONTROLLER, CONTROLLER6, CONTROLLER_MAC))
    return [
        f"neigh replace {address} lladdr {mac} dev {device} nud permanent"
        for address4, address6, mac in others
        for address in ((address4, address6) if ipv6 else (address4,))
    ]


def check_names(name: str, nodes: int) -> None:
    """Refuse a lab name that is no plain file name, and a number of hosts that the address plan has no room for."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise CampaignError(
            f"lab name {name!r} is not usable", hint="use 1 to 64 of A-Z a-z 0-9 . _ -, starting with a letter or digit"
        )
    if not 1 <= nodes <= MAX_NODES:
        raise CampaignError(f"a lab of {nodes} hosts is not possible", hint=f"ask for 1 to {MAX_NODES} hosts")


def _machine(name: str, number: int) -> Machine:
    return Machine(name, f"10.77.0.{number}", f"fd77::{number}", f"02:77:00:00:00:{number:02x}", f"v{number}")
