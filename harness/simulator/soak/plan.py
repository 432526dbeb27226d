"""From a seed to a plan: the parameters, the cluster's configuration, and every fault with its time and target.

Swarm testing (Groce et al. 2012): each kind of fault is left out of half of the seeds, because a fault that is always there hides what
needs its absence. Every draw is keyed, so a plan with some actions dropped is otherwise the same plan.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from tribulation.node.config.node import NodeConfig
from tribulation.node.flaws.switch import FLAWS

from ...keyed_random import between, choose, draw, happens, key_of
from ...nemesis.faults.fault import CLIENTS
from ..options import MICROSECOND, MILLISECOND, SECOND, SimOptions

LEADER = "$leader"
"""A target that is resolved only when the fault begins."""


@dataclass(frozen=True, slots=True)
class Action:
    """`number` is its place in the plan as drawn, by which it can be kept or dropped."""

    number: int
    at_ns: int
    kind: str
    target: str
    for_ns: int
    detail: Any = None

    def __str__(self) -> str:
        detail = "" if self.detail is None else f" {self.detail}"
        return f"{self.number}: {self.at_ns / SECOND:.3f}s {self.kind} {self.target} for {self.for_ns / SECOND:.3f}s{detail}"


@dataclass(frozen=True, slots=True)
class Ambush:
    """Waits for a trace line: does `kind` to the node that wrote `event`, if it leads, with a chance in parts per million."""

    event: str
    kind: str
    for_ns: int
    chance_ppm: int


@dataclass(frozen=True, slots=True)
class SoakPlan:
    """`chaos_ns` is when the faults end and everything is healed; `settle_ns` how long recovery may then take.

    `readers`: so many of the clients only read, each at a node of its own: a client that also writes soon hangs at a leader that lost its followers.
    `bridged`: before the healed period, the leader and the node so many places after it stay cut off from each other, and terms must not change.
    """

    seed: int
    nodes: tuple[str, ...]
    voters: dict[str, int]
    config: dict[str, Any]
    options: SimOptions
    clients: int
    keys: int
    gap_ns: int
    readers: int = 0
    reader_gap_ns: int = 20 * MILLISECOND
    actions: tuple[Action, ...] = ()
    ambushes: tuple[Ambush, ...] = ()
    bridged: int | None = None
    aim: str | None = None
    without: tuple[str, ...] = ()
    """Sorts of fault that were left out (`sorts.py`)."""
    chaos_ns: int = 8 * SECOND
    settle_ns: int = 20 * SECOND

    def configs(self) -> dict[str, NodeConfig]:
        peers = {name: ["10.0.0.1", 10000 + i] for i, name in enumerate(self.nodes)}
        common = {"cluster": "soak", "peers": peers, "voters": self.voters, **self.config}
        return {name: NodeConfig.from_json({"node": name, **common}) for name in self.nodes}

    def only(self, numbers: tuple[int, ...]) -> SoakPlan:
        return replace(self, actions=tuple(action for action in self.actions if action.number in numbers))


@dataclass
class Draws:
    """A stream of draws for one purpose."""

    seed: int
    purpose: str
    count: int = 0
    key: int = field(init=False)

    def __post_init__(self) -> None:
        self.key = draw(self.seed, key_of(self.purpose))

    def bits(self) -> int:
        self.count += 1
        return draw(self.key, self.count)

    def between(self, low: int, high: int) -> int:
        return between(self.bits(), low, high)

    def choose(self, options: Any) -> Any:
        return choose(self.bits(), options)

    def half(self) -> bool:
        return happens(self.bits(), 500_000)


def draw_plan(seed: int, flaws: tuple[str, ...] = ()) -> SoakPlan:
    draws = Draws(seed, "plan")
    nodes = tuple(f"n{i + 1}" for i in range(draws.choose((3, 3, 3, 4, 5, 5))))
    voters = {name: draws.choose((1, 1, 1, 1, 2, 3)) for name in nodes} if draws.half() else dict.fromkeys(nodes, 1)
    if len(nodes) > 3 and draws.between(0, 3) == 0:
        voters.pop(draws.choose(nodes))
    config = {
        "timing": "fast",
        "snapshot_threshold": draws.choose((3, 10, 30, 100, 10_000)),
        "max_batch": draws.choose((1, 2, 8, 1024)),
        "lease_reads": draws.between(0, 3) == 0,
        "flaws": list(flaws),
    }
    for name in flaws:
        config |= FLAWS[name].settings
    plan = SoakPlan(
        seed=seed,
        nodes=nodes,
        voters=voters,
        config=config,
        options=_options(Draws(seed, "options")),
        clients=draws.between(2, 5),
        keys=draws.between(1, 3),
        gap_ns=draws.choose((5, 20, 60)) * MILLISECOND,
    )
    return replace(plan, actions=numbered(_actions(plan)))


def _options(draws: Draws) -> SimOptions:
    lossy, repeating, shuffled = draws.half(), draws.half(), draws.half()
    return SimOptions(
        latency_min_ns=draws.choose((50, 200, 1000)) * MICROSECOND,
        latency_mean_ns=draws.choose((100, 500, 5000)) * MICROSECOND,
        loss_ppm=draws.choose((1_000, 20_000, 100_000)) if lossy else 0,
        duplicate_ppm=draws.choose((10_000, 100_000)) if repeating else 0,
        reorder_ppm=draws.choose((10_000, 100_000)) if shuffled else 0,
        reorder_ns=draws.choose((5, 100, 1500)) * MILLISECOND,
        stall_timeout_ns=draws.choose((500, 3000)) * MILLISECOND,
        fsync_mean_ns=draws.choose((50, 500, 10_000)) * MICROSECOND,
        drift_max_ppm=draws.choose((0, 200, 5000)),
    )


_KINDS = (
    "partition",
    "one-way",
    "bridge",
    "kill",
    "power",
    "kill-power",
    "pause",
    "clock",
    "fsync",
    "stall",
    "clog",
    "transfer",
    "voters",
    "blackout",
)


def _actions(plan: SoakPlan) -> list[Action]:
    actions: list[Action] = []
    for kind in _KINDS:
        draws = Draws(plan.seed, f"actions/{kind}")
        if not draws.half():
            continue
        for _ in range(draws.between(1, 4)):
            actions += _draw_action(plan, kind, draws)
    return actions


def numbered(actions: list[Action]) -> tuple[Action, ...]:
    ordered = sorted(actions, key=lambda action: (action.at_ns, action.kind, action.target))
    return tuple(replace(action, number=number) for number, action in enumerate(ordered))


def _draw_action(plan: SoakPlan, kind: str, draws: Draws) -> Iterator[Action]:
    at_ns = draws.between(500, plan.chaos_ns // MILLISECOND - 500) * MILLISECOND
    for_ns = draws.choose((30, 200, 700, 2000)) * draws.between(1, 2) * MILLISECOND
    target = LEADER if draws.between(0, 2) == 0 else draws.choose(plan.nodes)
    detail: Any = None
    if kind in ("partition", "one-way", "bridge"):
        yield Action(0, at_ns, "cut", target, for_ns, _cut(plan, kind, target, draws))
        return
    if kind == "clock":
        detail = draws.choose((-60, -1, 1, 3600)) * SECOND
    elif kind == "kill-power":
        # What a killed process left in the page cache is lost after its successor has read it.
        detail, for_ns = draws.choose((6, 10, 20, 60, 150)) * MILLISECOND, 300 * MILLISECOND
    elif kind == "transfer":
        detail = draws.choose(plan.nodes)
    elif kind == "voters":
        detail = {name: draws.choose((0, 1, 1, 2)) for name in plan.nodes}
        detail[draws.choose(plan.nodes)] = 1
    elif kind == "clog":
        detail = draws.choose([name for name in (*plan.nodes, CLIENTS) if name != target])
    yield Action(0, at_ns, kind, target, for_ns, detail)


def _cut(plan: SoakPlan, kind: str, target: str, draws: Draws) -> dict[str, Any]:
    """A cut as sides: `$leader` may be in one of them, so edges are made when the time comes."""
    others = [name for name in plan.nodes if name != target]
    if kind == "partition":
        here = [target] + [name for name in others if draws.between(0, 3) == 0]
        if draws.between(0, 3) == 0:
            here.append(CLIENTS)
        return {"here": here, "ways": "both"}
    if kind == "one-way":
        return {"here": [target], "ways": draws.choose(("out", "in"))}
    return {"here": [target], "spared": draws.choose(others), "ways": "both"}
