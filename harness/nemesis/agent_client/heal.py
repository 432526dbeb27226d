"""Undo whatever may still be in force on these hosts, with no ledger and no harness: what `tri heal` does.

Each host keeps its own account of what its agent put in force, written before it acted; that, and our firewall table, is all there is to
undo. It also keeps a copy of its part of the ledger, so that whose faults these were can be told. A host that a watchdog has healed, or where
nothing ever was, answers that there was nothing.
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
"""The last resort is patient: an overloaded machine takes its time to start Python alone."""


@dataclass(frozen=True, slots=True)
class Healed:
    """Of one host: what was undone, and which faults the host knew to be in force (`id kind run by at_ns`)."""

    undone: Sequence[str]
    faults: Sequence[Mapping[str, Any]]


def heal(hosts: Sequence[Host]) -> list[str]:
    """What was undone, as `"n1: cut: …"` (give it the clients' host too, where there is one); a second call returns an empty list. Raises `FaultError` that names every host that failed."""
    healed = heal_each(hosts).require("healing", FaultError)
    return [f"{host.name}: {what}" for host in hosts for what in healed[host.name].undone]


def heal_each(hosts: Sequence[Host]) -> Results[Healed]:
    """Each host by itself: one that cannot be reached keeps no other from being healed."""
    return on_all(hosts, _heal_one)


def _heal_one(host: Host) -> Healed:
    """A host without the agent gets it for this one call, since a table may be there without it."""
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
    told = printed(host.name, "heal", answer.stdout)
    return Healed(told["undone"], told["faults"])
