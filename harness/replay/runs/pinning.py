"""Plan made from a recorded history and its faults, to repeat them in the simulator.

Each operation is pinned to the time at which it was invoked and to the client that did; each fault names the nodes and edges to which it was
resolved, at the time at which it was active. Facts that a plan does not contain (message delays, the elected leader) depend on the seed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tribulation.checkers.base.result import Fault, RunRecord
from tribulation.histories import NEMESIS
from tribulation.histories.model.operation import Event, Type

from ...campaign.model import SystemSpec
from ...campaign.simulable import require_simulable
from ...errors import CampaignError
from ...nemesis.catalog import catalog
from ...nemesis.faults.fault import Intent
from ...run.plan.build import default_voters
from ...run.plan.plan import Pinned, Plan, Slot, Timing
from ...systems.base import Op
from ...user_files.yaml_loader import suggest
from ...workloads import WORKLOADS
from ...workloads.settle import SETTLE

MILLISECOND = 1_000_000
SECOND = 1000 * MILLISECOND
BARE = Timing(load_ns=0, quiet_ns=SECOND, final_ns=5 * SECOND, operation_ns=SECOND)
"""Times for a history without a plan; its load ends with its last invocation."""


@dataclass(frozen=True, slots=True)
class PinnedPlan:
    """`slots` maps each process of the recorded history to a client of the plan."""

    plan: Plan
    slots: Mapping[Any, int]


def plan_of_run(plan: Plan, record: RunRecord, flaws: Sequence[str] = ()) -> PinnedPlan:
    """The plan of a run on hosts: the clients, nodes and system of its own plan; operations and faults as they were. Raises `CampaignError` for a
    system that cannot be simulated: the reference cluster's behaviour says nothing about it."""
    load_end_ns = record.phases.get("liveness_end", record.phases.get("load_end", plan.timing.load_ns))
    clients = max((slot.slot for slot in plan.slots), default=0) + 1
    invocations = _invocations(record)
    slots = {event.process: int(event.process) % clients for event in invocations}
    pinned = [
        Pinned(slots[event.process], event.time_ns, _op(event)) for event in invocations if event.time_ns < load_end_ns
    ]
    system = plan.options["system"]
    require_simulable(system, f"the run of campaign {plan.campaign}")
    changes: dict[str, Any] = {"liveness": None} if "liveness_end" in record.phases else {}
    pinned_plan = replace(
        plan,
        timing=replace(plan.timing, load_ns=max(1, load_end_ns)),
        pinned=pinned,
        intents=intents_of(record.faults, load_end_ns),
        options={
            **plan.options,
            "hosts": {**_simulated_hosts(plan.options.get("hosts", {})), "nodes": len(plan.nodes)},
            "system": {**system, "flaws": [*system.get("flaws", ()), *flaws]},
        },
        # Load and faults are given for the times that applied.
        pace=None,
        **changes,
    )
    return PinnedPlan(pinned_plan, slots)


def plan_of_history(name: str, record: RunRecord, flaws: Sequence[str] = (), nodes: int = 5) -> PinnedPlan:
    """The plan of a bare history: the reference cluster, with the nodes that the history names or `nodes` of them, and one client for each concurrent
    process.
    """
    invocations = _invocations(record)
    if not invocations:
        raise CampaignError(f"{name}: the history has no operation", hint="use a history with operations of clients")
    names = sorted({event.node for event in invocations if event.node}) or [f"n{i + 1}" for i in range(nodes)]
    client_of = _clients(record, names)
    used = {client_of[event.process].slot: client_of[event.process] for event in invocations}
    workloads = sorted({workload_of(event) for event in invocations})
    pinned = [Pinned(client_of[event.process].slot, event.time_ns, _op(event)) for event in invocations]
    plan = Plan(
        campaign=name,
        seed=0,
        nodes=names,
        voters=default_voters(names),
        timing=replace(BARE, load_ns=max(event.time_ns for event in invocations) + MILLISECOND),
        workloads={one: WORKLOADS[one][1](one, WORKLOADS[one][0].model_validate({})) for one in workloads},
        slots=[used[slot] for slot in sorted(used)],
        intents=intents_of(record.faults, None),
        options={
            "system": {**SystemSpec().model_dump(mode="json"), "timing": "fast", "flaws": list(flaws)},
            "hosts": {"provider": "sim", "nodes": len(names)},
            "checkers": "auto",
            "checker_options": {},
            "expect": "invalid",
        },
        pinned=pinned,
    )
    return PinnedPlan(plan, {process: slot.slot for process, slot in client_of.items()})


