"""Common base of kinds whose targets are nodes."""

from __future__ import annotations

from typing import ClassVar

from ..agent_client.agents import Json
from ..catalog.kind import FaultKind, Stream
from ..faults.fault import Intent, Situation
from ..faults.targets import resolve_target


class NodeKind(FaultKind):
    """`amounts` are the parameters that no situation changes."""

    amounts: ClassVar[tuple[str, ...]] = ()

    def resolve(self, intent: Intent, situation: Situation, stream: Stream) -> Json:
        nodes = resolve_target(intent.parameters["target"], situation, stream("target"))
        return {"nodes": nodes, **{name: intent.parameters[name] for name in self.amounts if name in intent.parameters}}
