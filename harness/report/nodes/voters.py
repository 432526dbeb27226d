"""The voters over time: the configuration of the newest leader, as its traces have it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .lines import Line


@dataclass(frozen=True, slots=True)
class Configuration:
    """`voters` names them, with the weight of those that do not have one vote: `n1 ×2, n2, n3`."""

    from_ns: int
    until_ns: int
    term: int
    voters: str


def configurations(lines: Iterable[Line], end_ns: int) -> list[Configuration]:
    """Return the configurations from the first election that the traces show. A configuration counts as adopted when the leader of the newest term
    appended it.
    """
    found: list[Configuration] = []
    leader, term = "", -1
    for line in sorted((line for line in lines if line.at_ns is not None), key=lambda line: line.at_ns or 0):
        voters, of = _shown(line.fields.get("voters")), line.fields.get("term")
        if line.event == "leader" and type(of) is int and of >= term:
            leader, term = line.node, of
        elif line.event != "config" or line.node != leader:
            continue
        at_ns = max(0, line.at_ns or 0)
        if voters and (not found or (found[-1].term, found[-1].voters) != (term, voters)):
            found[-1:] = [replace(one, until_ns=at_ns) for one in found[-1:]]
            found.append(Configuration(at_ns, max(at_ns, end_ns), term, voters))
    return found


def _shown(voters: Any) -> str:
    if not isinstance(voters, Mapping):
        return ""
    return ", ".join(
        str(name) if weight == 1 else f"{name} ×{weight}"
        for name, weight in voters.items()
        if type(weight) is int and weight > 0
    )
