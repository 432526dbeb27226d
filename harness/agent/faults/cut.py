"""Packets that do not arrive: `{"from": [address, …], "to": [address, …]}`, dropped by the firewall table (`firewall`)."""

from __future__ import annotations

from typing import Any

from ..network import firewall

Json = dict[str, Any]
NAME = "cut"
SIDES = ("from", "to")


def claim(before: Json, wanted: Json, config: Json) -> Json:
    both = {side: sorted({*before.get(side, ()), *wanted.get(side, ())}) for side in SIDES}
    return both if any(both.values()) else {}


def change(claimed: Json, wanted: Json, config: Json) -> Json:
    if claimed:
        firewall.apply(wanted.get("from", ()), wanted.get("to", ()), config["control"])
    return dict(wanted)


def undo(force: Json) -> list[str]:
    """Remove the table, whichever process made it, so that it is removed even if the record of it was lost."""
    if not firewall.remove():
        return []
    cut = [f"{side} {address}" for side in SIDES for address in force.get(side, ())]
    return [f"cut: table {firewall.TABLE} ({', '.join(cut) or 'unknown to this agent'})"]
