"""Resolution of an intent: a pure function of intent, situation and seed.

Random numbers are keyed by seed, intent and purpose, so that no other intent and no other number of this one can change them. The result is recorded
in the ledger; replay and shrink pin it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from ...errors import CampaignError, FaultError
from ..catalog import catalog
from ..faults.clock_settings import Setting, settings_of
from ..faults.fault import Intent, Resolved, Situation
from ..faults.targets import may_leave, resolve_target
from .link_shapes import Shape, shapes_links, shapes_of
from .liveness import broken_rest
from .topology import Edge, cut_edges


def resolve(intent: Intent, situation: Situation, seed: int | str) -> Resolved:
    """Return the fault in the form that `faults.py` lists for its kind. Raises `CampaignError` for an unknown kind."""
    random = Random(f"{seed}/{intent.key}/target")
    parameters = intent.parameters
    if "rest" in parameters:
        return Resolved(intent, {**broken_rest(parameters, situation, seed), **_amounts(parameters)})
    if (kind := catalog.kind_of(intent.kind)) is not None:
        return Resolved(intent, kind.resolve(intent, situation, random))
    if intent.kind in LINK_KINDS:
        edges = cut_edges(parameters, situation, random)
        return Resolved(intent, {"edges": [list(edge) for edge in edges], **_amounts(parameters)})
    if intent.kind in NODE_KINDS:
        nodes = resolve_target(parameters["target"], situation, random)
        return Resolved(intent, {"nodes": nodes, **_amounts(parameters)})
    if intent.kind == "clock":
        nodes = resolve_target(parameters["target"], situation, random)
        return Resolved(intent, _clock(nodes, intent, seed))
    if intent.kind == "voters":
        return Resolved(intent, {"voters": dict(parameters["set"])})
    if intent.kind == "membership":
        able = replace(situation, nodes=[node for node in situation.nodes if may_leave([node], situation)])
        nodes = resolve_target(parameters["target"], able if able.nodes else situation, random)
        return Resolved(intent, _membership(nodes, intent, situation))
    raise CampaignError(
        f"fault {intent.id} is of unknown kind {intent.kind!r}",
        f"the kinds are {', '.join((*LINK_KINDS, *NODE_KINDS, 'clock', 'voters', 'membership', *catalog.MODULES))}",
    )


LINK_KINDS = ("cut", "link", "clog")
LIMITS = {"cpu": "share_ppm", "memory": "limit_bytes", "descriptors": "limit"}
"""Kinds that leave a process too little, with the parameter for the amount."""
NODE_KINDS = ("kill", "pause", "power", "wipe", "disk", *LIMITS)
_AMOUNTS = (
    "loss_ppm",
    "duplicate_ppm",
    "reorder_ppm",
    "delay_ns",
    "jitter_ns",
    "corrupt_ppm",
    "rate_bps",
    "effect",
    "model",
    "calibration",
    "whole",
    "slow_start_ns",
    *LIMITS.values(),
)
"""Parameters that no situation changes."""


def _amounts(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: parameters[name] for name in _AMOUNTS if name in parameters}


def _clock(nodes: Iterable[str], intent: Intent, seed: int | str) -> dict[str, Any]:
    parameters = intent.parameters
    if "drift_ppm" in parameters:
        drifts = {node: int(parameters["drift_ppm"]) for node in nodes}
        return {"drift_ppm": drifts, **({} if parameters.get("monotonic", True) else {"monotonic": False})}
    if "strobe_ns" in parameters:
        amplitudes = {node: int(parameters["strobe_ns"]) for node in nodes}
        return {"strobe_ns": amplitudes, "period_ns": int(parameters["period_ns"])}
    return {"offsets_ns": {node: _offset_ns(node, intent, seed) for node in nodes}}


def _membership(nodes: Sequence[str], intent: Intent, situation: Situation) -> dict[str, Any]:
    """With their present weights, which they will have again. Raises `FaultError` when none of them can go."""
    leaving = may_leave(nodes, situation)
    if not leaving:
        voters = ", ".join(f"{node} {weight}" for node, weight in situation.voters.items())
        raise FaultError(
            f"of {', '.join(nodes) or 'no nodes'} none can leave the voters ({voters}): "
            f"those that would stay and are up (of {', '.join(situation.up) or 'none'}) are no quorum",
            "aim at voters of which the others can do without, at a time when no other fault holds too many down",
        )
    weights = {node: situation.voters[node] for node in leaving}
    return {"nodes": leaving, "action": intent.parameters["action"], "weights": weights}


def _offset_ns(node: str, intent: Intent, seed: int | str) -> int:
    """Each node has a random number of its own, so other targets change nothing for it."""
    random = Random(f"{seed}/{intent.key}/offset/{node}")
    if "offset_ns" in intent.parameters:
        return int(intent.parameters["offset_ns"])
    if "jump_ns" in intent.parameters:
        return int(intent.parameters["jump_ns"]) * random.choice((-1, 1))
    spread_ns = int(intent.parameters["spread_ns"])
    return random.randint(-spread_ns, spread_ns)


@dataclass(frozen=True, slots=True)
class Force:
    """What several faults together have active, as far as one of them must know of the others to judge what it sees.

    `clocks` are the nodes' wall clocks, `clock_holders` the faults that hold them so. Over `loose` edges packets may arrive or not; `links` holds
    what shapes them. Nodes that are `off` have no power, or are frozen whole.
    """

    edges: frozenset[Edge] = frozenset()
    killed: frozenset[str] = frozenset()
    paused: frozenset[str] = frozenset()
    clocks: Mapping[str, Setting] = field(default_factory=dict)
    clock_holders: Mapping[str, str] = field(default_factory=dict)
    loose: frozenset[Edge] = frozenset()
    links: Mapping[Edge, Shape] = field(default_factory=dict)
    off: frozenset[str] = frozenset()
    disks: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """The effects on each disk, with the delay in ns where that is one."""
    disk_holders: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """The same, with the faults that cause them."""
    limits: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By node and kind, the least that is left to its process."""


