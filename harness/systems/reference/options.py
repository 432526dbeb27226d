"""Options of the reference cluster in a campaign or a deployment, and each node's configuration. Pure: the same for real hosts and for the simulator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tribulation.node.config.cluster import MembershipConfig
from tribulation.node.config.node import default_voters

from ...errors import CampaignError

SECURED = frozenset({"ssh", "vagrant", "qemu"})
"""Providers whose hosts use TLS by default: they are connected by more than this machine."""


@dataclass(frozen=True, slots=True)
class ReferenceOptions:
    """`cluster` names the cluster in hellos. `voters` are weights by node, None for one each. `preferred` is the 50/50 tiebreak's node.

    `listen` ("0.0.0.0:10000") is for hosts whose address is not on an interface of theirs (NAT); default: the host's address.

    `metrics` ("127.0.0.1:9101") is where each node serves metrics and health over HTTP; None: nowhere.

    `membership`, `agents` and `memory` are the node's sections of that name (None: a plain node). With `discover` each node is given only itself and the voters'
    names, and must find the others. `learners` do not vote: they join a cluster that was begun without them. Beacons go to the `seeds` in addition to their usual targets;
    `capacities` are what some nodes have to offer, unlike the others.

    `tls`: nodes and clients have certificates, and datagrams are signed. The authority is in this process's memory, or, for a cluster that stays, in the directory `authority`.
    """

    cluster: str = "reference"
    port: int = 10_000
    timing: Any = "default"
    flaws: Sequence[str] = ()
    voters: Mapping[str, int] | None = None
    preferred: str | None = None
    lease_reads: bool = False
    snapshot_threshold: int = 10_000
    max_batch: int = 1024
    snapshot_part: int = 192 * 1024
    clock_drift_ppm: int = 10_000
    seed: int | None = None
    record_inputs: bool = True
    keep_data: bool = False
    listen: str | None = None
    metrics: str | None = None
    membership: Mapping[str, Any] | None = None
    agents: Mapping[str, Any] | None = None
    memory: Mapping[str, Any] | None = None
    peer_discovery: bool = False
    learners: Sequence[str] = ()
    seeds: Sequence[str] = ()
    capacities: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    tls: bool = False
    authority: str | None = None

    @classmethod
    def from_mapping(cls, options: Mapping[str, Any]) -> ReferenceOptions:
        """Read options. Raises `CampaignError` for an unknown one."""
        unknown = sorted(set(options) - set(cls.__dataclass_fields__))
        if unknown:
            known = ", ".join(cls.__dataclass_fields__)
            raise CampaignError(f"the reference system has no option {unknown[0]!r}", hint=f"it has {known}")
        return cls(**{name: value for name, value in options.items() if value is not None})


def node_config(name: str, addresses: Mapping[str, str], options: ReferenceOptions) -> dict[str, Any]:
    """One node's configuration, the same for real hosts and for the simulator. `addresses`: of every host of the cluster, by name."""
    peers = {other: [address, options.port] for other, address in addresses.items()}
    founders = {other: address for other, address in peers.items() if other not in options.learners}
    voters = dict(options.voters) if options.voters is not None else default_voters(founders, options.preferred)
    joins = name in options.learners
    return {
        "node": name,
        "cluster": options.cluster,
        "peers": {name: peers[name]} if options.peer_discovery or joins else founders,
        "voters": voters,
        "timing": options.timing,
        "flaws": list(options.flaws),
        "preferred": options.preferred,
        "lease_reads": options.lease_reads,
        "snapshot_threshold": options.snapshot_threshold,
        "max_batch": options.max_batch,
        "snapshot_part": options.snapshot_part,
        "clock_drift_ppm": options.clock_drift_ppm,
        "membership": None if options.membership is None else _membership(name, addresses, options),
        "agents": None if options.agents is None else dict(options.agents),
        "memory": None if options.memory is None else dict(options.memory),
    }


def _membership(name: str, addresses: Mapping[str, str], options: ReferenceOptions) -> dict[str, Any]:
    section: dict[str, Any] = {**(options.membership or {}), "join": name in options.learners}
    if options.seeds:
        udp_port = section.get("udp_port", MembershipConfig().udp_port)
        section["seeds"] = [[addresses[seed], udp_port] for seed in options.seeds if seed != name]
    if name in options.capacities:
        section["capacity"] = {**section.get("capacity", {}), **options.capacities[name]}
    return section
