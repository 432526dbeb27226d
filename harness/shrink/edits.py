"""Smaller plans from a plan: each function leaves out or simplifies something, whether or not the result still fails.

All of them are pure. The rest keeps its identity (the slot's number, the intent's key, the operation's value), so that its draws
stay the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..nemesis.faults.fault import CLIENTS, Intent
from ..run.plan.build import default_voters
from ..run.plan.plan import Pinned, Plan


def with_faults(plan: Plan, intents: Iterable[Intent]) -> Plan:
    return replace(plan, intents=list(intents))


Moment = tuple[int, str]
"""When a fault that waited for an event began, and the event's node."""


def at_moments(plan: Plan, moments: Mapping[str, Moment]) -> Plan:
    """Replace events by times: a fault that waited for an event begins when it did, and one that never began is dropped."""

    def timed(intent: Intent) -> Intent:
        at_ns, node = moments[intent.id]
        aimed = {"target": [node]} if intent.parameters.get("target") == "trigger" else {}
        return replace(intent, at_ns=at_ns, parameters={**intent.parameters, **aimed}, lane="", on=None)

    if all(intent.on is None for intent in plan.intents):
        return plan
    kept = [
        intent if intent.on is None else timed(intent)
        for intent in plan.intents
        if intent.on is None or intent.id in moments
    ]
    return with_faults(plan, sorted(kept, key=lambda intent: (intent.at_ns, intent.id)))


def with_operations(plan: Plan, pinned: Iterable[Pinned]) -> Plan:
    return replace(plan, pinned=list(pinned))


def operations(plan: Plan) -> Sequence[Pinned]:
    """The pinned operations; none for a plan that draws its own."""
    return plan.pinned or ()


def until(plan: Plan, load_ns: int) -> Plan:
    """End the load at `load_ns`; what would begin later is dropped."""
    load_ns = max(1, load_ns)
    pinned = None if plan.pinned is None else [op for op in plan.pinned if op.at_ns < load_ns]
    return replace(
        plan,
        timing=replace(plan.timing, load_ns=load_ns),
        intents=[intent for intent in plan.intents if intent.at_ns < load_ns],
        pinned=pinned,
    )


def since(plan: Plan, from_ns: int) -> Plan:
    """Drop everything before `from_ns`, which becomes the beginning; an active fault begins there."""
    intents = []
    for intent in plan.intents:
        at_ns, for_ns = intent.at_ns - from_ns, intent.for_ns
        if at_ns < 0 and for_ns is not None:
            for_ns += at_ns
        if for_ns is None or for_ns > 0:
            intents.append(replace(intent, at_ns=max(0, at_ns), for_ns=for_ns))
    pinned = None
    if plan.pinned is not None:
        pinned = [replace(op, at_ns=op.at_ns - from_ns) for op in plan.pinned if op.at_ns >= from_ns]
    timing = replace(plan.timing, load_ns=max(1, plan.timing.load_ns - from_ns))
    return replace(plan, timing=timing, intents=intents, pinned=pinned)


def without_ending(plan: Plan, *, reads: bool) -> Plan:
    """Remove the quiet period after the heal and the final reads; with `reads`, keep both."""
    return plan if reads else replace(plan, timing=replace(plan.timing, quiet_ns=0, final_ns=0))


def with_slots(plan: Plan, kept: Iterable[int]) -> Plan:
    """Keep only these clients, with their operations; workloads without a client are dropped."""
    numbers = frozenset(kept)
    slots = [slot for slot in plan.slots if slot.slot in numbers]
    used = {slot.workload for slot in slots}
    return replace(
        plan,
        slots=slots,
        pinned=None if plan.pinned is None else [op for op in plan.pinned if op.slot in numbers],
        workloads={name: workload for name, workload in plan.workloads.items() if name in used},
    )


