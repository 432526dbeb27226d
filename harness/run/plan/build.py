"""Everything that a run needs, from a campaign: the plan, the provider of hosts, the system under test.

The only place that maps a name in a campaign to a class.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...campaign.load import node_names
from ...campaign.model import PROCESSES, Campaign, SystemSpec
from ...campaign.model import default_voters as default_voters
from ...errors import CampaignError
from ...hosts.base import Provider
from ...hosts.selection.chosen import Chosen, provider_of
from ...nemesis.topology.liveness import LivenessSpec
from ...plugins.copying import require_adapter
from ...systems.adapter.program import ProgramClient
from ...systems.base import Client, Service
from ...systems.keyed import KeyedClient
from .own_system import load_system
from .pacing import pace_of
from .plan import Liveness, Plan, Timing, make_slots, settling_slots
from .requirements import Requirements


@dataclass(frozen=True, slots=True)
class System:
    """A service to deploy, and a factory of its clients. `prefix`: of all keys, where the system has data of earlier runs.

    `programs`: the adapter's file and options, where each client is a process that loads them; None: clients are threads.
    """

    service: Service
    make_client: Callable[[], Client]
    prefix: str = ""
    programs: tuple[Path, Mapping[str, Any]] | None = None

    def keyed(self, make_client: Callable[[], Client]) -> Callable[[], Client]:
        return make_client if not self.prefix else lambda: KeyedClient(make_client(), self.prefix)

    def program_files(self) -> list[Path]:
        """The files of its client program, if it has one."""
        client = self.make_client()
        return client.program_files() if isinstance(client, ProgramClient) else []


def make_plan(campaign: Campaign, directory: Path, able: Collection[str] | None = None) -> Plan:
    """Return the plan of a campaign. `directory` is the campaign file's. A missing seed is drawn here, once.

    `able` are the abilities of the hosts, from which faults are composed; None for the simulator, which has all.
    """
    nodes = node_names(campaign, directory)
    seed = campaign.seed if campaign.seed is not None else secrets.randbelow(2**31)
    workloads = campaign.made_workloads
    plan = Plan(
        campaign=campaign.name,
        seed=seed,
        nodes=nodes,
        voters=campaign.system.voters or default_voters([n for n in nodes if n not in campaign.system.learners]),
        timing=Timing(campaign.duration, campaign.settle, campaign.final, campaign.operation_timeout),
        workloads=workloads,
        slots=make_slots(workloads, nodes, final_everywhere=campaign.system.file is not None),
        intents=(),
        options={
            "system": campaign.system.model_dump(mode="json"),
            "hosts": campaign.hosts.model_dump(mode="json"),
            "checkers": campaign.checkers,
            "checker_options": _checker_options(campaign),
            "expect": campaign.expect,
            **({"plugins": list(campaign.plugins)} if campaign.plugins else {}),
        },
        liveness=liveness_of(campaign.liveness),
        pace=pace_of(campaign.duration),
        # Of another system it is unknown which node must take writes.
        settling=settling_slots(nodes) if campaign.system.file is None else (),
    )
    return Requirements.of(campaign).planned(plan, able)


def liveness_of(spec: LivenessSpec | None) -> Liveness | None:
    return None if spec is None else Liveness(spec.within, spec.for_ns, spec.settle_ns(), spec.intents())


def _checker_options(campaign: Campaign) -> dict[str, Any]:
    """The campaign's checker options, with what its other sections add."""
    ours = campaign.options_of_sections()
    return {
        **campaign.checker_options,
        **{name: {**campaign.checker_options.get(name, {}), **some} for name, some in ours.items()},
    }


def make_provider(campaign: Campaign, directory: Path, keep: bool = False) -> Provider:
    """Return the provider of real hosts (`sim` has none). They stay up afterwards if the user or the campaign says `keep`."""
    spec = campaign.hosts
    inventory = None if spec.inventory is None else directory / spec.inventory
    # Each run has its own local cluster: runs at the same time cannot meet, and `tri hosts list` shows one that was killed.
    choice = Chosen(spec.provider, spec.nodes, inventory, spec.lab, spec.clock, spec.placed)
    return provider_of(choice, name=f"run-{os.getpid()}", kept=keep or spec.keep)


KEYED_WORKLOADS = frozenset({"register", "set"})
"""Workloads that can be kept to keys of their own. Others count what the whole system did."""


def own_keys(plan: Plan) -> str:
    """Return a prefix of keys that no earlier run has. Raises `CampaignError` for workloads that cannot be kept to them."""
    if unable := sorted(set(plan.workloads) - KEYED_WORKLOADS):
        raise CampaignError(
            f"campaign {plan.campaign}: workload {unable[0]!r} depends on everything in the cluster, also from earlier runs",
            hint=f"an attached cluster supports {', '.join(sorted(KEYED_WORKLOADS))}",
        )
    return f"{plan.campaign}-{secrets.token_hex(4)}/"


def make_system(campaign: Campaign, plan: Plan, directory: Path) -> System:
    """Return the reference cluster, or the system that the campaign's Python file defines."""
    spec = campaign.system
    if spec.file is not None:
        asked = {name: workload.asked() for name, workload in plan.workloads.items()}
        path = directory / spec.file
        require_adapter(path, directory)
        service, make_client = load_system(path, spec.options, asked)
        apart = campaign.clients == PROCESSES or isinstance(make_client(), ProgramClient)
        prefix = own_keys(plan) if getattr(service, "keeps_data", False) else ""
        return System(service, make_client, prefix, (path, spec.options) if apart else None)
    from ...systems.reference.client import ReferenceClient
    from ...systems.reference.system import ReferenceService

    service = ReferenceService(reference_options(plan))
    return System(service, lambda: ReferenceClient(service.cluster_id, tls=service.client_tls))


def reference_options(plan: Plan) -> Mapping[str, Any]:
    """Return the options of the reference node, the same for real hosts and for the simulator, which does not use `tls`."""
    from ...systems.reference.options import SECURED

    spec = SystemSpec.model_validate(plan.options["system"])
    return {
        "cluster": f"{plan.campaign}-{plan.seed}",
        "timing": spec.timing if isinstance(spec.timing, str) else spec.timing.of_node(),
        "flaws": list(spec.flaws),
        "voters": dict(plan.voters),
        "lease_reads": spec.lease_reads,
        "snapshot_threshold": spec.snapshot_threshold,
        "max_batch": spec.max_batch,
        "snapshot_part": spec.snapshot_part,
        "clock_drift_ppm": spec.clock_drift_ppm,
        "seed": plan.seed,
        "membership": spec.membership,
        "agents": spec.agents,
        "memory": spec.memory,
        "peer_discovery": spec.peer_discovery,
        "learners": list(spec.learners),
        "seeds": list(spec.seeds),
        "capacities": dict(spec.capacities),
        "tls": plan.options.get("hosts", {}).get("provider") in SECURED if spec.tls is None else spec.tls,
    }
