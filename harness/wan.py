"""Regions of a cluster and what lies between them: pure values that the campaign, local labs and the simulator share.

    regions = Regions({"eu": 2, "us": 2, "ap": 1}, {("eu", "us"): Way(40_000_000, 5_000_000, 20_000_000)})
    regions.of("n3"), regions.way("us", "eu").delay_ns        # ("us", 40000000)

Nodes are dealt to regions in order: eu has n1 and n2, us has n3 and n4, ap has n5. Inside a region nothing is late or scarce.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from typing import Any

SEPARATOR = "-"
"""Between the two names of a pair of regions, as `eu-us`."""


@dataclass(frozen=True, slots=True)
class Way:
    """Way from one region to another: every packet is `delay_ns` later, and by a draw up to `jitter_ns`; `rate_bps` bits a second get through (0: all)."""

    delay_ns: int = 0
    jitter_ns: int = 0
    rate_bps: int = 0


OPEN = Way()


@dataclass(frozen=True, slots=True)
class Regions:
    """Number of nodes of each region, and the way between two of them, the same in both directions; a pair that is not named is `OPEN`."""

    sizes: Mapping[str, int]
    ways: Mapping[tuple[str, str], Way] = field(default_factory=dict)

    @property
    def nodes(self) -> int:
        return sum(self.sizes.values())

    @property
    def names(self) -> Mapping[str, str]:
        """The region of every node, in the nodes' order."""
        regions = [region for region, size in self.sizes.items() for _ in range(size)]
        return {f"n{number}": region for number, region in enumerate(regions, 1)}

    def of(self, node: str) -> str | None:
        """Return the region of a node; None for vertices in no region, such as the clients."""
        return self.names.get(node)

    def way(self, source: str, sink: str) -> Way:
        return self.ways.get((source, sink)) or self.ways.get((sink, source)) or OPEN

    def links(self) -> dict[tuple[str, str], Way]:
        """Return the ways by directed link between two nodes of different regions, where anything is to be done at all."""
        names = self.names
        found = {(a, b): self.way(names[a], names[b]) for a in names for b in names if names[a] != names[b]}
        return {link: way for link, way in found.items() if way != OPEN}

    @property
    def late_ns(self) -> int:
        """What the longest way takes at most, when it is not full."""
        return max((way.delay_ns + way.jitter_ns for way in self.ways.values()), default=0)

    def to_json(self) -> dict[str, Any]:
        ways = {SEPARATOR.join(pair): list(astuple(way)) for pair, way in self.ways.items()}
        return {"sizes": dict(self.sizes), "ways": ways}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Regions:
        ways = {_pair(name): Way(*figures) for name, figures in data["ways"].items()}
        return cls(dict(data["sizes"]), ways)


def _pair(name: str) -> tuple[str, str]:
    first, _, second = name.partition(SEPARATOR)
    return first, second
