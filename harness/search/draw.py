"""The plan of one trial, made from a campaign and a seed: the campaign as written, or a swarm around it.

    plan = searched_plan(load_campaign(path, hosts="sim"), seed=7)

In a swarm, a seed draws what the campaign leaves open: simulation parameters, the node's knobs, how long and how hard the clients try, the faults,
and whether a liveness phase follows. One seed in four keeps the campaign's own faults and length as written, so that the author's intention is always
among the trials. In the others each of its faults is on or off like those of the swarm. The system's name, flaws, voters and checkers are never drawn.
Faults that the seed drew are marked (`Intent.drawn`): one of them that did nothing is no doubt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from ..campaign.load import node_names
from ..campaign.model import Campaign, SystemSpec
from ..campaign.simulable import require_simulable
from ..errors import CampaignError
from ..nemesis.catalog.knobs import Knobs
from ..nemesis.catalog.timing import Timing
from ..nemesis.kinds.disks.disk import DiskEffect, DiskSpec
from ..nemesis.kinds.members.membership import MembershipSpec
from ..nemesis.kinds.members.voters import VotersSpec
from ..nemesis.schedule.mix import changes_voters, composed_sorts, head_of, planned
from ..nemesis.specs.specs import FaultSpec, RecoverySpec
from ..nemesis.topology.liveness import WAYS, LivenessSpec
from ..run.plan.build import make_plan
from ..run.plan.plan import Plan
from ..run.simulated import node_configs, world_of
from ..simulator.options import SECOND
from .sections import (
    QUIET_MIX,
    QUIET_RATE,
    drawn_levels,
    more_workloads,
    open_load,
    outage_first,
    outage_of,
    quiet,
    section_of,
    with_section,
)
from .swarm import swarm, swarm_faults, swarm_node

LOADS_NS = (2 * SECOND, 4 * SECOND, 8 * SECOND, 16 * SECOND)
OPERATIONS = (60, 120, 240, 480)
"""Total operations of a trial, by which its rate is limited. Short trials find more in a given time than longer ones do, because most failures need few
operations."""

KEYS = (1, 2, 4, 8)
AS_WRITTEN_PPM = 250_000
LIVENESS_PPM = 900_000
_ITEMS: TypeAdapter[list[FaultSpec]] = TypeAdapter(list[FaultSpec])
_HOW_IT_IS_CHECKED = ("codec_one_in", "check_every", "digest_full", "record_inputs", "fence")


def searched_plan(campaign: Campaign, seed: int, swarm: bool = True, directory: Path = Path()) -> Plan:
    """Return the plan of `seed`. `directory` is the campaign file's. Raises `CampaignError` for a system that cannot be simulated."""
    require_simulable(campaign.system.model_dump(), f"campaign {campaign.name}")
    campaign = campaign.model_copy(update={"seed": seed})
    if not swarm:
        return make_plan(campaign, directory)
    composed = composed_sorts(campaign.faults)
    as_written = bool(campaign.faults) and Knobs(seed, "search").on("as-written", AS_WRITTEN_PPM)
    if as_written and composed and not _fit(campaign.faults, seed, campaign.duration):
        # The load is too short for the kinds that this seed composes; another seed composes fewer.
        as_written = False
    plan = _swarmed(campaign, seed, directory, as_written)
    drawn = [
        intent if as_written and head_of(intent) not in composed else replace(intent, drawn=True)
        for intent in outage_first(plan.intents)
    ]
    return replace(plan, intents=drawn)


def _swarmed(campaign: Campaign, seed: int, directory: Path, as_written: bool) -> Plan:
    knobs = Knobs(seed, "search")
    nodes = node_names(campaign, directory)
    if not as_written:
        section = section_of(campaign, seed)
        campaign = with_section(campaign, section, nodes, seed)
        load_ns = campaign.duration if section else min(campaign.duration, knobs.choose("load", LOADS_NS))
        campaign = campaign.model_copy(update={"duration": load_ns})
        outage = _ITEMS.validate_python(outage_of(seed)) if section == "members" else []
        campaign = campaign.model_copy(update={"faults": outage + _drawn_faults(campaign, knobs, seed, directory)})
        campaign = campaign.model_copy(update={"workloads": [*campaign.workloads, *more_workloads(campaign, seed)]})
    written = campaign.model_copy(update={"workloads": _drawn_workloads(campaign, knobs, seed, nodes)})
    campaign = written.model_copy(update={"system": _drawn_system(campaign.system, seed)})
    plan = _in_drawn_world(campaign, seed, directory)
    if campaign.liveness is not None:
        # A requirement of the campaign holds in every trial, so node and parameters are as written where the drawn ones are too slow for it.
        return plan if keeps_time(plan) else make_plan(written, directory)
    liveness = None if as_written else _drawn_liveness(campaign, knobs)
    if liveness is None or not keeps_time(plan):
        return plan
    return _in_drawn_world(campaign.model_copy(update={"liveness": liveness}), seed, directory)


def _in_drawn_world(campaign: Campaign, seed: int, directory: Path) -> Plan:
    plan = make_plan(campaign, directory)
    return replace(plan, world=drawn_world(plan, seed))


