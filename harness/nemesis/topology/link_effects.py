"""Combined effect of several faults on each link: pure, and the same for every injector.

Of several, the greater chance and the lower rate hold, delays add, and a link that one fault clogs or flaps is clogged and flaps. A shape is a JSON
object; its fields are defined where it is carried out (`agent/network/shaping.py`), and `duplicate_ppm` in addition.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..catalog import catalog
from ..faults.fault import Resolved
from .partitions import Edge

Shape = dict[str, Any]

CHANCES = ("loss_ppm", "duplicate_ppm", "reorder_ppm", "corrupt_ppm")
DELAYS = ("delay_ns", "jitter_ns")
RATE = "rate_bps"
AMOUNTS = (*CHANCES, *DELAYS, RATE)


def shapes_links(kind: str) -> bool:
    """Return whether packets over the edges of this kind may arrive or not, while it is on."""
    known = catalog.kind_of(kind)
    return known is not None and known.shapes_links


def shapes_of(faults: Iterable[Resolved]) -> dict[Edge, Shape]:
    """Return by link the active shape; links that nothing shapes are left out."""
    shapes: dict[Edge, Shape] = {}
    for fault in faults:
        if shapes_links(fault.intent.kind):
            for source, sink in fault.what["edges"]:
                shapes[source, sink] = joined(shapes.get((source, sink), {}), shape_of(fault))
    return shapes


def shape_of(fault: Resolved) -> Shape:
    """The effect of this fault on each of its links."""
    kind = catalog.kind_of(fault.intent.kind)
    return {} if kind is None else kind.shape(fault.what)


def joined(first: Mapping[str, Any], second: Mapping[str, Any]) -> Shape:
    shape = {**first, **second}
    for name in shape.keys() & first.keys() & second.keys():
        shape[name] = _JOIN.get(name, max)(first[name], second[name])
    return shape


def _sum(first: int, second: int) -> int:
    return first + second


def _union(first: list[int], second: list[int]) -> list[int]:
    return sorted({*first, *second})


_JOIN: Mapping[str, Any] = {
    **dict.fromkeys(CHANCES, max),
    **dict.fromkeys(DELAYS, _sum),
    RATE: min,
    "clogged": max,
    "flaps_ns": _union,
}
