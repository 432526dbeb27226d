"""Cuts as a separate table, `inet tribulation`: packets are dropped at the receiver, and nothing else on the host is changed.

Dropping at the receiver looks to the sender like a real network that loses packets; drops at the sender leak errors (EPERM) that no
network gives. The connection that controls the host (its SSH port together with the controller's address) passes. So does IPv6 neighbour
discovery: it is like ARP, and dropping a peer's answers would turn a one-way cut into a cut of both ways.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

from . import nft

TABLE = "inet tribulation"


def apply(drop_from: Iterable[str], drop_to: Iterable[str], control: list[Any]) -> None:
    """Make the table drop exactly this, in one transaction. `drop_to` is for receivers without our firewall table."""
    sources, sinks = sorted(drop_from), sorted(drop_to)
    if not sources and not sinks:
        remove()
        return
    nft.load(rules(sources, sinks, control), f"the table {TABLE}")


def rules(sources: list[str], sinks: list[str], control: list[Any]) -> str:
    address, port = ipaddress.ip_address(control[0].partition("%")[0]), int(control[1])
    family = "ip6" if address.version == 6 else "ip"
    discovery = "icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept"
    lines = [
        f"add table {TABLE}",
        f"delete table {TABLE}",
        f"table {TABLE} {{",
        *_set("from4", "ipv4_addr", 4, sources),
        *_set("from6", "ipv6_addr", 6, sources),
        *_set("to4", "ipv4_addr", 4, sinks),
        *_set("to6", "ipv6_addr", 6, sinks),
        "  chain arriving {",
        "    type filter hook input priority -300; policy accept;",
        f"    {family} saddr {address} tcp dport {port} accept",
        f"    {discovery}",
        "    ip saddr @from4 counter drop",
        "    ip6 saddr @from6 counter drop",
        "  }",
    ]
    if sinks:
        lines += [
            "  chain leaving {",
            "    type filter hook output priority -300; policy accept;",
            f"    {family} daddr {address} tcp sport {port} accept",
            f"    {discovery}",
            "    ip daddr @to4 counter drop",
            "    ip6 daddr @to6 counter drop",
            "  }",
        ]
    return "\n".join([*lines, "}", ""])


def _set(name: str, kind: str, version: int, addresses: list[str]) -> list[str]:
    plain = sorted({address.partition("%")[0] for address in addresses})
    chosen = [address for address in plain if ipaddress.ip_address(address).version == version]
    elements = f" elements = {{ {', '.join(chosen)} }};" if chosen else ""
    return [f"  set {name} {{ type {kind};{elements} }}"]


def present() -> bool:
    """Return whether our table exists; False also on a host without nft, where it cannot exist."""
    return TABLE in nft.tables()


def remove() -> bool:
    """Delete our table, and return whether it existed."""
    if not present():
        return False
    nft.load(f"add table {TABLE}\ndelete table {TABLE}\n", f"the table {TABLE}")
    return True
