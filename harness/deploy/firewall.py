"""The rules that let a cluster through a host's own firewall, derived from `nft -j list ruleset`. Pure.

A separate table cannot do this: a packet that one base chain accepts may still be dropped by a later one. So our rules are inserted at the top of each input chain that rejects packets, each
with a comment that identifies it. They are not written to the firewall's own files: after a reboot, or when the firewall is loaded again, they are
gone, and `tri deploy up` adds them again.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..hosts.printed import parsed_json

MARK = "tribulation: "
_OURS = "tribulation"
_FAMILIES = {"ip": (4,), "ip6": (6,), "inet": (4, 6)}


@dataclass(frozen=True, slots=True, order=True)
class Opening:
    """Traffic to accept: from this numeric address to this port of `tcp` or `udp`."""

    source: str
    kind: str
    port: int

    @property
    def comment(self) -> str:
        return f"{MARK}{self.source} {self.kind} {self.port}"


def opening_commands(ruleset: str, openings: Sequence[Opening]) -> list[str]:
    """Lines for `nft -f -` that add what is missing. Empty if nothing is rejected, or everything is open already."""
    rules = _rules(ruleset)
    present = {(_place(rule), rule.get("comment")) for rule in rules}
    commands = []
    for chain in _refusing(ruleset, rules):
        for opening in sorted(openings):
            version = ipaddress.ip_address(opening.source).version
            if version in _FAMILIES[chain[0]] and (chain, opening.comment) not in present:
                match = f"{'ip' if version == 4 else 'ip6'} saddr {opening.source} {opening.kind} dport {opening.port}"
                commands.append(f'insert rule {" ".join(chain)} {match} accept comment "{opening.comment}"')
    return commands


def understand(ruleset: str) -> None:
    """Raise what the functions above would raise, if this is not a ruleset."""
    opening_commands(ruleset, ())
    closing_commands(ruleset)


def closing_commands(ruleset: str) -> list[str]:
    """Lines for `nft -f -` that remove every rule of ours."""
    return [
        f"delete rule {' '.join(_place(rule))} handle {rule['handle']}"
        for rule in _rules(ruleset)
        if str(rule.get("comment", "")).startswith(MARK)
    ]


def _refusing(ruleset: str, rules: Sequence[Any]) -> Iterator[tuple[str, str, str]]:
    """Base chains of the input that drop by their policy, or in which a rule may reject packets. Chains of faults are ignored: rejecting is their purpose."""
    for item in _items(ruleset, "chain"):
        chain = (item["family"], item["table"], item["name"])
        wanted = item.get("type") == "filter" and item.get("hook") == "input" and item["family"] in _FAMILIES
        if not wanted or item["table"].startswith(_OURS):
            continue
        verdicts = [word for rule in rules if _place(rule) == chain for word in _verdicts(rule)]
        if item.get("policy") == "drop" or {"drop", "reject", "jump", "goto"} & set(verdicts):
            yield chain


def _verdicts(rule: Any) -> Iterator[str]:
    for expression in rule.get("expr", []):
        yield from expression


def _place(item: Any) -> tuple[str, str, str]:
    return item["family"], item["table"], item["chain"]


def _rules(ruleset: str) -> list[Any]:
    return list(_items(ruleset, "rule"))


def _items(ruleset: str, kind: str) -> Iterator[Any]:
    found = parsed_json(ruleset)["nftables"] if ruleset else []
    return (item[kind] for item in found if kind in item)
