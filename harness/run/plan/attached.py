"""A campaign against a cluster that `tri deploy up` keeps running: nothing is installed or removed, and its data stay.

What the campaign says of the system must match the deployment; what it leaves open is taken as deployed. Faults that need nodes started again on a
fault disk or under a clock library are refused, and so are those that would leave the cluster changed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...campaign.model import Campaign, SystemSpec
from ...errors import CampaignError, DeployError
from ...hosts.base import Host, Provider
from ...hosts.parallel import on_all
from ...hosts.printed import object_in, understood, whole
from ...nemesis.schedule.abilities import OF_THE_SYSTEM
from ...systems.base import Service
from ...systems.reference.authority import kept_directory
from ...systems.reference.client import ReferenceClient
from ...systems.reference.system import ReferenceService
from .build import System, own_keys, reference_options
from .plan import Plan

if TYPE_CHECKING:
    from ...hosts.ssh.provider import SshProvider

TRACE_BYTES = 128 << 20
"""Longest trace that is collected: a cluster that ran for weeks has written more than a run's checkers can read."""
BACK_S, LOOK_S = 10.0, 0.1
"""A supervisor waits up to 5 s before it restarts a node that keeps ending."""
_NOT_DEPLOYED = ("peer_discovery", "learners", "seeds", "capacities")
"""Options that a cluster of `tri deploy up` never has."""


@dataclass
class AttachedService(ReferenceService):
    """The cluster as it is. Its capabilities are only those that need no restart of a node. `wanted`: the system that the campaign describes."""

    capabilities: frozenset[str] = frozenset({"traces", "status"})
    wanted: SystemSpec = field(default_factory=SystemSpec)
    kept_traces: bool = True

    def kept_files(self, host: Host) -> Mapping[str, str]:
        """Logs, and the trace of the whole life of the node. Recorded inputs are useless without their beginning."""
        path = self.control_of(host).path
        wanted = {f"logs/{name}": name for name in ("node.log", "supervisor.log", "config.json")}
        if self.kept_traces:
            wanted["trace.jsonl"] = "trace.jsonl"
        present = host.run(["ls", "--", path("")]).stdout.splitlines()
        return {to: path(name) for to, name in wanted.items() if name in present}


def attached_system(campaign: Campaign, plan: Plan, provider: Provider) -> System:
    """Return the system as deployed. Raises `CampaignError` for what a running cluster cannot have."""
    inventory = _inventory_of(campaign)
    authority = kept_directory(inventory.stem)
    if not authority.is_dir():
        raise CampaignError(
            f"the certificate authority of cluster {inventory.stem!r} is not on this machine: {authority}",
            hint="attach from the machine, and as the user, that deployed the cluster; or `tri deploy up` first",
        )
    prefix = own_keys(plan)
    options = {"cluster": inventory.stem, "keep_data": True, "tls": True, "authority": str(authority)}
    service = AttachedService(options, wanted=campaign.system)
    if _moves_own_clocks(provider):
        service.capabilities |= {"clock"}
    return System(service, lambda: ReferenceClient(service.cluster_id, tls=service.client_tls), prefix)


def require_attachable(needs: frozenset[str], plan: Plan, service: AttachedService) -> None:
    """Refuse, before anything is touched, faults that need a node to be started again, or that leave the cluster changed."""
    unable = {need for need in needs if need in OF_THE_SYSTEM and OF_THE_SYSTEM[need] not in service.capabilities}
    unable |= needs & {"power"}
    if unable:
        raise CampaignError(
            f"campaign {plan.campaign}: an attached cluster does not support {', '.join(sorted(unable))}: its nodes were started without the requirements, "
            "or would be changed by it",
            hint="remove these faults, or run without --attach on hosts where no cluster is deployed",
        )


