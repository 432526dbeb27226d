"""The schema of a campaign file, as pydantic models; docs/reference/campaign.md describes it.

Everything that can be checked without touching a host is checked here, so that an invalid campaign is refused before anything happens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from tribulation.node.config.node import TIMINGS

from ..nemesis.specs.specs import FaultSpec
from ..nemesis.topology.liveness import LivenessSpec
from ..user_files.bounded_model import BoundedModel
from ..user_files.measured import Duration, PositiveDuration
from ..wan import Regions
from ..workloads import WORKLOADS, Workload, WorkloadSpec
from .node_sections import AgentsSection, CapacitySection, MembershipSection, MemorySection
from .regions import Sizes, WanSpec, check_regions, regions_of, with_targets

Provider = Literal["local", "sim", "ssh", "qemu", "vagrant"]

LONGEST_NAME = 64
"""A name is also a folder's name, and part of longer names."""
MOST_FAULTS = 200
MOST_SEED = (1 << 64) - 1
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"


class HostsSpec(BoundedModel):
    """Hosts on which the nodes run. `nodes` makes n1 … nN; an inventory names its own."""

    provider: Provider = Field(default="local", description="local, sim, ssh, qemu or vagrant")
    nodes: int = Field(default=5, ge=1, le=32, description="number of hosts (all but ssh)")
    inventory: str | None = Field(default=None, description="ssh: path of the inventory file (YAML)")
    keep: bool = Field(default=False, description="leave the hosts up after the run")
    lab: str | None = Field(
        default=None, pattern=NAME, max_length=LONGEST_NAME, description="qemu: a lab that is up; it stays up"
    )
    clock: Literal["library", "system"] = Field(
        default="library", description="qemu, vagrant: the clock that clock faults change, see `clock` of inventories"
    )
    regions: Sizes | None = Field(
        default=None, description="local, sim: number of nodes of each region (a routed subnet); their sum is `nodes`"
    )
    wan: WanSpec | None = Field(
        default=None, description="delays and rates between regions, as long as the hosts are up"
    )

    @model_validator(mode="before")
    @classmethod
    def _regions_say_how_many(cls, data: Any) -> Any:
        sizes = data.get("regions") if isinstance(data, Mapping) else None
        if isinstance(sizes, Mapping) and "nodes" not in data and all(type(size) is int for size in sizes.values()):
            return {**data, "nodes": sum(sizes.values())}
        return data

    @model_validator(mode="after")
    def _regions_fit(self) -> HostsSpec:
        if self.regions is None:
            if self.wan is not None:
                raise ValueError("`wan` needs regions: set `regions:` as well")
            return self
        if self.provider not in ("local", "sim"):
            raise ValueError(f"`regions` are possible with providers local and sim, not with {self.provider}")
        check_regions(self.regions, self.wan)
        if sum(self.regions.values()) != self.nodes:
            raise ValueError(f"`regions` have {sum(self.regions.values())} nodes together, but `nodes` is {self.nodes}")
        return self

    @property
    def placed(self) -> Regions | None:
        """The regions with the distances between them; None: one network for all."""
        return None if self.regions is None else regions_of(self.regions, self.wan)

    @model_validator(mode="after")
    def _inventory_goes_with_ssh(self) -> HostsSpec:
        if (self.provider == "ssh") != (self.inventory is not None):
            raise ValueError("`provider: ssh` and `inventory:` belong together: give both or neither")
        if self.lab is not None and self.provider != "qemu":
            raise ValueError("`lab` names a lab of emulated machines: it needs `provider: qemu`")
        if self.clock != "library" and self.provider not in ("qemu", "vagrant"):
            raise ValueError("`clock: system` is for qemu and vagrant; in an inventory, set it for each host")
        return self


class TimingSpec(BoundedModel):
    """Raft's timing: a leader sends a message every `heartbeat`; silence of a random time between the other two starts an election."""

    heartbeat: PositiveDuration
    election_min: PositiveDuration
    election_max: PositiveDuration

    @model_validator(mode="after")
    def _in_order(self) -> TimingSpec:
        if not 2 * self.heartbeat <= self.election_min <= self.election_max:
            raise ValueError(
                "timing needs 2 * heartbeat <= election_min <= election_max, otherwise leaders are deposed without a reason"
            )
        return self

    def of_node(self) -> dict[str, int]:
        """The timing in the form of the node's configuration."""
        return {f"{name}_ns": getattr(self, name) for name in ("heartbeat", "election_min", "election_max")}


