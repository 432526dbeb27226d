"""The plan of a run: what shall happen, before anything happens. A seed determines it; the plan, not the seed, is the artefact.

It holds intents, never results: operations come from keyed streams (`generators`), faults are `Intent`s whose targets are resolved when
their time has come. `plan.json` is `to_json()`; every option is in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..nemesis.faults import Intent
from ..workloads.base import Workload


@dataclass(frozen=True, slots=True)
class Timing:
    """All in ns. `quiet_ns` lies between the final heal and the final reads; `operation_ns` is an operation's deadline."""

    load_ns: int
    quiet_ns: int
    final_ns: int
    operation_ns: int


@dataclass(frozen=True, slots=True)
class Slot:
    """One client: the `client`-th of its workload, talking to `node`."""

    slot: int
    workload: str
    client: int
    clients: int
    node: str


@dataclass(frozen=True, slots=True)
class Plan:
    campaign: str
    seed: int
    nodes: Sequence[str]
    voters: Mapping[str, int]
    timing: Timing
    workloads: Mapping[str, Workload]
    slots: Sequence[Slot]
    intents: Sequence[Intent]
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "campaign": self.campaign,
            "seed": self.seed,
            "nodes": list(self.nodes),
            "voters": dict(self.voters),
            "timing": {
                "load_ns": self.timing.load_ns,
                "quiet_ns": self.timing.quiet_ns,
                "final_ns": self.timing.final_ns,
                "operation_ns": self.timing.operation_ns,
            },
            "workloads": {name: workload.spec.model_dump(mode="json") for name, workload in self.workloads.items()},
            "slots": [[slot.slot, slot.workload, slot.client, slot.node] for slot in self.slots],
            "intents": [
                {
                    "id": intent.id,
                    "kind": intent.kind,
                    "parameters": dict(intent.parameters),
                    "at_ns": intent.at_ns,
                    "for_ns": intent.for_ns,
                    "key": intent.key,
                }
                for intent in self.intents
            ],
            "options": dict(self.options),
        }


def make_slots(workloads: Mapping[str, Workload], nodes: Sequence[str]) -> list[Slot]:
    """Every workload's clients, dealt to the nodes in turn (each workload starts at the first node)."""
    slots: list[Slot] = []
    for name, workload in workloads.items():
        clients = workload.spec.clients
        for client in range(clients):
            slots.append(Slot(len(slots), name, client, clients, nodes[client % len(nodes)]))
    return slots
