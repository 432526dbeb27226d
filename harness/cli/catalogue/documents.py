"""Fields of the documents that commands print with `--json` and that are not also files. Their JSON Schemas are made from these classes.

Parts that are dataclasses of the code are used as they are; the others are declared here.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from ...cluster.picture import Picture
from ...failures.rates import Rate, Repeat
from ...hosts.local.measure import Measured
from ...hosts.selection.probe import ProbeResult
from ...nemesis.schedule.abilities import Able

Outcome = Literal["valid", "invalid", "unknown"]


class Compared(TypedDict):
    """`tri compare A B --json`: the figures of each run by name, and the names of those that differ."""

    a: dict[str, str | int | float | None]
    b: dict[str, str | int | float | None]
    differs: list[str]


class FailureSignature(TypedDict):
    checker: str
    kind: str


class Difference(TypedDict):
    """A line of the history or of a trace that differs between two runs; null for the run that has ended before it."""

    where: str
    line: int
    time_ns: int | None
    fields: list[str]
    recorded: dict[str, Any] | None
    replayed: dict[str, Any] | None


class Curve(TypedDict):
    """`points`: each [at_ns, runs that fail alike, runs, runs that fail otherwise]; `jump`: the two times between which the rate rises."""

    points: list[tuple[int, int, int, int]]
    jump: tuple[int, int] | None
    events: list[str]


class ExplainedRun(TypedDict):
    """`tri explain RUN --json`. `nearest_passing` is the change by which the run passes; `cut`: the time ended before every similar plan was tried; `answered_otherwise`: [edits, operations]."""

    run: str
    signature: FailureSignature
    seen_ns: int
    nearest_passing: str | None
    tried: int
    cut: bool
    differences: list[Difference]
    answered_otherwise: tuple[int, int] | None
    onset: Curve | None


class Both(TypedDict):
    recorded: str | None
    replayed: str


class ReplayedPlan(TypedDict):
    """`tri replay RUN --json` of a simulated run. `window`: the steps between which the two runs part."""

    run: str
    kept: str | None
    kind: Literal["simulated"]
    equal: bool
    digest: Both
    core: Both
    simulator: Both
    steps: int
    verdict: Outcome
    differences: list[Difference]
    window: tuple[int, int] | None
    unsteady: str | None


class Cores(TypedDict):
    recorded: list[str]
    replayed: str


class StepDifference(TypedDict):
    """The first step that differs from the recording, counted from 1."""

    step: int
    now_ns: int
    why: str
    events: list[str]
    effects: list[str]


class ReplayedNode(TypedDict):
    """One life of a node, tier A: `steps` of `recorded` were replayed; `difference` is null when all are equal."""

    node: str
    incarnation: int
    steps: int
    recorded: int
    events: int
    traces: int
    beyond: int
    core: str | None
    ended: str | None
    halted: str | None
    equal: bool
    difference: StepDifference | None


class MessageCounts(TypedDict):
    sent: int
    received: int
    matched: int
    lost: int
    beyond: int
    unexplained: int


class ReplayedCluster(TypedDict):
    """All nodes together, tier B. `difference`: [node, life, what differs]."""

    kind: Literal["tier B"]
    exact: bool
    nodes: int
    lives: int
    steps: int
    recorded: int
    messages: MessageCounts
    timers: int
    storage: int
    boots: dict[str, int]
    difference: tuple[str, int, str] | None
    causeless: list[str]
    stuck: list[str]


class ReplayedNodes(TypedDict):
    """`tri replay RUN --json` of recorded inputs. `tier_b` is null where it was not tried."""

    run: str
    core: Cores
    tier_a: list[ReplayedNode]
    tier_b: ReplayedCluster | None


class OneSeed(TypedDict):
    """`distance`: [edits, operations]; null when the seed could not be simulated to its end."""

    seed: int
    alike: bool
    distance: tuple[int, int] | None


class SearchedSeeds(TypedDict):
    """Tier C: seeds of the simulator in which the same operations and faults fail alike."""

    kind: Literal["tier C"]
    signature: FailureSignature
    tried: int
    looked_at: int
    first_leader: str | None
    alike: list[int]
    nearest: OneSeed | None
    nearest_alike: OneSeed | None
    kept: str | None


class ReplayedInSimulator(TypedDict):
    run: str
    tier_c: SearchedSeeds


class _Repeats(TypedDict):
    confidence: float
    rates: dict[str, Rate]
    failures: dict[str, Rate]
    runs: list[Repeat]
    exit_code: int


class Repeated(_Repeats):
    """`tri run CAMPAIGN --repeat N --json`: rates by outcome and by `CHECKER/KIND`, with their confidence interval."""

    campaign: str
    asked: int
    until: Outcome | None


class ReplayedOnHosts(_Repeats):
    """`tri replay RUN --json` of a system of one's own: in how many runs its plan fails `alike`."""

    run: str
    failure: str
    alike: Rate


