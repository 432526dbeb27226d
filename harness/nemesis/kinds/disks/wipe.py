"""`wipe`: a host comes back with an empty disk. The process is killed, its data are removed, and the heal starts it on nothing.

Resolved: `{"nodes": ["n2"], "calibration": true}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from pydantic import model_validator

from ....errors import FaultError
from ...agent_client.agents import Json
from ...agent_client.desired_state import Want, of_nodes
from ...catalog.kind import FREEZE, NO_PROCESS
from ...cluster import fault_disk
from ...faults.fault import Observation, Resolved
from ...faults.force import Force
from ..base import Ground, Package, Probe
from ..node_kind import NodeKind
from ..processes.processes import is_gone, states
from .disk import CALIBRATION, Calibrating, alive, damageable, look_at, of_all


class WipeSpec(Calibrating):
    """The host comes back with an empty disk. The reference node cannot know then what it promised, so this is calibration only."""

    kind: ClassVar[str] = "wipe"

    @model_validator(mode="after")
    def _is_meant(self) -> WipeSpec:
        if not self.calibration:
            raise ValueError(f"`wipe` needs `calibration: true`: {CALIBRATION}")
        if self.target in ("all", "majority"):
            raise ValueError(f"`wipe` of {self.target}: no quorum would keep its data; choose fewer nodes")
        return self


class OnHosts(Package):
    kinds = ("wipe",)
    abilities: ClassVar[Mapping[str, Probe]] = {"wipe": fault_disk.try_on}

    def begin(self, fault: Resolved, ground: Ground) -> Json:
        nodes: list[str] = fault.what["nodes"]
        if damageable(nodes, ground)[0] != nodes:
            raise FaultError(
                f"wipe {fault.intent.id}: with {nodes} wiped, and those that are damaged or were wiped before, no quorum of "
                f"{dict(ground.cluster.voters)} would keep its data",
                "wipe fewer nodes in one run",
            )
        return {}

    def wants(self, fault: Resolved, ground: Ground) -> Iterable[Want]:
        yield from of_nodes(fault.what["nodes"], "process", {"killed": True})
        yield from of_nodes(fault.what["nodes"], "disk", {"wiped": [fault.intent.id]})

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        nodes = [node for node in fault.what["nodes"] if node in ground.on]
        if not on:
            return of_all(alive(ground, nodes), fault.what["nodes"], nodes)
        seen = states(ground, nodes, lambda _, process: is_gone(process))
        files = {node: answer["files"] for node, answer in look_at(ground, nodes, list_files=True).items()}
        # The disk of a host that is off is as it was, until it has power again.
        verified = seen.verified and not any(files.values()) and nodes == list(fault.what["nodes"])
        return Observation(verified, {**seen.observed, "files": files})


class Wipe(NodeKind):
    name, spec = "wipe", WipeSpec
    amounts = ("calibration",)
    masks_as = NO_PROCESS
    end_hidden_by = NO_PROCESS | {"pause", FREEZE}
    of_the_system: ClassVar[Mapping[str, str]] = {"wipe": "disk"}

    def add_to(self, force: Force, what: Mapping[str, Any], ident: str) -> None:
        force.killed.update(what["nodes"])

    def unheard(self, what: Mapping[str, Any], observed: Mapping[str, Any]) -> list[Any]:
        return list(observed.get("not_asked", ()))

    def on_hosts(self) -> OnHosts:
        return OnHosts()

    def simulated(self, ground: Any) -> Any:
        from ....simulator.faults.processes import Wipes

        return Wipes(ground)


KIND = Wipe()
