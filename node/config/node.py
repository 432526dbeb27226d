"""Configuration of one node: its name, the other nodes, and its timing.

    NodeConfig.from_json({"node": "n1", "cluster": "demo", "peers": {"n1": ["127.0.0.1", 10000]}})

Every node of a cluster must get the same `cluster`, `peers`, `voters`, timing and flaws. With a `membership` section, `peers` may name this node
alone. Only `voters` may differ from the active ones later: the log's configuration replaces it. The error for an unknown or ill-typed field names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import ConfigError
from ..flaws.switch import Flaws
from .cluster import (
    AgentsConfig,
    MembershipConfig,
    MemoryConfig,
    agents_from,
    membership_from,
    memory_from,
    section_to_json,
)
from .fields import read_address, read_boolean, read_integer, read_name

MS = 1_000_000
MAX_WEIGHT = 9


@dataclass(frozen=True, slots=True)
class Timing:
    """Timing of Raft, ns: a leader sends every `heartbeat_ns`; silence of a random time between min and max starts an election."""

    heartbeat_ns: int = 100 * MS
    election_min_ns: int = 1000 * MS
    election_max_ns: int = 2000 * MS


TIMINGS: dict[str, Timing] = {"default": Timing(), "fast": Timing(50 * MS, 300 * MS, 600 * MS)}


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """Configuration of a node; see the module. `peers` holds every configured node including itself; `voters` are weights (0 or absent: a learner)."""

    node: str
    cluster: str
    peers: Mapping[str, tuple[str, int]]
    voters: Mapping[str, int]
    timing: Timing = field(default_factory=Timing)
    lease_reads: bool = False
    clock_drift_ppm: int = 10_000
    """Bound on how much faster or slower one monotonic clock runs than another, parts per million; shortens leases."""
    snapshot_threshold: int = 10_000
    """Entries applied since the last snapshot that make the next one due."""
    snapshot_part: int = 192 * 1024
    """Characters of a snapshot made in one step: a larger state is written over several steps."""
    max_batch: int = 1024
    """Entries in one AppendEntries message, at most."""
    max_pending_requests: int = 4096
    """Client requests under way at this node, at most; further ones are refused as `busy`."""
    flaws: tuple[str, ...] = ()
    preferred: str | None = None
    """The coordinator preferred in a 50/50 split: weight 2 when `voters` is not given and the number of nodes is even."""
    membership: MembershipConfig | None = None
    agents: AgentsConfig | None = None
    memory: MemoryConfig | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> NodeConfig:
        """Validate a configuration. Raises `ConfigError` naming the first bad field and its value."""
        if not isinstance(data, Mapping):
            raise ConfigError(f"the configuration is {data!r}, not an object", 'write {"node": "n1", …}')
        unknown = [name for name in data if name not in _FIELDS]
        if unknown:
            raise ConfigError(f"unknown field {unknown[0]!r}", f"the fields are {', '.join(_FIELDS)}")
        node, cluster = read_name(data, "node"), read_name(data, "cluster")
        membership = membership_from(data)
        peers = _peers(data, node)
        preferred = data.get("preferred")
        voters = _voters(data, peers, preferred, membership)
        if preferred is not None and preferred not in (*peers, *(data.get("voters") or ())):
            raise ConfigError(f"preferred: {preferred!r} is not one of the peers", f"name one of {', '.join(peers)}")
        flaws = data.get("flaws", [])
        if not isinstance(flaws, (list, tuple)) or not all(isinstance(name, str) for name in flaws):
            raise ConfigError(f"flaws: {flaws!r} is not a list of names", "leave it out for a correct node")
        Flaws.from_names(flaws)
        return cls(
            node=node,
            cluster=cluster,
            peers=peers,
            voters=voters,
            timing=_timing(data.get("timing", "default")),
            lease_reads=read_boolean(data, "lease_reads", False),
            clock_drift_ppm=read_integer(data, "clock_drift_ppm", 10_000, 0, 400_000),
            snapshot_threshold=read_integer(data, "snapshot_threshold", 10_000, 1, 1 << 30),
            snapshot_part=read_integer(data, "snapshot_part", 192 * 1024, 1, 1 << 30),
            max_batch=read_integer(data, "max_batch", 1024, 1, 100_000),
            max_pending_requests=read_integer(data, "max_pending_requests", 4096, 1, 1 << 20),
            flaws=tuple(flaws),
            preferred=preferred,
            membership=membership,
            agents=agents_from(data),
            memory=memory_from(data),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the JSON from which `from_json` makes this configuration."""
        return {
            "node": self.node,
            "cluster": self.cluster,
            "peers": {name: [host, port] for name, (host, port) in self.peers.items()},
            "voters": dict(self.voters),
            "timing": {name: getattr(self.timing, name) for name in _TIMING_FIELDS},
            "lease_reads": self.lease_reads,
            "clock_drift_ppm": self.clock_drift_ppm,
            "snapshot_threshold": self.snapshot_threshold,
            "snapshot_part": self.snapshot_part,
            "max_batch": self.max_batch,
            "max_pending_requests": self.max_pending_requests,
            "flaws": list(self.flaws),
            "preferred": self.preferred,
            "membership": section_to_json(self.membership),
            "agents": section_to_json(self.agents),
            "memory": section_to_json(self.memory),
        }


