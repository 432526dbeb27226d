"""Packets that are sent twice: one table per family, in which nft's `dup` copies a share of the packets to an address.

The sender does it, because a queue at the receiver gives one verdict per packet. A copy is not copied again. Packets of the harness's
own connection are not affected.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from . import nft

TABLE = "tribulation_copies"
FAMILIES = {"ip": 4, "ip6": 6}
ONE_MILLION = 1_000_000


def apply(chances: Mapping[str, int], control: list[Any]) -> None:
    """Set the shares, parts per million by address; exactly these are then active."""
    text = rules(chances, control)
    if text:
        nft.load(text, f"the tables {TABLE}")
    else:
        remove()


def rules(chances: Mapping[str, int], control: list[Any]) -> str:
    plain = {address.partition("%")[0]: ppm for address, ppm in chances.items()}
    lines: list[str] = []
    for family, version in FAMILIES.items():
        chosen = {a: ppm for a, ppm in sorted(plain.items()) if ppm and ipaddress.ip_address(a).version == version}
        if plain:
            lines += [f"add table {family} {TABLE}", f"delete table {family} {TABLE}"]
        if not chosen:
            continue
        lines += [
            f"table {family} {TABLE} {{",
            "  chain leaving {",
            "    type filter hook output priority 0; policy accept;",
        ]
        address = ipaddress.ip_address(control[0].partition("%")[0])
        if address.version == version:
            lines.append(f"    {family} daddr {address} tcp sport {int(control[1])} accept")
        lines += [
            f"    {family} daddr {each} numgen random mod {ONE_MILLION} < {ppm} dup to {each}"
            for each, ppm in chosen.items()
        ]
        lines += ["  }", "}"]
    return "\n".join([*lines, ""]) if lines else ""


def present() -> list[str]:
    found = nft.tables()
    return [family for family in FAMILIES if f"{family} {TABLE}" in found]


def remove() -> bool:
    """Delete our tables, and return whether there were any."""
    found = present()
    if found:
        nft.load("".join(f"delete table {family} {TABLE}\n" for family in found), f"the tables {TABLE}")
    return bool(found)


def possible() -> bool:
    """Return whether nft accepts such a rule."""
    probe = "".join(
        f"table {family} {TABLE}_probe {{\nchain c {{\ntype filter hook output priority 0;\n{family} daddr {to} numgen random mod 2 < 1 dup to {to}\n}}\n}}\n"
        for family, to in (("ip", "192.0.2.1"), ("ip6", "2001:db8::1"))
    )
    return nft.accepts(probe)
