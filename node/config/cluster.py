"""Optional sections of a node's configuration: how it finds and watches other members, and what it offers to agents.

Defaults are those of the published design where it has any: beacons on UDP port 9999, a heartbeat every 5 s and failure after 30 s of silence, 16
agents per node, 3 retries after 1 s each. All times are ns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..errors import ConfigError
from .fields import read_address, read_boolean, read_choice, read_integer, read_section

MS = 1_000_000
SECOND = 1_000_000_000
HOUR = 3600 * SECOND

ROLES = ("hybrid", "coordinator", "worker")
DETECTORS = ("swim", "heartbeat")
SYNCS = ("delta_only", "full_snapshot", "on_demand", "continuous")
CONFLICTS = ("merge", "latest-wins")
RETENTIONS = ("none", "oldest")
STRATEGIES = ("local-first", "latency-aware", "bandwidth-aware", "round-robin")
AGENT_TYPES = ("generic", "coordinator", "code", "vision", "voice", "data", "system")


@dataclass(frozen=True, slots=True)
class Capacity:
    """Resources of a node: places for agents, processors in hundredths, memory in MiB."""

    slots: int = 16
    cpu_percent: int = 100
    memory_mib: int = 1024


@dataclass(frozen=True, slots=True)
class MembershipConfig:
    """`join`: this node is not one of the nodes that the cluster was created with, and asks to be registered.

    `seeds` are UDP addresses of nodes across subnets, where no broadcast arrives. With `detector: swim`, a member is probed every `swim_period_ns`.
    Without an answer within `swim_timeout_ns`, `swim_indirect` other members probe it. A suspicion lasts `suspicion_periods` × log10(n + 1) periods,
    and at least one.
    """

    role: str = "hybrid"
    join: bool = False
    udp_port: int = 9999
    broadcast: bool = True
    seeds: tuple[tuple[str, int], ...] = ()
    beacon_ns: int = 1 * SECOND
    detector: str = "swim"
    heartbeat_ns: int = 5 * SECOND
    silence_ns: int = 30 * SECOND
    swim_period_ns: int = 500 * MS
    swim_timeout_ns: int = 150 * MS
    swim_indirect: int = 3
    suspicion_periods: int = 5
    capacity: Capacity = field(default_factory=Capacity)


@dataclass(frozen=True, slots=True)
class AgentsConfig:
    """Agents and tasks. A failed task has up to `retries` further attempts, each `backoff_ns` after a failure. At most `queue` tasks wait in the
    whole cluster.

    `balance_ns` is the interval at which the leader checks whether to move agents; 0: never. It moves them when utilisations differ by more than
    `balance_percent`. `follow_preferred`: the leadership goes to the preferred coordinator whenever it is up.
    """

    checkpoint_ns: int = 1 * SECOND
    balance_ns: int = 5 * SECOND
    balance_percent: int = 20
    follow_preferred: bool = False
    queue: int = 10_000
    retries: int = 3
    backoff_ns: int = 1 * SECOND
    workers: int = 4
    """Tasks that run at one time on this node, at most."""
    probe_ns: int = 1 * SECOND


@dataclass(frozen=True, slots=True)
class MemoryConfig:
    """Agent memory. `bandwidth_bps` is in bits per second, for all syncs that this node sends; 0: no cap. A chunk has about `chunk_bytes` before base64.

    A TRMM delta is written after `delta_every` changes, a snapshot after 100 deltas.
    """

    sync: str = "delta_only"
    sync_ns: int = 10 * SECOND
    conflicts: str = "merge"
    retention: str = "none"
    bandwidth_bps: int = 0
    chunk_bytes: int = 256 << 10
    delta_every: int = 1000


def memory_from(data: Mapping[str, Any]) -> MemoryConfig | None:
    """Read the section `memory` of a configuration. Raises `ConfigError`."""
    section = read_section(data, "memory", tuple(MemoryConfig.__dataclass_fields__))
    if section is None:
        return None
    default = MemoryConfig()
    return MemoryConfig(
        sync=read_choice(section, "sync", SYNCS),
        sync_ns=read_integer(section, "sync_ns", default.sync_ns, MS, HOUR),
        conflicts=read_choice(section, "conflicts", CONFLICTS),
        retention=read_choice(section, "retention", RETENTIONS),
        bandwidth_bps=read_integer(section, "bandwidth_bps", 0, 0, 1 << 40),
        chunk_bytes=read_integer(section, "chunk_bytes", default.chunk_bytes, 1 << 10, 700 << 10),
        delta_every=read_integer(section, "delta_every", default.delta_every, 1, 1_000_000),
    )


def membership_from(data: Mapping[str, Any]) -> MembershipConfig | None:
    """Read the section `membership` of a configuration. Raises `ConfigError`."""
    section = read_section(data, "membership", tuple(MembershipConfig.__dataclass_fields__))
    if section is None:
        return None
    default = MembershipConfig()
    seeds = section.get("seeds", [])
    if not isinstance(seeds, (list, tuple)):
        raise ConfigError(f"membership.seeds: {seeds!r} is not a list", 'write [["10.0.1.1", 9999]]')
    times = {
        name: read_integer(section, name, getattr(default, name), MS, HOUR)
        for name in ("beacon_ns", "heartbeat_ns", "silence_ns", "swim_period_ns", "swim_timeout_ns")
    }
    config = MembershipConfig(
        role=read_choice(section, "role", ROLES),
        join=read_boolean(section, "join", False),
        udp_port=read_integer(section, "udp_port", default.udp_port, 1, 65535),
        broadcast=read_boolean(section, "broadcast", True),
        seeds=tuple(read_address(seed, "membership.seeds", low_port=1) for seed in seeds),
        detector=read_choice(section, "detector", DETECTORS),
        swim_indirect=read_integer(section, "swim_indirect", default.swim_indirect, 0, 16),
        suspicion_periods=read_integer(section, "suspicion_periods", default.suspicion_periods, 1, 100),
        capacity=_capacity(section),
        **times,
    )
    if config.swim_timeout_ns * 2 > config.swim_period_ns:
        raise ConfigError(
            f"membership.swim_timeout_ns: {config.swim_timeout_ns} is more than half of swim_period_ns ({config.swim_period_ns})",
            "a period must have time for a direct probe and an indirect one",
        )
    if config.silence_ns < 2 * config.heartbeat_ns:
        raise ConfigError(
            f"membership.silence_ns: {config.silence_ns} is less than two heartbeats of {config.heartbeat_ns}",
            "one lost heartbeat must not mark a node as failed",
        )
    return config


def agents_from(data: Mapping[str, Any]) -> AgentsConfig | None:
    """Read the section `agents` of a configuration. Raises `ConfigError`."""
    section = read_section(data, "agents", tuple(AgentsConfig.__dataclass_fields__))
    if section is None:
        return None
    if data.get("membership") is None:
        raise ConfigError("agents: there is no membership section", "agents live on members: add `membership: {}`")
    default = AgentsConfig()
    low = {"balance_ns": 0, "balance_percent": 1, "retries": 0, "queue": 1, "workers": 1}
    high = {"balance_percent": 100, "retries": 100, "queue": 1_000_000, "workers": 64}
    numbers = {
        name: read_integer(section, name, getattr(default, name), low.get(name, MS), high.get(name, HOUR))
        for name in AgentsConfig.__dataclass_fields__
        if name != "follow_preferred"
    }
    return AgentsConfig(follow_preferred=read_boolean(section, "follow_preferred", False), **numbers)


def section_to_json(section: MembershipConfig | AgentsConfig | MemoryConfig | None) -> dict[str, Any] | None:
    return None if section is None else asdict(section)


def _capacity(section: Mapping[str, Any]) -> Capacity:
    value = read_section(section, "capacity", tuple(Capacity.__dataclass_fields__)) or {}
    default = Capacity()
    return Capacity(
        slots=read_integer(value, "slots", default.slots, 0, 16),
        cpu_percent=read_integer(value, "cpu_percent", default.cpu_percent, 1, 100_000),
        memory_mib=read_integer(value, "memory_mib", default.memory_mib, 1, 1 << 30),
    )