def workload_of(event: Event) -> str:
    """The workload of an operation: the one that it names, else the one that has such operations."""
    name = event.workload or _BY_FUNCTION.get(event.f)
    if name not in WORKLOADS:
        what = f"workload {event.workload!r}" if event.workload else f"operation {event.f!r}"
        raise CampaignError(
            f"the simulator has no {what} (index {event.index} of the history)",
            hint=suggest(str(event.workload), list(WORKLOADS)) if event.workload else "tri list workloads",
        )
    return name


_BY_FUNCTION = {"write": "register", "read": "register", "cas": "register", "add": "set"}


def _invocations(record: RunRecord) -> list[Event]:
    return [e for e in record.history.events if e.type is Type.INVOKE and not _by_itself(e)]


def _by_itself(event: Event) -> bool:
    """Return whether every plan contains it anyway: changes to the cluster, and the clients that try each node at the end."""
    return event.process == NEMESIS or event.workload == SETTLE


def _op(event: Event) -> Op:
    return Op(event.f, event.key, event.value, event.level or "linearizable", workload_of(event))


def _simulated_hosts(hosts: Mapping[str, Any]) -> dict[str, Any]:
    return {**hosts, "provider": "sim", "inventory": None, "lab": None, "clock": "library"}


def _clients(record: RunRecord, nodes: Sequence[str]) -> dict[Any, Slot]:
    """Process → slot. A retired process (`info`) makes room for the next one on its node, as in the runner."""
    clients: dict[Any, Slot] = {}
    free: list[Slot] = []
    for event in record.history.events:
        if _by_itself(event):
            continue
        if event.type is Type.INVOKE and event.process not in clients:
            place = next((i for i, s in enumerate(free) if event.node in (None, s.node)), None)
            number = len({slot.slot for slot in clients.values()})
            node = event.node or nodes[number % len(nodes)]
            new = Slot(number, workload_of(event), number, number + 1, node)
            clients[event.process] = free.pop(place) if place is not None else new
        elif event.type is Type.INFO and event.process in clients:
            free.append(clients[event.process])
    return clients


# Faults


def intents_of(faults: Iterable[Fault], load_end_ns: int | None) -> list[Intent]:
    """The faults that took place, as intents with the targets to which they had been resolved."""
    found: list[Intent] = []
    for fault in faults:
        if fault.injected_ns is None:
            continue
        held = _held_ns(fault, load_end_ns)
        for number, parameters in enumerate(parameters_of(fault)):
            name = fault.id if number == 0 else f"{fault.id}+{number}"
            found.append(Intent(name, fault.kind, parameters, fault.injected_ns, held, name, drawn=fault.drawn))
    return found


def _held_ns(fault: Fault, load_end_ns: int | None) -> int | None:
    """Return how long it was active; None when it lasted until everything was healed."""
    assert fault.injected_ns is not None
    kind = catalog.kind_of(fault.kind)
    if fault.heal_ns is None or (kind is not None and kind.spec.stays):
        return None
    if load_end_ns is not None and fault.heal_ns >= load_end_ns:
        return None
    return max(1, fault.heal_ns - fault.injected_ns)


def parameters_of(fault: Fault) -> list[dict[str, Any]]:
    """Parameters of intents that resolve to this fault in any situation. Clocks set to several times take several."""
    what = {name: value for name, value in fault.intended.items() if name != "trigger"}
    kind = catalog.kind_of(fault.kind)
    if kind is None:
        raise CampaignError(
            f"fault {fault.id} is of kind {fault.kind!r}, which the simulator does not know",
            hint=f"it knows {', '.join(catalog.MODULES)}",
        )
    return kind.pinned(what)
