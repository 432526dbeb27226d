"""Packets that are sent twice: a table a family, in which nft's `dup` sends a copy of a part of what leaves for an address.

It is done by the sender, since a queue at the receiver gives one verdict a packet. A copy does not meet the rule again. What leaves for the harness's
own connection is let be.
"""

from __future__ import annotations

import ipaddress
import subprocess
from collections.abc import Mapping
from typing import Any

TABLE = "tribulation_copies"
FAMILIES = {"ip": 4, "ip6": 6}
ONE_MILLION = 1_000_000


def apply(chances: Mapping[str, int], control: list[Any]) -> None:
    """`chances` maps addresses to parts per million; exactly these hold from now on."""
    text = rules(chances, control)
    if text:
        _nft(text)
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
    try:
        listed = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, timeout=10)
    except FileNotFoundError:
        return []
    return [family for family in FAMILIES if f"table {family} {TABLE}" in listed.stdout.splitlines()]


def remove() -> bool:
    """Delete our tables, and say whether there were any."""
    found = present()
    if found:
        _nft("".join(f"delete table {family} {TABLE}\n" for family in found))
    return bool(found)


def possible() -> bool:
    """Whether such a rule is taken, found out by one in a table that goes at once."""
    probe = "".join(
        f"table {family} {TABLE}_probe {{\nchain c {{\ntype filter hook output priority 0;\n{family} daddr {to} numgen random mod 2 < 1 dup to {to}\n}}\n}}\n"
        for family, to in (("ip", "192.0.2.1"), ("ip6", "2001:db8::1"))
    )
    try:
        return (
            subprocess.run(["nft", "-c", "-f", "-"], input=probe, capture_output=True, text=True, timeout=10).returncode
            == 0
        )
    except FileNotFoundError:
        return False


def _nft(text: str) -> None:
    done = subprocess.run(["nft", "-f", "-"], input=text, capture_output=True, text=True, timeout=10)
    if done.returncode != 0:
        raise RuntimeError(f"nft refused the tables {TABLE}: {done.stderr.strip()}")