PROCESSES = "processes"


def _is_none(value: object) -> bool:
    """Fields that came later are left out where they are not given, so that plans of before are the same."""
    return value is None


class SystemSpec(BoundedModel):
    """The system under test: `reference`, or a Python `file` that defines `service(options)` and `client(options)`.

    The fields from `timing` on are the reference node's.
    """

    name: str = Field(default="reference", pattern=NAME, max_length=LONGEST_NAME)
    file: str | None = Field(
        default=None, description="a Python file with the Service and the Client of another system"
    )
    options: dict[str, Any] = Field(default_factory=dict, description="passed to that file")
    timing: Literal["default", "fast"] | TimingSpec = Field(
        default="fast", description="heartbeat 100 ms / 50 ms, or all three times"
    )
    flaws: list[str] = Field(default_factory=list, description="planted bugs, see `tri list flaws`")
    voters: dict[str, Annotated[int, Field(ge=1, le=9)]] | None = Field(
        default=None, description="weights; default 1 for every node, 2 for the first of an even number"
    )
    lease_reads: bool = Field(default=False, description="serve linearizable reads from the leader's lease")
    snapshot_threshold: int = Field(
        default=10_000, ge=10, le=1_000_000_000, description="log entries between snapshots"
    )
    max_batch: int = Field(default=1024, ge=1, le=100_000, description="the most log entries in one message")
    snapshot_part: int | None = Field(
        default=None,
        ge=1,
        le=1 << 30,
        exclude_if=_is_none,
        description="bytes of state that go into a snapshot in one step; default 196608",
    )
    clock_drift_ppm: int | None = Field(
        default=None,
        ge=0,
        le=400_000,
        exclude_if=_is_none,
        description="how far clocks of nodes may drift apart while leases stay valid; default 10000",
    )
    membership: MembershipSection = Field(
        default=None, description="makes nodes members that find and watch each other; {} for the defaults"
    )
    agents: AgentsSection = Field(default=None, description="agents and tasks on these members; {} for the defaults")
    memory: MemorySection = Field(default=None, description="agent memory on every node; {} for the defaults")
    peer_discovery: bool = Field(
        default=False, description="each node knows only its own address, and must find the others"
    )
    learners: list[str] = Field(
        default_factory=list, description="nodes that do not vote: they join a cluster that started without them"
    )
    seeds: list[str] = Field(
        default_factory=list,
        description="nodes to which beacons are also sent directly, where broadcasts do not arrive",
    )
    capacities: dict[str, CapacitySection] = Field(
        default_factory=dict, description="the capacities of nodes that differ from the others"
    )
    tls: bool | None = Field(
        default=None,
        description="certificates for nodes and clients, signed datagrams; default: on `ssh`, `vagrant` and `qemu` hosts, not elsewhere",
    )

    @property
    def heartbeat_ns(self) -> int:
        """Of the reference node."""
        return TIMINGS[self.timing].heartbeat_ns if isinstance(self.timing, str) else self.timing.heartbeat

    @model_validator(mode="after")
    def _a_file_or_the_reference(self) -> SystemSpec:
        if self.file is None and self.name != "reference":
            raise ValueError(f"system {self.name!r} is not built in; give `file:`, a Python file that defines it")
        if self.file is None and self.options:
            raise ValueError("`options` belong to a system from a `file`")
        members_only = ("agents", "peer_discovery", "learners", "seeds", "capacities")
        given = [f"`{name}`" for name in members_only if getattr(self, name) not in (None, False, [], {})]
        if self.membership is None and given:
            raise ValueError(f"{' and '.join(given)} without members: add `membership: {{}}`")
        return self


