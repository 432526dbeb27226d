"""The plan of a run: everything that is to happen, before anything happens. A seed determines it; the plan, not the seed, is the artefact.

It holds intents, never results: operations come from keyed streams (`generators`); faults are `Intent`s whose targets are resolved when
they begin. `plan.json` is `to_json()`; every option is in it, and `from_json` reads it back as the same plan.

Shrinking replaces generated operations by a list: a plan with `pinned` operations does these and draws none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from tribulation.checkers.base.acknowledged import READS as NAMES_OF_READS
from tribulation.checkers.soundness.exercised import looks_only

from ...errors import CampaignError, FaultError, TribulationError, shown
from ...nemesis.faults.fault import CLIENTS, Intent, Situation
from ...nemesis.topology.resolve import resolve, vertices
from ...plugins.of_plan import plan_with_plugins
from ...systems.base import Op
from ...user_files.renamed import PLAN, SCHEMA, SCHEMA_VERSION, current
from ...workloads import WORKLOADS
from ...workloads.base import Effect, Workload
from ...workloads.generators import Generator
from ...workloads.settle import SETTLE
from ...workloads.sized import Sizes
from .shape import inspect, valid

LONGEST_MESSAGE = 500
MOST_READ_BY_ALL = 64
"""Keys that every client reads at the end."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Times of a run, in ns. `quiet_ns` lies between the final heal and the final reads; `operation_ns` is an operation's deadline."""

    load_ns: int
    quiet_ns: int
    final_ns: int
    operation_ns: int


@dataclass(frozen=True, slots=True)
class Pace:
    """Bounds in ns of the extra time that a run may take to show something. `hold_most_ns`: for a fault until an operation meets it. `load_more_ns`:
    for the load until every active fault met one and every workload had a change acknowledged (`pacing`).
    """

    hold_most_ns: int
    load_more_ns: int


@dataclass(frozen=True, slots=True)
class Liveness:
    """Liveness phase, after the load: `intents` keep a core isolated for `for_ns`, and within `within_ns` the core must work.

    `settle_ns` None: the rest is broken before the load's faults are healed. Else everything heals first, and the rest is broken that much later.
    """

    within_ns: int
    for_ns: int
    settle_ns: int | None
    intents: Sequence[Intent]


@dataclass(frozen=True, slots=True)
class Slot:
    """One client: the `client`-th of its workload, talking to `node`."""

    slot: int
    workload: str
    client: int
    clients: int
    node: str

    @property
    def only_final(self) -> bool:
        """Whether it makes final reads only."""
        return self.client >= self.clients


