"""Power loss of hosts: at once, the network first; they boot at the heal.

Nothing in a host could undo that, so it is leased outside of it, by the provider that can switch it on again (`outages`).
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import ClassVar

from ....errors import FaultError
from ....hosts.base import BOOT_HOOKS, Host
from ...agent_client.agents import Json
from ...faults.fault import Observation, Resolved
from ..base import Ground, Package, Probe
from . import outages, stillness
from .disks import lose_power
from .processes import verify_recovered


def _boots_by_hooks(host: Host) -> str:
    if host.run(f"test -d {shlex.quote(f'{host.directory}/{BOOT_HOOKS}')}", check=False).exit_code:
        hint = "local hosts can: something outside of them switches them on again"
        raise FaultError(f"{host.name} runs no boot hooks of ours, so nothing would be as before when it boots", hint)
    return "by the lab's supervisor, which boots it again; on a lease"


class Power(Package):
    kinds = ("power",)
    abilities: ClassVar[Mapping[str, Probe]] = {"power": _boots_by_hooks}

    def begin(self, fault: Resolved, ground: Ground) -> Json:
        told = lose_power(fault, ground, set(fault.what["nodes"]) - ground.cluster.off)
        outages.power_off(ground, fault.what["nodes"])
        return told

    def end(self, fault: Resolved, ground: Ground) -> Json:
        outages.bring_back(ground, set(fault.what["nodes"]) - ground.force.off)
        return {}

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        nodes: list[str] = fault.what["nodes"]
        return stillness.look(nodes, ground, frozenset({stillness.NOTHING})) if on else verify_recovered(ground, nodes)
