"""Resolution of an intent: a pure function of intent, situation and seed.

Random numbers are keyed by seed, intent and purpose, so that no other intent and no other number of this one can change them. The result is recorded
in the ledger; replay and shrink pin it.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from ...errors import CampaignError
from ..catalog import catalog
from ..faults.fault import Intent, Resolved, Situation
from ..faults.force import Force
from .link_effects import shapes_of
from .liveness import broken_rest


def resolve(intent: Intent, situation: Situation, seed: int | str) -> Resolved:
    """Return the fault in the form that its kind gives it. Raises `CampaignError` for an unknown kind."""
    if "rest" in intent.parameters:
        return Resolved(intent, broken_rest(intent.parameters, situation, seed))
    kind = catalog.kind_of(intent.kind)
    if kind is None:
        raise CampaignError(
            f"fault {intent.id} is of unknown kind {intent.kind!r}", f"the kinds are {', '.join(catalog.MODULES)}"
        )
    return Resolved(intent, kind.resolve(intent, situation, lambda purpose: Random(f"{seed}/{intent.key}/{purpose}")))


def in_force(faults: Iterable[Resolved]) -> Force:
    """Return the combined state of these faults: cuts, kills and pauses unite; the clock that was set last holds."""
    faults = list(faults)
    force = Force(links=shapes_of(faults))
    for fault in faults:
        if (kind := catalog.kind_of(fault.intent.kind)) is not None:
            kind.add_to(force, fault.what, fault.intent.id)
    return force


def held_off(fault: Resolved) -> frozenset[str]:
    """Hosts that answer nothing while this fault is on: they have no power, or are frozen whole."""
    kind = catalog.kind_of(fault.intent.kind)
    return frozenset(() if kind is None else kind.silences(fault.what))


def vertices(fault: Resolved) -> frozenset[str]:
    """All vertices that the fault affects."""
    what = fault.what
    ends = [vertex for edge in what.get("edges", ()) for vertex in edge]
    named = [
        node for field in ("nodes", "offsets_ns", "drift_ppm", "strobe_ns", "voters") for node in what.get(field, ())
    ]
    return frozenset((*ends, *named))
