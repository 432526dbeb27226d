"""Whose faults these are: what each host is told of them, so that whoever heals it later knows, without the run's folder."""

from __future__ import annotations

from collections.abc import Iterable

from ..agent_client.agents import Json
from ..agent_client.desired_state import Want
from ..faults.fault import Resolved
from ..registry import Ground, package_of


def asked_of_hosts(faults: Iterable[Resolved], ground: Ground) -> tuple[list[Want], dict[str, list[Json]]]:
    """What the faults want of the hosts, and by host, which of them want something of it."""
    wants: list[Want] = []
    told: dict[str, list[Json]] = {}
    for fault in faults:
        its = list(package_of(fault.intent.kind).wants(fault, ground))
        wants += its
        for name in {vertex for vertex, _, _ in its}:
            told.setdefault(name, []).append({"id": fault.intent.id, "kind": fault.intent.kind})
    return wants, told
