"""`cpu-limit`, in ledgers `cpu`: all threads of a process together get only a share of one processor.

Resolved: `{"nodes": ["n2"], "share_ppm": 100000}`: of one processor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from ....hosts.base import Host
from ....user_files.quantities import PER_PERCENT, format_ppm, parse_ppm
from ...agent_client.agents import Json
from ...catalog.kind import Sort
from ...catalog.random_forms import on_nodes
from ...catalog.timing import Aimed
from ..base import Probe
from .limit import LimitKind, LimitOnHosts, groups

TOLERANCE, SLACK_PPM = 1.25, 20_000
"""A processor is assigned in slices, so a look of half a second may see a slice too much."""


def _starving(ppm: int) -> int:
    if not PER_PERCENT <= ppm <= 90 * PER_PERCENT:
        raise ValueError(f"{format_ppm(ppm)} is not between 1% and 90% of a processor")
    return ppm


Share = Annotated[
    int,
    BeforeValidator(parse_ppm),
    AfterValidator(_starving),
    PlainSerializer(format_ppm, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "description": "a share of one processor, such as 10%"}),
]


class CpuSpec(Aimed):
    """CPU starvation: all threads of the process together get this share of one processor."""

    kind: ClassVar[str] = "cpu"

    share: Share = Field(description="a share of one processor, such as 10%")

    def parameters(self) -> dict[str, Any]:
        return {"target": self.target, "share_ppm": self.share}


def _starves(host: Host) -> str:
    means, why = groups(host, "cpu")
    return means or f"stopped and continued in turn ({why})"


class OnHosts(LimitOnHosts):
    kinds = ("cpu",)
    key, amount = "share_ppm", "share_ppm"
    abilities: ClassVar[Mapping[str, Probe]] = {"cpu": _starves}

    def shows(self, limit: int | None, seen: Json, before: Any) -> bool:
        if limit is None:
            # Another limit may keep the group.
            return seen["inside"] is False or seen["quota_ppm"] is None
        share_ppm = seen["share_ppm"]
        if share_ppm is None or share_ppm > limit * TOLERANCE + SLACK_PPM:
            return False
        # On a machine that has less than the limit anyway, no process is throttled.
        met = seen["throttled"] > 0 or share_ppm < limit
        return (seen["means"] == "signals" and not seen["inside"]) or bool(
            seen["inside"] and met and seen["quota_ppm"] == limit
        )


class CpuLimit(LimitKind):
    name, word, spec = "cpu", "cpu-limit", CpuSpec
    amounts = ("share_ppm",)
    sorts: ClassVar[Mapping[str, Sort]] = {
        "cpu-limit": on_nodes("cpu-limit", {"share": ("5%", "10%", "30%")}, stream="cpu")
    }

    def on_hosts(self) -> OnHosts:
        return OnHosts()

    def simulated(self, ground: Any) -> Any:
        from ....simulator.faults.limits import CpuLimits

        return CpuLimits(ground)


KIND = CpuLimit()
