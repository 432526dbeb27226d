"""Requirements of a campaign on provider, hosts and system. With the plan, they are all that a run on hosts takes from its campaign."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...campaign.model import Campaign
from ...errors import CampaignError
from ...hosts.base import Provider
from ...nemesis.catalog.timing import Timing as FaultTiming
from ...nemesis.faults.power_models import JOURNALED, with_model
from ...nemesis.schedule.abilities import Able, lacking, missing_text
from ...nemesis.schedule.mix import composed_needs, planned, possible_needs, skipped
from ...nemesis.specs.specs import FaultSpec
from .plan import Plan


@dataclass(frozen=True, slots=True)
class Requirements:
    """The validated faults of a campaign, and the abilities that they need.

    `liveness`: the abilities that the liveness phase needs. `power_model`: of power losses that name none; None: they stay as they are.
    """

    campaign: str
    faults: Sequence[FaultSpec]
    liveness: frozenset[str]
    power_model: str | None
    simulated: bool

    @staticmethod
    def of(campaign: Campaign) -> Requirements:
        simulated = campaign.hosts.provider == "sim"
        strict = simulated or campaign.system.file is None
        liveness: frozenset[str] = frozenset() if campaign.liveness is None else frozenset(campaign.liveness.needs())
        return Requirements(campaign.name, tuple(campaign.faults), liveness, None if strict else JOURNALED, simulated)

    def planned(self, plan: Plan, able: Collection[str] | None = None) -> Plan:
        """Return the plan with these faults; `able` are the abilities of which faults are composed. None: all abilities."""
        intents = planned(self.faults, seed=plan.seed, load_ns=plan.timing.load_ns, able=able)
        return replace(plan, intents=with_model(intents, self.power_model, self.simulated))

    def needs(self, plan: Plan | None = None) -> frozenset[str]:
        """Return the abilities that the faults need, without those that are composed of what hosts can do. With a plan, which may have lost some of
        the faults (by shrinking): those of the kinds that are left, and of the composed ones.
        """
        kinds = None if plan is None else {intent.kind for intent in plan.intents}
        specs = [item.spec for item in self.faults if isinstance(item.spec, FaultTiming)]
        needs = {need for spec in specs if kinds is None or spec.kind in kinds for need in spec.needs()}
        needs |= composed_needs(self.faults, plan.intents) if plan is not None else frozenset()
        return self.liveness | needs

    def composed_of(self) -> frozenset[str]:
        """Return the abilities that composed faults use on hosts that have all of them."""
        return possible_needs(self.faults)

    def left_out(self, tried: Iterable[Able]) -> list[dict[str, Any]]:
        """Return the faults that cannot be composed on hosts with these abilities, each with the reason."""
        return skipped(self.faults, tried)

    def require(self, provider: Provider, system: frozenset[str]) -> None:
        """Refuse, before anything is touched, what these hosts or a system with these capabilities can never do. Raises `CampaignError`."""
        specs = [item.spec for item in self.faults if isinstance(item.spec, FaultTiming)]
        events = {spec.on for spec in specs if spec.on is not None}
        if events - {"leader-elected"} and "traces" not in system:
            raise CampaignError(
                f"campaign {self.campaign}: a system without traces does not report these events: {', '.join(sorted(events))}",
                hint="for such a system only `on: leader-elected` is possible, by queries for its leader",
            )
        missing = lacking(self.needs(), provider, system)
        if missing:
            text, hint = missing_text(missing)
            names = ", ".join(able.ability for able in missing)
            raise CampaignError(
                f"campaign {self.campaign}: hosts of provider {provider.name!r} do not support: {names}\n{text}",
                hint=f"{hint}; `tri doctor` shows what hosts support",
            )