def keeps_time(plan: Plan) -> bool:
    """Return whether the plan's network is quick enough for its nodes to elect a leader that stays: Raft requires broadcast times an order of
    magnitude below the election timeout (Ongaro and Ousterhout 2014, 5.6). Otherwise liveness cannot be required.
    """
    return world_of(plan).keeps_time(next(iter(node_configs(plan).values())).timing.election_min_ns)


def drawn_world(plan: Plan, seed: int) -> dict[str, Any]:
    """Every drawn simulation parameter, by its name; how a run is checked and recorded is up to the caller."""
    drawn = asdict(swarm(seed, world_of(plan)))
    return {name: value for name, value in drawn.items() if name not in _HOW_IT_IS_CHECKED or name in plan.world}


def _drawn_system(system: SystemSpec, seed: int) -> SystemSpec:
    """The node's knobs; leases that the campaign requires stay."""
    drawn = swarm_node(seed)
    drawn["lease_reads"] = drawn["lease_reads"] or system.lease_reads
    return SystemSpec.model_validate({**system.model_dump(mode="json"), **drawn})


def _drawn_workloads(campaign: Campaign, knobs: Knobs, seed: int, nodes: Sequence[str]) -> list[dict[str, Any]]:
    """The campaign's workloads, each with its share of the drawn operations, if it would try more, and on as few keys as were drawn."""
    specs = campaign.workload_specs
    sharing = sum(not spec.reactive for spec in specs.values())
    most = knobs.choose("operations", OPERATIONS) / sharing * SECOND / campaign.duration
    # A cas in a transaction is judged by search alone: the checkers of sessions do not know it.
    refused = any(getattr(spec, "refused", 0) for spec in specs.values())
    levels = None if refused else drawn_levels(seed)
    calm = "register" in specs and quiet(seed)
    drawn = []
    for name, spec in specs.items():
        options = {**spec.model_dump(mode="json"), "rate": min(spec.rate, most)}
        if spec.bursts is not None:
            # Keeps its density relative to the rest.
            options["bursts"] = {**options["bursts"], "rate": spec.bursts.rate * options["rate"] / spec.rate}
        if levels is not None and name in ("register", "race") and options["levels"] == {"linearizable": 1}:
            options["levels"] = levels
        if "keys" in options:
            options["keys"] = min(options["keys"], knobs.choose("keys", KEYS))
        if name == "register" and spec.bursts is None:
            options |= ({"mix": QUIET_MIX} if calm else {}) | open_load(seed, campaign.duration, nodes)
        elif calm and not spec.reactive:
            options["rate"] = min(options["rate"], QUIET_RATE)
        drawn.append({name: options})
    return drawn


def _drawn_faults(campaign: Campaign, knobs: Knobs, seed: int, directory: Path) -> list[Any]:
    """The active items of the campaign and of the swarm; any of them may be active together."""
    own = [item for place, item in enumerate(campaign.faults) if knobs.on(f"fault/{place}")]
    swarmed = _ITEMS.validate_python(swarm_faults(seed, node_names(campaign, directory), campaign.duration))
    if campaign.liveness is not None and campaign.liveness.rest == "ring":
        # A ring has majorities of the nodes: with changed voters, no node of a ring may see a quorum.
        swarmed = [item for item in swarmed if item.spec.kind != "voters"]
    return _that_fit([_overlapping(item) for item in own] + swarmed, seed, campaign.duration)


def _drawn_liveness(campaign: Campaign, knobs: Knobs) -> LivenessSpec | None:
    """Draw the liveness phase. In some seeds the load is followed by a phase in which the rest stays broken and a core must recover; a ring only if
    no voters change.
    """
    moving = [item.spec for item in campaign.faults if isinstance(item.spec, VotersSpec | MembershipSpec)]
    tears = any(
        isinstance(item.spec, DiskSpec) and item.spec.effect is DiskEffect.TORN_WRITE for item in campaign.faults
    )
    if not knobs.on("liveness", LIVENESS_PPM) or tears or any(spec.optional for spec in moving):
        # While weights move it is unknown which nodes are a quorum. A torn write may leave a node of the core in doubt of its log.
        return None
    ways = [way for way in WAYS if not (way == "ring" and changes_voters(campaign.faults))]
    return LivenessSpec(rest=knobs.choose("rest", ways))


def _overlapping(item: Any) -> Any:
    """The item, allowed to be active together with others of its kind."""
    if not isinstance(item.spec, Timing):
        return item
    return item.model_copy(update={item.field(): item.spec.model_copy(update={"overlap": True})})


def _that_fit(items: Sequence[Any], seed: int, load_ns: int) -> list[Any]:
    """The items without those for which a shorter load, or the campaign's recovery windows, leave no room."""
    windows = [item for item in items if isinstance(item.spec, RecoverySpec)]
    return [item for item in items if item in windows or _fit([*windows, item], seed, load_ns)]


def _fit(items: Sequence[Any], seed: int, load_ns: int) -> bool:
    try:
        planned(items, seed=seed, load_ns=load_ns)
    except CampaignError:
        return False
    return True