def attach(plan: Plan, service: AttachedService, hosts: Sequence[Host]) -> list[dict[str, Any]]:
    """Check the deployed cluster. Raises `DeployError` when a node does not run, or was deployed with other options than the campaign's. Returns what
    this run lacks.
    """
    found = on_all(hosts, lambda host: _config_of(service, host)).require("attaching to the cluster", DeployError)
    for name, config in found.items():
        difference = difference_of(service.wanted, plan, config)
        if difference is not None:
            raise DeployError(
                f"{name}: {difference}",
                hint="change the campaign (--set), or deploy the cluster in that way (`tri deploy up --timing …`)",
            )
    sizes = on_all(hosts, lambda host: _size_of(service, host)).require("attaching to the cluster", DeployError)
    service.kept_traces = max(sizes.values()) <= TRACE_BYTES
    if service.kept_traces:
        return []
    why = f"a node's trace has {max(sizes.values()) >> 20} MiB, more than {TRACE_BYTES >> 20}"
    return [{"sort": "traces", "why": why, "hint": "deploy the cluster again to get traces"}]


def require_running(service: Service, hosts: Sequence[Host], within_s: float = BACK_S) -> None:
    """Check that the attached cluster outlived the run. Raises `DeployError`. A node may be restarting just now."""
    deadline_s = time.monotonic() + within_s

    def pid(host: Host) -> int | None:
        while (found := service.pid(host)) is None and time.monotonic() < deadline_s:
            time.sleep(LOOK_S)
        return found

    pids = on_all(hosts, pid).require("looking at the cluster after the run", DeployError)
    down = [name for name, pid in pids.items() if pid is None]
    if down:
        raise DeployError(f"after the run no node runs on {', '.join(down)}", hint="`tri deploy up` starts it again")


def difference_of(wanted: SystemSpec, plan: Plan, config: Mapping[str, Any]) -> str | None:
    """Return how the system that a campaign describes and the deployed node's configuration differ; None when they agree."""
    if sorted(config["peers"]) != sorted(plan.nodes):
        return f"it was deployed with the nodes {', '.join(sorted(config['peers']))}, but the campaign has {', '.join(sorted(plan.nodes))}"
    if config["voters"] != dict(plan.voters):
        return f"its voters are {config['voters']}, and those of the campaign are {dict(plan.voters)}"
    asked = {**reference_options(plan), **{name: getattr(wanted, name) for name in _NOT_DEPLOYED}}
    deployed = {
        **config,
        "tls": "tls" in config,
        "peer_discovery": False,
        "learners": [],
        "seeds": [],
        "capacities": {},
    }
    for name in sorted(wanted.model_fields_set - {"voters", "name", "options"}):
        if name == "file":
            return "`tri deploy up` does not deploy a system from a file"
        # A configuration without the field is one of another release, or none of ours.
        found = deployed.get(name)
        needed = found if name == "tls" and asked[name] is None else asked[name]
        if needed != found:
            return f"it was deployed with {name} {found!r}, but the campaign needs {needed!r}"
    return None


def _config_of(service: AttachedService, host: Host) -> Mapping[str, Any]:
    path = service.control_of(host).path("config.json")
    text = host.run(["cat", path], check=False).stdout
    config: dict[str, Any] = {}
    if text:
        with understood(host.name, text, "the node's configuration"):
            config = object_in(text)
            sorted(config["peers"]), dict(config["voters"])
    if config.get("cluster") != service.cluster_id or service.pid(host) is None:
        raise DeployError(
            f"no node of cluster {service.cluster_id!r} runs there",
            hint="`tri deploy up` with this inventory starts it",
        )
    return config


def _size_of(service: AttachedService, host: Host) -> int:
    path = service.control_of(host).path("trace.jsonl")
    text = host.run(["stat", "-c", "%s", path], check=False).stdout
    with understood(host.name, text, "the size of its trace"):
        return whole(text.strip() or "0")


def _inventory_of(campaign: Campaign) -> Path:
    if campaign.hosts.provider != "ssh" or campaign.hosts.inventory is None:
        raise CampaignError(
            "--attach is for a cluster that `tri deploy up` left on an inventory's hosts",
            hint="name the inventory with --hosts",
        )
    return Path(campaign.hosts.inventory)


def _moves_own_clocks(provider: SshProvider | Provider) -> bool:
    """Return whether the inventory lets faults move the machines' own clocks: then no library has to be loaded."""
    inventory = getattr(provider, "inventory", None)
    return inventory is not None and all(entry.clock == "system" for entry in inventory.hosts)
