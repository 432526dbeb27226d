"""Everything that a run needs, from a campaign: the plan, the provider of hosts, the system under test.

The only place that maps a name in a campaign to a class.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...campaign.load import node_names
from ...campaign.model import Campaign, SystemSpec
from ...campaign.model import default_voters as default_voters
from ...errors import CampaignError
from ...hosts.base import Provider
from ...hosts.selection.chosen import Chosen, provider_of
from ...nemesis.catalog.timing import Timing as FaultTiming
from ...nemesis.faults.fault import Intent
from ...nemesis.faults.power_models import JOURNALED, with_model
from ...nemesis.schedule.abilities import lacking, missing_text
from ...nemesis.schedule.mix import composed_needs, planned
from ...nemesis.topology.liveness import LivenessSpec
from ...plugins.copying import require_adapter
from ...systems.adapter.program import ProgramClient
from ...systems.base import Client, Service
from ...systems.keyed import KeyedClient
from .own_system import load_system
from .pacing import pace_of
from .plan import Liveness, Plan, Timing, make_slots, settling_slots


@dataclass(frozen=True, slots=True)
class System:
    """A service to deploy, and a factory of its clients. `prefix`: of all keys, where the system has data of earlier runs."""

    service: Service
    make_client: Callable[[], Client]
    prefix: str = ""

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
    return Plan(
        campaign=campaign.name,
        seed=seed,
        nodes=nodes,
        voters=campaign.system.voters or default_voters([n for n in nodes if n not in campaign.system.learners]),
        timing=Timing(campaign.duration, campaign.settle, campaign.final, campaign.operation_timeout),
        workloads=workloads,
        slots=make_slots(workloads, nodes, final_everywhere=campaign.system.file is not None),
        intents=_with_power_model(campaign, planned(campaign.faults, seed=seed, load_ns=campaign.duration, able=able)),
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


def _with_power_model(campaign: Campaign, intents: Sequence[Intent]) -> list[Intent]:
    simulated = campaign.hosts.provider == "sim"
    strict = simulated or campaign.system.file is None
    return with_model(intents, None if strict else JOURNALED, simulated)


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


def needs_of(campaign: Campaign, plan: Plan | None = None) -> frozenset[str]:
    """Return the abilities that the campaign's faults need, without those composed of what hosts can do. With a plan, which may have lost some of the
    campaign's faults (by shrinking): those of the kinds that are left, and of the composed ones."""
    kinds = None if plan is None else {intent.kind for intent in plan.intents}
    specs = [item.spec for item in campaign.faults if isinstance(item.spec, FaultTiming)]
    needs = {need for spec in specs if kinds is None or spec.kind in kinds for need in spec.needs()}
    needs |= composed_needs(campaign.faults, plan.intents) if plan is not None else frozenset()
    return frozenset(needs | (campaign.liveness.needs() if campaign.liveness is not None else frozenset()))


def require_capabilities(campaign: Campaign, provider: Provider, system: frozenset[str]) -> None:
    """Refuse, before anything is touched, a campaign that asks for what these hosts or this system can never do."""
    events = {
        item.spec.on for item in campaign.faults if isinstance(item.spec, FaultTiming) and item.spec.on is not None
    }
    if events - {"leader-elected"} and "traces" not in system:
        raise CampaignError(
            f"campaign {campaign.name}: a system without traces does not report these events: {', '.join(sorted(events))}",
            hint="for such a system only `on: leader-elected` is possible, by queries for its leader",
        )
    missing = lacking(needs_of(campaign), provider, system)
    if missing:
        text, hint = missing_text(missing)
        names = ", ".join(able.ability for able in missing)
        raise CampaignError(
            f"campaign {campaign.name}: hosts of provider {provider.name!r} do not support: {names}\n{text}",
            hint=f"{hint}; `tri doctor` shows what hosts support",
        )


KEYED_WORKLOADS = frozenset({"register", "set"})
"""Workloads that can be kept to keys of their own. Others count what the whole system did."""


def own_keys(campaign: Campaign) -> str:
    """Return a prefix of keys that no earlier run has. Raises `CampaignError` for workloads that cannot be kept to them."""
    if unable := sorted(set(campaign.workload_specs) - KEYED_WORKLOADS):
        raise CampaignError(
            f"campaign {campaign.name}: workload {unable[0]!r} depends on everything in the cluster, also from earlier runs",
            hint=f"an attached cluster supports {', '.join(sorted(KEYED_WORKLOADS))}",
        )
    return f"{campaign.name}-{secrets.token_hex(4)}/"


def make_system(campaign: Campaign, plan: Plan, directory: Path) -> System:
    """Return the reference cluster, or the system that the campaign's Python file defines."""
    spec = campaign.system
    if spec.file is not None:
        asked = {name: workload.asked() for name, workload in plan.workloads.items()}
        path = directory / spec.file
        require_adapter(path, directory)
        service, make_client = load_system(path, spec.options, asked)
        return System(service, make_client, own_keys(campaign) if getattr(service, "keeps_data", False) else "")
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