@dataclass(frozen=True, slots=True)
class Pinned:
    """An operation written out: `slot` tries `op` at `at_ns` of run time, or as soon as it is free."""

    slot: int
    at_ns: int
    op: Op


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is to happen in a run. `options` are those of the system, the hosts and the checkers; `world` are the simulation parameters
    (`SimOptions`), {} for the defaults.

    `settling` are the clients that try every node when everything is healed (`workloads.settle`); none in plans of older versions. `pinned` None:
    operations are drawn by the workloads. `pace` None, as in plans of older versions: nothing is held, and the load ends at its time.
    """

    campaign: str
    seed: int
    nodes: Sequence[str]
    voters: Mapping[str, int]
    timing: Timing
    workloads: Mapping[str, Workload]
    slots: Sequence[Slot]
    intents: Sequence[Intent]
    options: Mapping[str, Any] = field(default_factory=dict)
    world: Mapping[str, Any] = field(default_factory=dict)
    pinned: Sequence[Pinned] | None = None
    liveness: Liveness | None = None
    pace: Pace | None = None
    settling: Sequence[Slot] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            SCHEMA: SCHEMA_VERSION,
            "campaign": self.campaign,
            "seed": self.seed,
            "nodes": list(self.nodes),
            "voters": dict(self.voters),
            "timing": {
                "load_ns": self.timing.load_ns,
                "quiet_ns": self.timing.quiet_ns,
                "final_ns": self.timing.final_ns,
                "operation_ns": self.timing.operation_ns,
            },
            "workloads": {name: workload.spec.model_dump(mode="json") for name, workload in self.workloads.items()},
            "slots": [_slot_json(slot) for slot in self.slots],
            "intents": [_intent_json(intent) for intent in self.intents],
            "options": dict(self.options),
            "world": dict(self.world),
            "pinned": None if self.pinned is None else [_pinned_json(pinned) for pinned in self.pinned],
            "liveness": None if self.liveness is None else _liveness_json(self.liveness),
            **({} if self.pace is None else {"pace": asdict(self.pace)}),
            **({"judged_by": judged_by} if (judged_by := self.judged_by) else {}),
            **({"settling": [_slot_json(slot) for slot in self.settling]} if self.settling else {}),
        }

    def without_liveness(self) -> Plan:
        """The plan without its liveness phase, and without the limits that have the checker of recovery judge one."""
        options = dict(self.options)
        if "checker_options" in options:
            options["checker_options"] = {k: v for k, v in options["checker_options"].items() if k != "recovery"}
        return replace(self, liveness=None, options=options)

    @property
    def sizes(self) -> Sizes:
        """Sizes of values on their way to the system."""
        found = {name: workload.spec.bytes_of_a_value for name, workload in self.workloads.items()}
        return Sizes({name: size for name, size in found.items() if size is not None})

    def keys_of(self, op: Op) -> Iterable[Any]:
        """The keys that an operation touches, as its workload says."""
        workload = self.workloads.get(op.workload)
        return (op.key,) if workload is None else workload.keys_of(op)

    def final_of(self, slot: Slot, keys: Sequence[str]) -> Generator:
        """Final reads of one client: every key of its workload, or its share of the keys when there are many."""
        mine = keys if len(keys) <= MOST_READ_BY_ALL else keys[slot.client % slot.clients :: slot.clients]
        return self.workloads[slot.workload].final(tuple(mine))

    @property
    def judged_by(self) -> dict[str, list[str]]:
        """Checkers that judge the operations of each workload that names them."""
        found = {name: workload.checkers() for name, workload in self.workloads.items()}
        return {name: list(checkers) for name, checkers in found.items() if checkers is not None}

    @property
    def effects(self) -> dict[tuple[str, str], str]:
        """Effects that workloads declare, by (workload, operation), where they differ from what checkers derive from the operation's name."""
        found = {}
        for name, workload in self.workloads.items():
            for f, effect in workload.operations.items():
                reads = effect is Effect.READS
                if effect is Effect.NEITHER or reads is not looks_only(f) or reads is not (f in NAMES_OF_READS):
                    found[name, f] = effect.value
        return found

    def one_line(self) -> str:
        """Everything but the simulation parameters in one line of JSON; lists that grow with the run are given by their length."""
        data = {name: value for name, value in self.to_json().items() if name != "world"}
        counted = {name: len(data[name]) for name in ("slots", "intents", "pinned") if data[name] is not None}
        return json.dumps({**data, **counted}, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, data: Mapping[str, Any], source: str = "the plan") -> Plan:
        """Read the plan that `to_json` wrote. Raises `CampaignError` naming `source` when it is not a plan."""
        try:
            data = current(data, PLAN) if isinstance(data, Mapping) else data
            inspect(data)
            data = plan_with_plugins(data, source)
            pinned, liveness = data["pinned"], data.get("liveness")
            plan = cls(
                campaign=data["campaign"],
                seed=data["seed"],
                nodes=list(data["nodes"]),
                voters=dict(data["voters"]),
                timing=Timing(**data["timing"]),
                workloads={name: _workload(name, spec) for name, spec in data["workloads"].items()},
                slots=[Slot(*slot) for slot in data["slots"]],
                intents=[Intent(**intent) for intent in data["intents"]],
                options=dict(data["options"]),
                world=dict(data["world"]),
                pinned=None if pinned is None else [Pinned(slot, at_ns, Op(*op)) for slot, at_ns, op in pinned],
                liveness=None if liveness is None else _liveness(liveness),
                pace=Pace(**data["pace"]) if data.get("pace") is not None else None,
                settling=tuple(Slot(*slot) for slot in data.get("settling", ())),
            )
            _require_resolvable(plan)
            return plan
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError, TribulationError) as error:
            raise CampaignError(
                f"{source}: not a plan: {_described(error)}",
                hint="a plan.json is written by `tri run` and `tri search`; was it changed by hand, or by another version?",
            ) from error


