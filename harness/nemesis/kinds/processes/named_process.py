"""`process`: one of several processes of a host, by its name, is killed or stopped; the others go on.

It does not show whether its node runs, so checkers do not excuse a node because of it, and do not count one as down.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, ClassVar

from pydantic import Field

from ....errors import FaultError
from ...agent_client.agents import Json
from ...agent_client.desired_state import Want, of_nodes
from ...catalog.kind import FREEZE, FaultKind, NotSimulated, Stream
from ...catalog.timing import Aimed
from ...cluster.control import HasNamed
from ...faults.fault import Intent, Observation, Resolved, Situation
from ...faults.targets import resolve_target
from ..base import Ground, Package
from .processes import is_gone, is_running, is_stopped, states

PART = "named"


class Action(str, Enum):
    KILL = "kill"
    PAUSE = "pause"


class ProcessSpec(Aimed):
    """The process with this name, on each target, is killed or stopped, and runs again when the fault ends."""

    kind: ClassVar[str] = "process"

    of: str = Field(min_length=1, max_length=64, description="the name of the process in the system's adapter")
    action: Action = Field(default=Action.KILL, description="kill or pause")

    def variant(self) -> str:
        return f"{self.action.value}-{self.of}-{super().variant()}"


class OnHosts(Package):
    kinds = ("process",)

    def wants(self, fault: Resolved, ground: Ground) -> Iterable[Want]:
        state = {"killed": True} if fault.what["action"] == Action.KILL else {"paused": True}
        return of_nodes(fault.what["nodes"], PART, {fault.what["of"]: state})

    def begin(self, fault: Resolved, ground: Ground) -> Json:
        service, of = ground.cluster.service, fault.what["of"]
        for node in fault.what["nodes"]:
            known = service.controls(ground.cluster.hosts[node]) if isinstance(service, HasNamed) else {}
            if of not in known:
                hint = f"its adapter names {', '.join(known) or 'none'}"
                raise FaultError(f"{node} has no process {of!r} of {service.name}", hint)
        return {}

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        held = ground.force.killed | ground.force.paused | ground.force.off
        nodes = [node for node in fault.what["nodes"] if node not in held]
        wrong = is_gone if fault.what["action"] == Action.KILL else is_stopped
        right = wrong if on else is_running
        if not nodes:
            return Observation(not on, {"nodes": []})
        return states(ground, nodes, lambda _, seen: right(seen), of=fault.what["of"])

    def unheld(self, fault: Resolved, ground: Ground) -> Mapping[str, list[str]]:
        seen = ground.cluster.processes_of([n for n in fault.what["nodes"] if n in ground.on], fault.what["of"])
        return {node: found["running"] for node, found in seen.items() if is_running(found)}


class Named(FaultKind):
    name, spec = "process", ProcessSpec
    hidden_by = frozenset({"kill", "pause", "power", FREEZE, "process"})
    end_hidden_by = hidden_by
    of_the_system: ClassVar[Mapping[str, str]] = {"process": "processes"}

    def resolve(self, intent: Intent, situation: Situation, stream: Stream) -> Json:
        parameters = intent.parameters
        nodes = resolve_target(parameters["target"], situation, stream("target"))
        return {"nodes": nodes, "of": parameters["of"], "action": parameters["action"]}

    def on_hosts(self) -> OnHosts:
        return OnHosts()

    def simulated(self, ground: Any) -> NotSimulated:
        return NotSimulated(ground, "a node of the simulator is one process")


KIND = Named()