def on_nodes(plan: Plan, kept: Iterable[str]) -> Plan:
    """Reduce the cluster to these nodes. Clients of the others are dealt to them; faults that named only others are dropped."""
    names = frozenset(kept)
    nodes = [node for node in plan.nodes if node in names]
    usual = dict(plan.voters) == default_voters(plan.nodes)
    voters = default_voters(nodes) if usual else {node: w for node, w in plan.voters.items() if node in names}
    slots = [
        slot if slot.node in names else replace(slot, node=nodes[number % len(nodes)])
        for number, slot in enumerate(plan.slots)
    ]
    intents = [left for intent in plan.intents if (left := _on_nodes(intent, names)) is not None]
    settling = tuple(slot for slot in plan.settling if slot.node in names)
    options = {**plan.options, "hosts": {**plan.options.get("hosts", {}), "nodes": len(nodes)}}
    return replace(plan, nodes=nodes, voters=voters, slots=slots, settling=settling, intents=intents, options=options)


def _on_nodes(intent: Intent, names: frozenset[str]) -> Intent | None:
    """The fault without its references to other nodes; None when nothing is left."""
    parameters = dict(intent.parameters)
    present = names | {CLIENTS}
    if isinstance(parameters.get("edges"), list):
        parameters["edges"] = [[a, b] for a, b in parameters["edges"] if a in present and b in present]
    if isinstance(parameters.get("target"), list):
        parameters["target"] = [node for node in parameters["target"] if node in names]
    if isinstance(parameters.get("set"), Mapping):
        parameters["set"] = {node: weight for node, weight in parameters["set"].items() if node in names}
    emptied = any(name in intent.parameters and parameters[name] in ([], {}) for name in ("edges", "target", "set"))
    return None if emptied else replace(intent, parameters=parameters)


def with_places(plan: Plan, nodes: Sequence[str]) -> Plan:
    """Have clients talk to these nodes, one for each slot."""
    return replace(plan, slots=[replace(slot, node=node) for slot, node in zip(plan.slots, nodes, strict=True)])


def with_voters(plan: Plan, voters: Mapping[str, int]) -> Plan:
    return replace(plan, voters=dict(voters))


def with_one_key(plan: Plan, workload: str, key: str, into: str) -> Plan:
    """Do the operations of `key` on `into`."""
    return with_operations(
        plan,
        [
            replace(pinned, op=replace(pinned.op, key=into))
            if (pinned.op.workload, pinned.op.key) == (workload, key)
            else pinned
            for pinned in operations(plan)
        ],
    )


def keys(plan: Plan) -> list[tuple[str, str]]:
    """Workload and key of all operations, in order of first use."""
    return list(dict.fromkeys((pinned.op.workload, pinned.op.key) for pinned in operations(plan)))


def values_written(plan: Plan, workload: str, key: str) -> frozenset[str]:
    """Values that operations write to the key, as text. Keys may be merged only where these differ: values must stay unique."""
    return frozenset(
        str(pinned.op.value[1] if pinned.op.f == "cas" else pinned.op.value)
        for pinned in operations(plan)
        if (pinned.op.workload, pinned.op.key) == (workload, key) and pinned.op.f != "read"
    )


def in_one_client(plan: Plan, slot: int, into: int) -> Plan:
    """Have `into`, of the same workload, do the operations of client `slot`, and drop `slot`."""
    moved = [replace(op, slot=into) if op.slot == slot else op for op in operations(plan)]
    moved.sort(key=lambda op: op.at_ns)
    return with_slots(with_operations(plan, moved), [other.slot for other in plan.slots if other.slot != slot])


# Times.


def points(plan: Plan) -> list[int]:
    """All times at which something begins or ends in the plan, and the end of the load; sorted, each once, from 0."""
    times = {0, plan.timing.load_ns, *(op.at_ns for op in operations(plan))}
    for intent in plan.intents:
        times.add(intent.at_ns)
        if intent.for_ns is not None:
            times.add(min(intent.at_ns + intent.for_ns, plan.timing.load_ns))
    return sorted(times)