def in_force(faults: Iterable[Resolved]) -> Force:
    """Faults of one kind that are on together: cuts, kills and pauses unite; the clock that was set last holds."""
    edges: set[Edge] = set()
    loose: set[Edge] = set()
    nodes: dict[str, set[str]] = {"kill": set(), "pause": set()}
    off: set[str] = set()
    clocks: dict[str, Setting] = {}
    holders: dict[str, str] = {}
    disks: dict[str, dict[str, int]] = {}
    disk_holders: dict[str, dict[str, str]] = {}
    limits: dict[str, dict[str, int]] = {}
    faults = list(faults)
    for fault in faults:
        what, kind = fault.what, fault.intent.kind
        if kind == "cut":
            edges.update((source, sink) for source, sink in what["edges"])
        elif shapes_links(kind):
            loose.update((source, sink) for source, sink in what["edges"])
        elif held := held_off(fault):
            off |= held
        elif kind in nodes:
            nodes[kind].update(what["nodes"])
        elif kind == "wipe" or (kind == "membership" and what["action"] == "leave"):
            nodes["kill"].update(what["nodes"])
        elif kind == "disk":
            for node in what["nodes"]:
                effects = disks.setdefault(node, {})
                effects[what["effect"]] = effects.get(what["effect"], 0) + what.get("delay_ns", 0)
                disk_holders.setdefault(node, {})[what["effect"]] = fault.intent.id
        elif kind in LIMITS:
            amount = what[LIMITS[kind]]
            for node in what["nodes"]:
                limited = limits.setdefault(node, {})
                limited[kind] = min(amount, limited.get(kind, amount))
        elif kind == "clock":
            clocks |= settings_of(what)
            holders |= dict.fromkeys(settings_of(what), fault.intent.id)
    return Force(
        frozenset(edges),
        frozenset(nodes["kill"]),
        frozenset(nodes["pause"]),
        clocks,
        holders,
        frozenset(loose),
        shapes_of(faults),
        frozenset(off),
        disks,
        disk_holders,
        limits,
    )


def held_off(fault: Resolved) -> frozenset[str]:
    """Hosts that answer nothing while this fault is on: they have no power, or are frozen whole."""
    silent = fault.intent.kind == "power" or (fault.intent.kind == "pause" and "whole" in fault.what)
    return frozenset(fault.what["nodes"] if silent else ())


def vertices(fault: Resolved) -> frozenset[str]:
    """Everything that the fault touches."""
    what = fault.what
    ends = [vertex for edge in what.get("edges", ()) for vertex in edge]
    named = [
        node for field in ("nodes", "offsets_ns", "drift_ppm", "strobe_ns", "voters") for node in what.get(field, ())
    ]
    return frozenset((*ends, *named))