class Campaign(BoundedModel):
    """A whole campaign."""

    name: str = Field(pattern=NAME, max_length=LONGEST_NAME)
    description: str = Field(default="", description="what the campaign attacks, and what must hold")
    hosts: HostsSpec = Field(default_factory=HostsSpec)
    system: SystemSpec = Field(default_factory=SystemSpec)
    plugins: list[str] = Field(
        default_factory=list, max_length=16, description="Python files with workloads and checkers of your own"
    )
    clients: Literal["threads", "processes"] | None = Field(
        default=None,
        description="each client of a system from a `file` a thread (default) or a process, for the fault `client`",
    )
    seed: int | None = Field(default=None, ge=0, le=MOST_SEED, description="drawn and printed when left out")
    duration: PositiveDuration = Field(default=30_000_000_000, description="length of the load and the faults")
    settle: Duration = Field(
        default=3_000_000_000, description="the quiet time between the final heal and the final reads"
    )
    final: PositiveDuration = Field(default=15_000_000_000, description="time limit of the final reads")
    operation_timeout: PositiveDuration = Field(default=1_000_000_000, description="deadline of one operation")
    workloads: list[dict[str, Any]] = Field(min_length=1, description="one workload per item, by name")
    faults: list[FaultSpec] = Field(default_factory=list, max_length=MOST_FAULTS)
    liveness: LivenessSpec | None = Field(default=None, description="a phase in which only a core of nodes is healthy")
    checkers: Literal["auto"] | list[str] = Field(default="auto")
    checker_options: dict[str, Any] = Field(
        default_factory=dict, description="options of checkers, e.g. max_recovery_s"
    )
    checker_timeout: PositiveDuration = Field(default=60_000_000_000, description="budget of each checker")
    expect: Literal["valid", "invalid", "unknown"] = Field(default="valid", description="never changes the exit code")

    @model_validator(mode="before")
    @classmethod
    def _faults_may_aim_at_regions(cls, data: Any) -> Any:
        hosts = data.get("hosts") if isinstance(data, Mapping) else None
        if isinstance(hosts, Mapping) and hosts.get("regions"):
            return {**data, "faults": with_targets(data.get("faults") or [], hosts["regions"])}
        return data

    @field_validator("faults", mode="before")
    @classmethod
    def _composed_faults_need_no_list(cls, faults: Any) -> Any:
        """`faults: all`, or `faults: {swarm: {…}}`."""
        if isinstance(faults, str):
            return [{faults: {}}]
        return [{name: spec or {}} for name, spec in faults.items()] if isinstance(faults, Mapping) else faults

    @field_validator("workloads")
    @classmethod
    def _workloads_are_known(cls, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        names = [next(iter(item), "") for item in items]
        for item, name in zip(items, names, strict=True):
            if len(item) != 1 or name not in WORKLOADS:
                raise ValueError(
                    f"a workload is a mapping with one key of: {', '.join(WORKLOADS)} (got {list(item)!r})"
                )
            if names.count(name) > 1:
                raise ValueError(f"workload {name!r} is listed twice; the keys of the two would be mixed")
        return items

    @property
    def workload_specs(self) -> Mapping[str, WorkloadSpec]:
        specs = {}
        for item in self.workloads:
            ((name, options),) = item.items()
            specs[name] = WORKLOADS[name][0].model_validate(options or {})
        return specs

    @property
    def made_workloads(self) -> Mapping[str, Workload]:
        specs = {name: spec.opened(self.operation_timeout) for name, spec in self.workload_specs.items()}
        return {name: WORKLOADS[name][1](name, spec) for name, spec in specs.items()}

    def options_of_sections(self) -> dict[str, dict[str, Any]]:
        """Checker options that follow from other sections: how `memory` settles conflicts, the limits of `recovery`, and the workloads' declarations."""
        found: dict[str, dict[str, Any]] = {}
        for workload in self.made_workloads.values():
            for checker, options in workload.checker_options().items():
                found.setdefault(checker, {}).update(options)
        if self.system.memory is not None:
            found["memory"] = {"conflicts": self.system.memory.get("conflicts", "merge")}
        if self.liveness is not None:
            found["recovery"] = {"within_ms": self.liveness.within / 1e6, "elections": self.liveness.elections}
        return found

    @property
    def node_names(self) -> list[str]:
        """n1 … nN; those of an inventory are known only when it is read (`load.node_names`)."""
        return [f"n{i + 1}" for i in range(self.hosts.nodes)]


def default_voters(nodes: Sequence[str]) -> dict[str, int]:
    """One vote each; with an even number of nodes the first counts double, so that of two equal halves exactly one has a quorum."""
    voters = dict.fromkeys(nodes, 1)
    if len(nodes) % 2 == 0:
        voters[nodes[0]] = 2
    return voters