_FIELDS = tuple(NodeConfig.__dataclass_fields__)
_TIMING_FIELDS = tuple(Timing.__dataclass_fields__)


def default_voters(peers: Mapping[str, Any], preferred: str | None) -> dict[str, int]:
    """Return weight 1 for every node; 2 for the preferred one when the number of nodes is even."""
    voters = dict.fromkeys(sorted(peers), 1)
    if preferred is not None and len(peers) % 2 == 0:
        voters[preferred] = 2
    return voters


def _peers(data: Mapping[str, Any], node: str) -> dict[str, tuple[str, int]]:
    value = data.get("peers")
    if not isinstance(value, Mapping) or not value:
        raise ConfigError(f"peers: {value!r} is not an object of addresses", 'write {"n1": ["10.0.0.1", 10000]}')
    peers = {}
    for name, address in sorted(value.items()):
        read_name({"peers": name}, "peers")
        peers[name] = read_address(address, f"peers.{name}")
    if node not in peers:
        raise ConfigError(f"peers: {node!r}, this node, is missing", "list every configured node, including this one")
    return peers


def _voters(
    data: Mapping[str, Any], peers: Mapping[str, Any], preferred: str | None, membership: MembershipConfig | None
) -> dict[str, int]:
    value = data.get("voters")
    if value is None:
        if membership is not None and membership.join:
            raise ConfigError("voters: a node that joins must know the voters", "give the voters of the cluster")
        return default_voters(peers, preferred)
    if not isinstance(value, Mapping):
        raise ConfigError(f"voters: {value!r} is not an object of weights", 'write {"n1": 1}')
    # Where nodes discover each other, a voter's name is known before its address.
    problem = weights_problem(value, peers if membership is None else value)
    if problem is not None:
        raise ConfigError(f"voters: {problem}", f"give weights 0..{MAX_WEIGHT} to names of peers, at least one above 0")
    return {name: weight for name, weight in sorted(value.items()) if weight > 0}


def weights_problem(weights: Mapping[str, Any], peers: Mapping[str, Any]) -> str | None:
    """Return why weights are invalid, or None. Also checks an operator's request at run time."""
    for name, weight in weights.items():
        if name not in peers:
            return f"{name!r} is not a configured node"
        if type(weight) is not int or not 0 <= weight <= MAX_WEIGHT:
            return f"the weight of {name} is {weight!r}, not an integer 0..{MAX_WEIGHT}"
    if not any(weights.values()):
        return "no node would vote"
    return None


def _timing(value: Any) -> Timing:
    hint = f'write one of {", ".join(TIMINGS)}, or {{"heartbeat_ns": …, "election_min_ns": …, "election_max_ns": …}}'
    if isinstance(value, str) and value in TIMINGS:
        return TIMINGS[value]
    if not isinstance(value, Mapping) or sorted(value) != sorted(_TIMING_FIELDS):
        raise ConfigError(f"timing: {value!r} is not known", hint)
    for name in _TIMING_FIELDS:
        if type(value[name]) is not int or value[name] <= 0:
            raise ConfigError(f"timing.{name}: {value[name]!r} is not a positive number of nanoseconds", hint)
    timing = Timing(**value)
    if not timing.heartbeat_ns * 2 <= timing.election_min_ns <= timing.election_max_ns:
        raise ConfigError(f"timing: {dict(value)!r} is not 2 * heartbeat <= election_min <= election_max", hint)
    return timing
