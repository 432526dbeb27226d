"""Mutants: plans that differ a little from plans that had reached something new. Pure: parents and a seed determine the mutant.

One parent is changed in one to three ways. Of two parents, the first's faults up to a moment are followed by the second's from then on. Changes
of voters stay unchanged, since they depend on each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

from ..nemesis.catalog.knobs import Knobs
from ..nemesis.faults.fault import Intent
from ..nemesis.specs.links import Shape
from ..run.plan.plan import Plan
from ..run.simulated import world_of
from ..simulator.options import MILLISECOND
from .draw import keeps_time
from .swarm import swarm, swarm_node

TARGETS = ("leader", "follower", "one", "minority")
"""Targets of a changed fault: a correct node must stay valid whatever the draw, so never a majority at once."""
SHAPES = tuple(
    shape.value
    for shape in (
        Shape.HALVES,
        Shape.RANDOM_HALVES,
        Shape.ISOLATE_ONE,
        Shape.MAJORITIES_RING,
        Shape.BRIDGE,
        Shape.MINORITY_THIRD,
        Shape.LEADER_MINORITY,
        Shape.LEADER_MAJORITY,
    )
)
"""Shapes of links that may replace one another."""

MIN_NS = 50 * MILLISECOND
MAX_FAULTS = 120
"""A plan with more faults is only made smaller, so that mutants of mutants do not grow without end."""


def mutated(parents: Sequence[Plan], seed: int) -> Plan:
    """Return the mutant of one or two plans, drawn by `seed`."""
    knobs = Knobs(seed, "mutate")
    plan = parents[0] if len(parents) == 1 else _spliced(parents[0], parents[1], knobs)
    for number in range(knobs.between("changes", 1, 3)):
        changes = Knobs(seed, f"mutate/{number}")
        plan = changes.choose("what", CHANGES)(plan, changes, f"{seed}.{number}")
    return plan if plan.liveness is None or keeps_time(plan) else plan.without_liveness()


def _spliced(first: Plan, second: Plan, knobs: Knobs) -> Plan:
    load_ns = first.timing.load_ns
    turn_ns = knobs.between("turn", 0, load_ns)
    mine = [intent for intent in first.intents if intent.at_ns < turn_ns or intent.kind == "voters"]
    theirs = [intent for intent in second.intents if turn_ns <= intent.at_ns and intent.kind != "voters"]
    taken = {intent.id for intent in mine}
    fitting = [intent for intent in theirs if _end_ns(intent) <= load_ns and intent.id not in taken]
    return replace(first, intents=_in_order([*mine, *fitting]))


def _drop(plan: Plan, knobs: Knobs, name: str) -> Plan:
    """Drop one fault, or all of a kind."""
    movable = _movable(plan)
    if not movable:
        return plan
    gone = knobs.choose("which", movable)
    if knobs.on("kind", 250_000):
        return replace(plan, intents=[intent for intent in plan.intents if intent.kind != gone.kind])
    return replace(plan, intents=[intent for intent in plan.intents if intent is not gone])


def _repeat(plan: Plan, knobs: Knobs, name: str) -> Plan:
    """Repeat one fault at another time."""
    movable = _movable(plan)
    if not movable or len(plan.intents) >= MAX_FAULTS:
        return _drop(plan, knobs, name)
    intent = knobs.choose("which", movable)
    key = f"{intent.key.partition('+')[0]}+{name}"
    again = replace(intent, id=key, key=key, at_ns=knobs.between("at", 0, _latest_ns(plan, intent)))
    return replace(plan, intents=_in_order([*plan.intents, again]))


def _shift(plan: Plan, knobs: Knobs, name: str) -> Plan:
    """Move one fault a little earlier or later, or right after the start of another one."""
    movable = _movable(plan)
    if not movable:
        return plan
    intent = knobs.choose("which", movable)
    near = knobs.choose("near", movable).at_ns if knobs.on("near") else intent.at_ns
    by_ns = knobs.choose("by", (-1000, -300, -100, -30, -10, 0, 10, 30, 100, 300, 1000)) * MILLISECOND
    return _with(plan, intent, replace(intent, at_ns=max(0, min(near + by_ns, _latest_ns(plan, intent)))))


def _stretch(plan: Plan, knobs: Knobs, name: str) -> Plan:
    """Make one fault last a quarter, half, twice or four times as long."""
    movable = [intent for intent in _movable(plan) if intent.for_ns is not None]
    if not movable:
        return plan
    intent = knobs.choose("which", movable)
    assert intent.for_ns is not None
    wanted_ns = max(MIN_NS, intent.for_ns * knobs.choose("quarters", (1, 2, 8, 16)) // 4)
    room_ns = plan.timing.load_ns - intent.at_ns
    return _with(plan, intent, replace(intent, for_ns=max(1, min(wanted_ns, room_ns))))


def _retarget(plan: Plan, knobs: Knobs, name: str) -> Plan:
    """Aim one fault at other nodes or links."""
    aimed = [intent for intent in _movable(plan) if isinstance(intent.parameters.get("target"), str) or _shaped(intent)]
    if not aimed:
        return plan
    intent = knobs.choose("which", aimed)
    changed = (
        {"shape": knobs.choose("shape", SHAPES)} if _shaped(intent) else {"target": knobs.choose("target", TARGETS)}
    )
    return _with(plan, intent, replace(intent, parameters={**intent.parameters, **changed}))


def _other_world(plan: Plan, knobs: Knobs, name: str) -> Plan:
    """Set one to four simulation parameters as another seed would."""
    here = asdict(world_of(plan))
    there = asdict(swarm(knobs.bits("world"), world_of(plan)))
    differing = [option for option in there if there[option] != here[option]]
    chosen = {knobs.choose(f"option/{number}", differing) for number in range(knobs.between("options", 1, 4))}
    return replace(plan, world={**plan.world, **{option: there[option] for option in sorted(chosen)}})


def _other_node(plan: Plan, knobs: Knobs, name: str) -> Plan:
    """Set one knob of the node as another seed would; leases stay."""
    there = swarm_node(knobs.bits("node"))
    knob = knobs.choose("knob", [knob for knob in there if knob != "lease_reads"])
    return replace(plan, options={**plan.options, "system": {**plan.options["system"], knob: there[knob]}})


def _reseed(plan: Plan, knobs: Knobs, name: str) -> Plan:
    """Draw again everything that is drawn while the plan runs."""
    return replace(plan, seed=knobs.bits("seed") >> 33)


Change = Callable[[Plan, Knobs, str], Plan]
CHANGES: tuple[Change, ...] = (
    _drop,
    _repeat,
    _shift,
    _shift,
    _stretch,
    _retarget,
    _other_world,
    _other_node,
    _reseed,
)


def _movable(plan: Plan) -> list[Intent]:
    return [intent for intent in plan.intents if intent.kind != "voters"]


def _shaped(intent: Intent) -> bool:
    """Return whether any other shape of links can replace this one: it has no target, direction or edges of its own."""
    return intent.parameters.get("shape") in SHAPES


def _with(plan: Plan, old: Intent, new: Intent) -> Plan:
    return replace(plan, intents=_in_order([new if intent is old else intent for intent in plan.intents]))


def _in_order(intents: Sequence[Intent]) -> list[Intent]:
    return sorted(intents, key=lambda intent: (intent.at_ns, intent.id))


def _end_ns(intent: Intent) -> int:
    return intent.at_ns + (intent.for_ns or 0)


def _latest_ns(plan: Plan, intent: Intent) -> int:
    """The last moment at which it can start and still end within the load."""
    return max(0, plan.timing.load_ns - max(1, intent.for_ns or 1))
