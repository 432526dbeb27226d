"""Requirements of a run, known before anything happens: privileges, hosts and time, in one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..campaign.load import node_names
from ..campaign.model import Campaign
from ..hosts.ssh.inventory import load_inventory
from ..user_files.quantities import format_ns
from .plan.build import liveness_of
from .plan.pacing import pace_of
from .plan.plan import Liveness, Pace, Plan, Timing

SECOND_NS = 1_000_000_000

NEEDS = {
    "sim": "no root",
    "local": "no root where user namespaces are allowed",
    "qemu": "root on this machine; the first run also builds an image, which takes minutes",
    "vagrant": "no root on this machine, sudo in the virtual machines",
}
"""Privileges that each provider needs; for an inventory's hosts the inventory decides."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """Needs of a run. `least_ns` to `most_ns`: its time from the first operation to the last final read."""

    provider: str
    hosts: int
    needs: str
    least_ns: int
    most_ns: int

    def __str__(self) -> str:
        simulated = self.provider == "sim"
        what = "simulated nodes" if simulated else f"{self.provider} hosts"
        further = " of virtual time" if simulated else ", and deployment, healing and checks"
        return f"needs {self.needs} · {self.hosts} {what} · {self._time()}{further}"

    def _time(self) -> str:
        least, most = (format_ns(-(-time_ns // SECOND_NS) * SECOND_NS) for time_ns in (self.least_ns, self.most_ns))
        return least if least == most else f"{least} to {most}"


def outlook(campaign: Campaign, directory: Path) -> Outlook:
    """Return the needs of a run of the campaign. `directory` is the campaign file's. Raises `CampaignError` for an inventory that cannot be read."""
    timing = Timing(campaign.duration, campaign.settle, campaign.final, campaign.operation_timeout)
    count = len(node_names(campaign, directory))
    least_ns, most_ns = _lasts_ns(timing, pace_of(campaign.duration), liveness_of(campaign.liveness))
    return Outlook(campaign.hosts.provider, count, _needs(campaign, directory), least_ns, most_ns)


def outlook_of_plan(plan: Plan) -> Outlook:
    """Return the needs of a plan that is executed by itself, in the simulator."""
    return Outlook("sim", len(plan.nodes), NEEDS["sim"], *_lasts_ns(plan.timing, plan.pace, plan.liveness))


def _lasts_ns(timing: Timing, pace: Pace | None, liveness: Liveness | None) -> tuple[int, int]:
    least_ns = timing.load_ns + timing.quiet_ns
    if liveness is not None:
        least_ns += liveness.for_ns + (liveness.settle_ns or 0)
    return least_ns, least_ns + timing.final_ns + (0 if pace is None else pace.load_more_ns)


def _needs(campaign: Campaign, directory: Path) -> str:
    if campaign.hosts.inventory is None:
        return NEEDS[campaign.hosts.provider]
    hosts = load_inventory(directory / campaign.hosts.inventory).hosts
    by_sudo = sum(host.sudo for host in hosts)
    if by_sudo == 0:
        return "logins of root, without sudo"
    return (
        "sudo on every host"
        if by_sudo == len(hosts)
        else f"sudo on {by_sudo} of {len(hosts)} hosts, logins of root on the others"
    )
