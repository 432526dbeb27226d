"""A host comes back with an empty disk: the process is killed, its data are removed, and the heal starts it on nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from ....errors import FaultError
from ...agent_client.agents import Json
from ...agent_client.desired_state import Want, of_nodes
from ...cluster import fault_disk
from ...faults.fault import Observation, Resolved
from ..base import Ground, Package, Probe
from .disks import alive, damageable, look_at
from .processes import is_gone, states


class Wipe(Package):
    kinds = ("wipe",)
    abilities: ClassVar[Mapping[str, Probe]] = {"wipe": fault_disk.try_on}

    def begin(self, fault: Resolved, ground: Ground) -> Json:
        nodes: list[str] = fault.what["nodes"]
        if damageable(nodes, ground)[0] != nodes:
            raise FaultError(
                f"wipe {fault.intent.id}: with {nodes} wiped beside what is damaged or was wiped before, no quorum of "
                f"{dict(ground.cluster.voters)} would remember",
                "wipe fewer nodes in one run",
            )
        return {}

    def wants(self, fault: Resolved, ground: Ground) -> Iterable[Want]:
        yield from of_nodes(fault.what["nodes"], "process", {"killed": True})
        yield from of_nodes(fault.what["nodes"], "disk", {"wiped": [fault.intent.id]})

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        nodes = [node for node in fault.what["nodes"] if node in ground.on]
        if not on:
            return alive(ground, nodes)
        seen = states(ground, nodes, lambda _, process: is_gone(process))
        files = {node: answer["files"] for node, answer in look_at(ground, nodes, list_files=True).items()}
        verified = seen.verified and not any(files.values())
        return Observation(verified, {**seen.observed, "files": files})
