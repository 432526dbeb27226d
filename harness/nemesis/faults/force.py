"""The combined state of several active faults; each kind adds to it (`FaultKind.add_to`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .clock_settings import Setting

Edge = tuple[str, str]
Shape = dict[str, Any]


@dataclass(slots=True)
class Force:
    """All active faults: what a fault must know about the others to evaluate its own observation.

    `clocks` are the nodes' wall clocks, `clock_holders` the faults that determine them. Over `loose` edges packets may arrive or not; `links` holds
    what shapes them. Nodes that are `off` have no power, or are frozen whole.
    """

    edges: set[Edge] = field(default_factory=set)
    killed: set[str] = field(default_factory=set)
    paused: set[str] = field(default_factory=set)
    clocks: dict[str, Setting] = field(default_factory=dict)
    clock_holders: dict[str, str] = field(default_factory=dict)
    loose: set[Edge] = field(default_factory=set)
    links: dict[Edge, Shape] = field(default_factory=dict)
    off: set[str] = field(default_factory=set)
    disks: dict[str, dict[str, int]] = field(default_factory=dict)
    """The effects on each disk, with the delay in ns where that is one."""
    disk_holders: dict[str, dict[str, str]] = field(default_factory=dict)
    """The same, with the faults that cause them."""
    limits: dict[str, dict[str, int]] = field(default_factory=dict)
    """By node and kind, the strictest limit of its process."""
