"""The lab's network except the hosts' own ends: a bridge for each subnet, and the routes between them, in the supervisor's own network namespace."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..layout.layout import Machine, Subnet, neighbours
from .machinery import ip_batch


def has_ipv6() -> bool:
    return os.path.isdir("/proc/sys/net/ipv6")


def build_switch(machines: Sequence[Machine], subnets: Sequence[Subnet]) -> None:
    """Make the bridges for the hosts' cables, with the controller's address in each. The MAC is fixed; otherwise it would change with the ports.

    Packets are routed between several bridges; broadcasts are not.
    """
    ip_batch(["link set lo up"])
    for subnet in subnets:
        bridge = subnet.bridge
        ip_batch(
            [
                f"link add {bridge} address {subnet.gateway_mac} type bridge mcast_snooping 0 forward_delay 0",
                f"link set {bridge} up",
                f"addr add {subnet.gateway}/24 brd + dev {bridge}",
            ]
        )
        if has_ipv6():
            Path(f"/proc/sys/net/ipv6/conf/{bridge}/disable_ipv6").write_text("0\n")
            ip_batch([f"addr add {subnet.gateway6}/64 dev {bridge} nodad"])
        if known := neighbours(machines, subnet, has_ipv6()):
            ip_batch(known)
    if len(subnets) > 1:
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1\n")
        if has_ipv6():
            Path("/proc/sys/net/ipv6/conf/all/forwarding").write_text("1\n")
