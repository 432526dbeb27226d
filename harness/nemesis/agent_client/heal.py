"""Undo whatever may still be active on these hosts, without ledger and harness: the work of `tri heal`.

Each host keeps its own account of what its agent activated, written before it acted. That account, and our firewall table, is all that must be
undone. It also keeps a copy of its part of the ledger, so that the owner of these faults can be identified. A host that a watchdog has healed, or
that never had a fault, answers that there was nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import FaultError
from ...hosts.base import Host
from ...hosts.parallel import Results, on_all
from .answers import printed
from .shipping import agent_directory, agent_program, bundle, remove

HEAL_S = 90.0
"""The time limit of the last resort is long: an overloaded machine needs time even to start Python."""


OF_FAULT = ("id", "kind", "run", "by", "at_ns")
"""Fields that are reported of an active fault. `by` is the person and machine that started it, `at_ns` is in ns since 1970."""


@dataclass(frozen=True, slots=True)
class Healed:
    """Result of one host: what was undone, and which faults the host knew to be active (`OF_FAULT`)."""

    undone: Sequence[str]
    faults: Sequence[Mapping[str, Any]]


def heal(hosts: Sequence[Host]) -> list[str]:
    """Return what was undone, as `"n1: cut: …"` (include the clients' host, if there is one); a second call returns an empty list. Raises `FaultError`
    that names every host that failed.
    """
    healed = heal_each(hosts).require("healing", FaultError)
    return [f"{host.name}: {what}" for host in hosts for what in healed[host.name].undone]


def heal_each(hosts: Sequence[Host]) -> Results[Healed]:
    """Heal each host by itself: an unreachable host does not prevent healing of the others."""
    return on_all(hosts, _heal_one)


def _heal_one(host: Host) -> Healed:
    """Heal one host. If its agent's program is missing, it is copied there for this one call: a firewall table may exist without it."""
    program = agent_program(host.directory)
    was_there = host.run(["test", "-e", program], check=False).exit_code == 0
    if not was_there:
        host.put(bundle(), program)
    try:
        answer = host.run(
            [*host.sudo, host.python, "-I", program, "heal", agent_directory(host.directory)], timeout_s=HEAL_S
        )
    finally:
        if not was_there:
            remove(host)
    found = printed(host.name, "heal", answer.stdout)
    return Healed(found["undone"], [{name: fault.get(name) for name in OF_FAULT} for fault in found["faults"]])
