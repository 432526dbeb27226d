"""Faults that leave a process running with too little: of a processor, of memory, of descriptors."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from ...user_files.quantities import PER_PERCENT, format_bytes, format_ppm, parse_bytes, parse_ppm
from ..catalog.timing import Aimed


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


def _some(amount: int) -> int:
    if amount < 1 << 20:
        raise ValueError(f"{format_bytes(amount)} is less than 1MiB, in which no process can start")
    return amount


Memory = Annotated[
    int,
    BeforeValidator(parse_bytes),
    AfterValidator(_some),
    PlainSerializer(format_bytes, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "description": "an amount of memory, such as 64MiB"}),
]
"""A pydantic field in bytes that reads `64MiB`; it is written back as text in JSON."""


class CpuSpec(Aimed):
    """CPU starvation: all threads of the process together get this share of one processor."""

    kind: ClassVar[str] = "cpu"

    share: Share = Field(description="of one processor, such as 10%")

    def parameters(self) -> dict[str, Any]:
        return {"target": self.target, "share_ppm": self.share}


class MemorySpec(Aimed):
    """The process may have this much memory. Where it needs more, the kernel kills it, and its supervisor starts it again."""

    kind: ClassVar[str] = "memory"

    limit: Memory = Field(description="such as 64MiB, what it has already included")

    def parameters(self) -> dict[str, Any]:
        return {"target": self.target, "limit_bytes": self.limit}


class DescriptorsSpec(Aimed):
    """The process may have this many descriptors: connections and files beyond them fail, those that are open go on."""

    kind: ClassVar[str] = "descriptors"

    limit: Annotated[int, Field(ge=3, le=1_000_000)] = Field(description="how many files and connections together")

    def parameters(self) -> dict[str, Any]:
        return {"target": self.target, "limit": self.limit}