def retimed(plan: Plan, moved: Callable[[int], int]) -> Plan:
    """Map every time of the plan by `moved` (monotone, ns to ns); durations follow."""
    load_ns = plan.timing.load_ns

    def over(intent: Intent) -> Intent:
        at_ns = moved(intent.at_ns)
        if intent.for_ns is None:
            return replace(intent, at_ns=at_ns)
        end_ns = intent.at_ns + intent.for_ns
        # The heal ends what lasts beyond the load; after it, only the remaining length matters.
        end_ns = moved(end_ns) if end_ns <= load_ns else moved(load_ns) + end_ns - load_ns
        return replace(intent, at_ns=at_ns, for_ns=max(0, end_ns - at_ns))

    return replace(
        plan,
        timing=replace(plan.timing, load_ns=max(1, moved(load_ns))),
        intents=[over(intent) for intent in plan.intents],
        pinned=None if plan.pinned is None else [replace(op, at_ns=moved(op.at_ns)) for op in plan.pinned],
    )


def without_gap(plan: Plan, from_ns: int, to_ns: int, keep_ns: int) -> Plan:
    """Shorten the gap between two neighbouring times to `keep_ns`."""
    saved = to_ns - from_ns - keep_ns
    return retimed(plan, lambda at_ns: at_ns if at_ns <= from_ns else max(from_ns, at_ns - saved))


def with_point(plan: Plan, from_ns: int, to_ns: int) -> Plan:
    """Move what begins or ends at the one time to the other; the order of times must stay."""
    return retimed(plan, lambda at_ns: to_ns if at_ns == from_ns else at_ns)


def snapped(plan: Plan, grid_ns: int) -> Plan:
    """Round all times to the nearest multiple of `grid_ns`; nothing gets shorter than one step."""

    def near(at_ns: int) -> int:
        return (at_ns + grid_ns // 2) // grid_ns * grid_ns

    def fault(intent: Intent) -> Intent:
        for_ns = None if intent.for_ns is None else max(grid_ns, near(intent.for_ns))
        return replace(intent, at_ns=near(intent.at_ns), for_ns=for_ns)

    return replace(
        plan,
        timing=replace(plan.timing, load_ns=max(grid_ns, -(-plan.timing.load_ns // grid_ns) * grid_ns)),
        intents=[fault(intent) for intent in plan.intents],
        pinned=None if plan.pinned is None else [replace(op, at_ns=near(op.at_ns)) for op in plan.pinned],
    )


def with_gaps_at_most(plan: Plan, most_ns: int) -> Plan:
    """Shorten gaps, so that no two neighbouring times are more than `most_ns` apart."""
    for place in range(len(points(plan)) - 1):
        times = points(plan)
        if times[place + 1] - times[place] > most_ns:
            plan = without_gap(plan, times[place], times[place + 1], most_ns)
    return plan


def lasting(plan: Plan) -> Plan:
    """Have faults that would be healed after the load last until the final heal."""
    return with_faults(
        plan,
        [
            replace(intent, for_ns=None)
            if intent.for_ns is not None and intent.at_ns + intent.for_ns >= plan.timing.load_ns
            else intent
            for intent in plan.intents
        ],
    )


def nudged(plan: Plan, by_ns: int) -> list[Plan]:
    """The plan's neighbours: one for each fault and operation, with its time moved by `by_ns`. None starts before 0."""
    intents, pinned = list(plan.intents), list(operations(plan))
    neighbours = []
    for at, intent in enumerate(intents):
        if intent.at_ns + by_ns >= 0:
            moved = replace(intent, at_ns=intent.at_ns + by_ns)
            neighbours.append(with_faults(plan, [*intents[:at], moved, *intents[at + 1 :]]))
    for at, op in enumerate(pinned):
        if op.at_ns + by_ns >= 0:
            later = replace(op, at_ns=op.at_ns + by_ns)
            neighbours.append(with_operations(plan, [*pinned[:at], later, *pinned[at + 1 :]]))
    return neighbours


# The simulation parameters and the nodes' options.


def with_world(plan: Plan, names: Iterable[str]) -> Plan:
    """Keep only these simulation parameters; the others get their defaults."""
    kept = frozenset(names)
    return replace(plan, world={name: value for name, value in plan.world.items() if name in kept})


def with_system(plan: Plan, fields: Mapping[str, Any]) -> Plan:
    """Set these fields of the campaign's `system:`."""
    return replace(plan, options={**plan.options, "system": {**plan.options["system"], **fields}})
