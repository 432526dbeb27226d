"""`memory-limit`, in ledgers `memory`: a process may have so much memory; where it needs more, the kernel kills it.

Resolved: `{"nodes": ["n2"], "limit_bytes": 67108864}`: killed where it needs more, and started again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from ....errors import FaultError
from ....hosts.base import Host
from ....user_files.quantities import format_bytes, parse_bytes
from ...agent_client.agents import Json
from ...catalog.kind import NO_PROCESS, Sort
from ...catalog.random_forms import on_nodes
from ...catalog.timing import Aimed
from ..base import Probe
from .limit import NO_GROUPS, LimitKind, LimitOnHosts, groups


def _some(amount: int) -> int:
    if amount < 1 << 20:
        raise ValueError(f"{format_bytes(amount)} is less than 1MiB, in which no process can start")
    return amount


Amount = Annotated[
    int,
    BeforeValidator(parse_bytes),
    AfterValidator(_some),
    PlainSerializer(format_bytes, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "description": "an amount of memory, such as 64MiB"}),
]
"""A pydantic field in bytes that reads `64MiB`; it is written back as text in JSON."""


class MemorySpec(Aimed):
    """The process may have this much memory. Where it needs more, the kernel kills it, and its supervisor starts it again."""

    kind: ClassVar[str] = "memory"

    limit: Amount = Field(description="the limit, such as 64MiB, including memory in use")

    def parameters(self) -> dict[str, Any]:
        return {"target": self.target, "limit_bytes": self.limit}


def _limits_memory(host: Host) -> str:
    means, why = groups(host, "memory")
    if means is None:
        raise FaultError(f"{host.name} cannot limit the memory of a process: {why}", NO_GROUPS)
    return means


class OnHosts(LimitOnHosts):
    kinds = ("memory",)
    key, amount = "memory_bytes", "limit_bytes"
    abilities: ClassVar[Mapping[str, Probe]] = {"memory": _limits_memory}

    def shows(self, limit: int | None, seen: Json, before: Any) -> bool:
        if limit is None:
            return seen["inside"] is False or not seen["group_bytes"]
        # A process that was killed for it may be starting just now.
        limited = seen["inside"] and seen["group_bytes"] <= limit
        return bool(seen["oom_kills"]) or bool(limited and seen["probe_killed"] is not False)


class MemoryLimit(LimitKind):
    name, word, spec = "memory", "memory-limit", MemorySpec
    amounts = ("limit_bytes",)
    masks_as = NO_PROCESS
    sorts: ClassVar[Mapping[str, Sort]] = {
        "memory-limit": on_nodes("memory-limit", {"limit": ("24MiB", "32MiB")}, plain=True, stream="memory")
    }

    def on_hosts(self) -> OnHosts:
        return OnHosts()

    def simulated(self, ground: Any) -> Any:
        from ....simulator.faults.limits import MemoryLimits

        return MemoryLimits(ground)


KIND = MemoryLimit()
