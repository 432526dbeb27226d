"""Common parts of random forms of several kinds: lanes, targets, shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from .kind import Fields, Sort
from .knobs import Knobs

NODES, LINKS, CLOCKS, LEADERS = "nodes", "links", "clocks", "leaders"
"""Lanes."""

TARGETS = ("leader", "follower", "one", "minority")
SPLITS = ("halves", "random-halves", "isolate-one", "majorities-ring", "bridge", "minority-third", "leader-minority")
PERIODS = ("100ms", "700ms", "2s")

Options = Mapping[str, Sequence[Any]]
"""Field → the values from which it is drawn."""
_NONE: Options = MappingProxyType({})


def on_links(fault: str, options: Options = _NONE, *, plain: bool = False) -> Sort:
    def fields(knobs: Knobs) -> Fields:
        shape = knobs.choose("shape", (*SPLITS, "one-way", "every-link"))
        return {"shape": shape, **_drawn(options, knobs)}

    return Sort(fault, LINKS, fields, 4, plain=plain)


def on_nodes(
    fault: str,
    options: Options = _NONE,
    *,
    lane: str = NODES,
    share: int = 3,
    coarse: bool = False,
    plain: bool = False,
    stream: str = "",
) -> Sort:
    def fields(knobs: Knobs) -> Fields:
        return {"target": knobs.choose("target", TARGETS), **_drawn(options, knobs)}

    return Sort(fault, lane, fields, share, coarse, plain, stream=stream)


def _drawn(options: Options, knobs: Knobs) -> Fields:
    return {field: knobs.choose(field, values) for field, values in options.items()}
