"""The fields `regions` and `wan` of a campaign's hosts, and the value made from them (`harness/wan.py`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, field_validator

from ..user_files.bounded_model import BoundedModel
from ..user_files.measured import PositiveDuration, Rate
from ..user_files.quantities import format_ns
from ..wan import SEPARATOR, Regions, Way

MOST_REGIONS = 8
MOST_DELAY_NS = 1_000_000_000
_NAME = re.compile(r"[a-z][a-z0-9]{0,9}")
_TARGET = re.compile(r"region\(([a-z][a-z0-9]*)\)")

Sizes = dict[str, Annotated[int, Field(ge=1, le=32)]]


class WaySpec(BoundedModel):
    """The delay, jitter and rate between two regions, one way; the same the other way."""

    delay: PositiveDuration | None = Field(default=None, description="delay of every packet, in each direction")
    jitter: PositiveDuration | None = Field(default=None, description="a further random delay, up to this value")
    rate: Rate | None = Field(default=None, description="bits per second, in each direction")

    @field_validator("delay", "jitter")
    @classmethod
    def _can_be_measured(cls, amount: int | None) -> int | None:
        if amount is not None and not 1_000_000 <= amount <= MOST_DELAY_NS:
            raise ValueError(f"{format_ns(amount)} is not between 1ms and {format_ns(MOST_DELAY_NS)}")
        return amount

    def over(self, default: WaySpec) -> Way:
        """Return this way, with missing fields taken from `default`."""
        delay, jitter, rate = (
            getattr(self, name) or getattr(default, name) or 0 for name in ("delay", "jitter", "rate")
        )
        return Way(delay, jitter, rate)


class WanSpec(WaySpec):
    """The ways between any two regions, with exceptions for named pairs."""

    between: dict[str, WaySpec] = Field(
        default_factory=dict, description="exceptions by pair of regions, such as `eu-us`"
    )


def check_regions(sizes: Mapping[str, int], wan: WanSpec | None) -> None:
    """Check the regions. Raises `ValueError` that names the first impossible value."""
    if not 2 <= len(sizes) <= MOST_REGIONS:
        raise ValueError(f"`regions` lists {len(sizes)}: give 2 to {MOST_REGIONS} regions, or leave it out")
    for name in sizes:
        if not _NAME.fullmatch(name):
            raise ValueError(f"region {name!r} is not 1 to 10 of a-z 0-9, a letter first")
    for pair in wan.between if wan is not None else ():
        ends = pair.split(SEPARATOR)
        if len(ends) != 2 or ends[0] == ends[1] or not set(ends) <= set(sizes):
            raise ValueError(
                f"`between: {pair}` is not a pair of {', '.join(sizes)}; write it as {SEPARATOR.join(list(sizes)[:2])}"
            )
        if f"{ends[1]}{SEPARATOR}{ends[0]}" in wan.between:  # type: ignore[union-attr]
            raise ValueError(f"`between: {pair}` is given for both directions; one entry is for both")


def with_targets(faults: Any, sizes: Any) -> Any:
    """The faults as written, with the nodes of a region in place of `target: region(NAME)`. An unknown region stays, and is refused as a target."""
    usable = isinstance(sizes, Mapping) and all(type(size) is int and 0 < size <= 32 for size in sizes.values())
    if not isinstance(faults, list) or not usable:
        return faults
    return [
        {name: _aimed(spec, Regions(sizes)) for name, spec in item.items()} if isinstance(item, Mapping) else item
        for item in faults
    ]


def _aimed(spec: Any, regions: Regions) -> Any:
    target = spec.get("target") if isinstance(spec, Mapping) else None
    match = _TARGET.fullmatch(target) if isinstance(target, str) else None
    nodes = [node for node, region in regions.names.items() if match and region == match[1]]
    return {**spec, "target": nodes} if nodes else spec


def regions_of(sizes: Mapping[str, int], wan: WanSpec | None) -> Regions:
    names, default = list(sizes), wan or WanSpec()
    ways = {}
    for first, second in ((a, b) for at, a in enumerate(names) for b in names[at + 1 :]):
        named = default.between.get(f"{first}{SEPARATOR}{second}") or default.between.get(f"{second}{SEPARATOR}{first}")
        ways[first, second] = (named or default).over(default)
    return Regions(dict(sizes), ways)