class SmallerHistory(TypedDict):
    """`tri shrink HISTORY --json`. `operations`: [before, after]."""

    schema_version: int
    source: str
    history: str
    signature: FailureSignature
    explanation: str
    operations: tuple[int, int]
    one_minimal: bool
    checks: int
    seconds: float


class Doctor(TypedDict):
    """`tri doctor --json`. `ok`: nothing that is required is missing."""

    ok: bool
    probes: list[ProbeResult]
    faults: list[Able]


class ActiveFault(TypedDict, total=False):
    """A fault that a host still had in its record, and of which run."""

    host: str
    id: str
    kind: str | None
    run: str | None
    by: str | None
    at_ns: int


class NotHealed(TypedDict):
    host: str
    error: str
    hint: str | None


class Healing(TypedDict):
    """`tri heal --json`: what was undone (`HOST: what`), the faults it belonged to, and the hosts that failed."""

    undone: list[str]
    faults: list[ActiveFault]
    failed: list[NotHealed]


class Address(TypedDict):
    name: str
    address: str


class _Up(TypedDict):
    lab: str
    hosts: list[Address]


class HostsUp(_Up, total=False):
    """`tri hosts up --json`. `regions`: region by host. `inventory`: the file for other commands; not for local hosts."""

    inventory: str
    regions: dict[str, str]
    measured: list[Measured]


class LabRow(TypedDict):
    name: str
    provider: Literal["local", "qemu"]
    nodes: int
    alive: bool
    state: Literal["in use", "up", "unused", "stale"]
    directory: str


class PlannedStep(TypedDict):
    action: str
    detail: str


class Refused(TypedDict):
    message: str
    hint: str | None


class PlannedHost(TypedDict):
    host: str
    steps: list[PlannedStep]
    refused: list[Refused]


class DeployPlan(TypedDict):
    """`tri deploy up|upgrade|down INVENTORY --dry-run --json`."""

    plan: list[PlannedHost]


class DeployedHost(TypedDict):
    host: str
    ok: bool
    detail: str
    elapsed_s: float
    error: str | None


class Deployed(TypedDict):
    """`tri deploy up|upgrade|down INVENTORY --json`."""

    hosts: list[DeployedHost]


class HostStatus(TypedDict):
    """`version` is the beginning of the digest of the node's program; `lag` counts committed entries that it lacks."""

    host: str
    ok: bool
    detail: str
    version: str | None
    current: bool | None
    role: str | None
    term: int | None
    commit: int | None
    lag: int | None
    uptime_s: float | None
    error: str | None


class DeployStatus(TypedDict):
    """`tri deploy status INVENTORY --json`."""

    hosts: list[HostStatus]


class TrialStep(TypedDict):
    """A step of `tri try FILE --json`: `wrong` is empty when nothing is."""

    step: str
    ok: bool
    seen: str
    wrong: str
    hint: str


class MeasuredScenario(TypedDict):
    number: int
    name: str
    category: str
    promised: str
    measured: str
    passed: bool | None


class Bench(TypedDict):
    """`tri cluster-bench --json`. `passed` is null where it could not be measured."""

    scenarios: list[MeasuredScenario]


DOCUMENTS: dict[str, tuple[Any, ...]] = {
    "compare": (Compared,),
    "explain": (ExplainedRun,),
    "replay": (ReplayedPlan, ReplayedNodes, ReplayedInSimulator, ReplayedOnHosts),
    "repeat": (Repeated,),
    "shrunk-history": (SmallerHistory,),
    "doctor": (Doctor,),
    "heal": (Healing,),
    "hosts-up": (HostsUp,),
    "hosts-list": (list[LabRow],),
    "deploy": (Deployed, DeployStatus, DeployPlan),
    "try": (list[TrialStep],),
    "nodes": (Picture,),
    "cluster-bench": (Bench,),
}
"""Schema → the documents of which it permits any."""