def _workload(name: str, spec: Mapping[str, Any]) -> Workload:
    if name not in WORKLOADS:
        raise ValueError(f"$.workloads: no workload {shown(name)}; there are {', '.join(WORKLOADS)}")
    kind, make = WORKLOADS[name]
    return make(name, valid(f"$.workloads.{name}", kind, spec))


def _require_resolvable(plan: Plan) -> None:
    """Raise `ValueError` for a fault that lacks a parameter of its kind, or aims at something that is not a node, checked against a healthy cluster."""
    nodes = list(plan.nodes)
    situation = Situation(nodes, plan.voters, nodes[0], nodes, nodes[0], dict, nodes[-1])
    known = {*nodes, CLIENTS}
    for intent in (*plan.intents, *(plan.liveness.intents if plan.liveness is not None else ())):
        try:
            touched = vertices(resolve(intent, situation, plan.seed))
        except FaultError:
            continue
        except KeyError as error:
            raise ValueError(f"fault {shown(intent.id)} has no {error}") from None
        if strangers := sorted(touched - known):
            raise ValueError(f"fault {shown(intent.id)}: no node {shown(strangers[0])} in the plan")


def _described(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error} is missing"
    text = error.message if isinstance(error, TribulationError) else str(error)
    return text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]}…"


def _slot_json(slot: Slot) -> list[Any]:
    return [slot.slot, slot.workload, slot.client, slot.clients, slot.node]


def _intent_json(intent: Intent) -> dict[str, Any]:
    return {
        "id": intent.id,
        "kind": intent.kind,
        "parameters": dict(intent.parameters),
        "at_ns": intent.at_ns,
        "for_ns": intent.for_ns,
        "key": intent.key,
        **({"lane": intent.lane} if intent.lane else {}),
        **({"on": dict(intent.on)} if intent.on is not None else {}),
        **({"drawn": True} if intent.drawn else {}),
    }


def _liveness_json(liveness: Liveness) -> dict[str, Any]:
    return {
        "within_ns": liveness.within_ns,
        "for_ns": liveness.for_ns,
        "settle_ns": liveness.settle_ns,
        "intents": [_intent_json(intent) for intent in liveness.intents],
    }


def _liveness(data: Mapping[str, Any]) -> Liveness:
    return Liveness(**{**data, "intents": [Intent(**intent) for intent in data["intents"]]})


def _pinned_json(pinned: Pinned) -> list[Any]:
    op = pinned.op
    return [pinned.slot, pinned.at_ns, [op.f, op.key, op.value, op.level, op.workload]]


def make_slots(workloads: Mapping[str, Workload], nodes: Sequence[str], final_everywhere: bool = False) -> list[Slot]:
    """Every workload's clients, dealt in turn to its nodes, or to all of them (each workload starts at the first one).

    `final_everywhere`: each node without a client of a workload has one for final reads only (`Slot.only_final`); so it has where the workload names
    its nodes.
    """
    slots: list[Slot] = []
    for name, workload in workloads.items():
        clients, own = workload.spec.clients, workload.spec.clients_at
        places = [(own or nodes)[client % len(own or nodes)] for client in range(clients)]
        if final_everywhere or own:
            places += [node for node in nodes if node not in places]
        slots += [Slot(len(slots) + i, name, i, clients, node) for i, node in enumerate(places)]
    return slots


SETTLING_FROM = 1_000_000
"""Numbers of the settling clients, and of their processes, begin here: far from those of the load, whose numbers grow when a process retires."""


def settling_slots(nodes: Sequence[str]) -> tuple[Slot, ...]:
    """One client for each node."""
    return tuple(Slot(SETTLING_FROM + i, SETTLE, i, len(nodes), node) for i, node in enumerate(nodes))
