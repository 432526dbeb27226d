"""Common base of kinds whose targets are the links of a shape."""

from __future__ import annotations

from typing import ClassVar

from ...agent_client.agents import Json
from ...catalog.kind import FaultKind, Stream
from ...faults.fault import Intent, Situation
from ...topology.partitions import cut_edges


class LinkKind(FaultKind):
    """`amounts` are the parameters that no situation changes."""

    amounts: ClassVar[tuple[str, ...]] = ()

    def resolve(self, intent: Intent, situation: Situation, stream: Stream) -> Json:
        edges = cut_edges(intent.parameters, situation, stream("target"))
        amounts = {name: intent.parameters[name] for name in self.amounts if name in intent.parameters}
        return {"edges": [list(edge) for edge in edges], **amounts}
