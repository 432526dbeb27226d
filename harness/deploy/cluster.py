"""A cluster on a user's machines: brought up, updated, and taken down by plans made from what the hosts have.

    cluster = Deployment(service, hosts)
    plans = cluster.plans_up()              # what would be done; changes nothing
    cluster.up(take_over=False)             # the same plans, carried out on all hosts at once under a claim on each

Nothing is changed on any host while one of them cannot be reached, or refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from tribulation.node.runtime.process.control import ARCHIVE

from ..errors import DeployError, TribulationError
from ..hosts.base import Host
from ..hosts.parallel import on_all
from ..hosts.ssh.claims import Claims
from ..systems.reference.package import digest
from ..systems.reference.system import ReferenceService
from .carry_out import Work, carry_out
from .deploy import READY_S, HostResult, each, on_every, require_all
from .observe import Observed, observe
from .plan import HostPlan, Wanted, plan_down, plan_up
from .wanted import deployed_timing, names_of, ports_of, wanted_of

Seen = Mapping[str, Observed | Exception]
"""The state of each host, or the reason why it is unknown."""


@dataclass
class Deployment:
    """`firewall`: whether to open it. `notify`: reports what happens to a claim, for people."""

    service: ReferenceService
    hosts: Sequence[Host]
    firewall: bool = False
    ready_s: float = READY_S
    notify: Callable[[str], None] = lambda message: None

    def look(self) -> Seen:
        def seen(host: Host) -> Observed:
            return observe(host, self.service, names_of(self.service, host, self.hosts), ports_of(self.service, host))

        results = on_all(self.hosts, seen)
        return {**results.values, **results.errors}

    def deployed_timing(self) -> Any:
        """The timing of the deployed cluster, so that the user need not repeat it; None if no cluster is deployed."""
        return deployed_timing([what for what in self.look().values() if isinstance(what, Observed)])

    def program_of(self, host: Host) -> str:
        """The digest of the program that this host must have."""
        return digest(self.service.files(host, self.hosts)[ARCHIVE])

    def plans_up(self, seen: Seen | None = None) -> list[HostPlan]:
        """Plans for all hosts. Raises `NotOnAllHosts` if a host cannot be inspected; a host's refusals are in its plan."""
        seen = self.all_seen(self.look() if seen is None else seen)
        return [self._plan_up(host, seen[host.name]) for host in self.hosts]

    def plans_down(self, seen: Seen | None = None) -> list[HostPlan]:
        """Plans for the hosts that can be inspected."""
        seen = self.look() if seen is None else seen
        found = {name: what for name, what in seen.items() if isinstance(what, Observed)}
        return [plan_down(host.name, found[host.name]) for host in self.hosts if host.name in found]

    def up(self, take_over: bool = False) -> list[HostResult]:
        """Bring the cluster up. Raises `NotOnAllHosts`; changes on the other hosts stay, and the next call continues from there."""
        before = self.all_seen(self.look())
        refuse("deploying", self.service.name, [self._plan_up(host, before[host.name]) for host in self.hosts])
        with self.claimed("tri deploy up", self.hosts, take_over) as claims:
            seen = self.look_again(before)
            refuse("deploying", self.service.name, self.plans_up(seen))
            return on_every("deploying", self.service.name, self.hosts, lambda host: self.bring_up(host, seen, claims))

    def down(self, take_over: bool = False) -> list[HostResult]:
        """Take the cluster down. An unreachable host is reported after all others are done."""
        seen = self.look()
        reached = [host for host in self.hosts if isinstance(seen[host.name], Observed)]
        refuse("removing", self.service.name, self.plans_down(seen))
        with self.claimed("tri deploy down", reached, take_over) as claims:

            def remove(host: Host) -> str:
                observed = seen[host.name]
                if not isinstance(observed, Observed):
                    raise observed
                plan = plan_down(host.name, observed)
                carry_out(plan, self.work(host, observed, claims))
                return "removed" if plan.steps else "removed, nothing to do"

            results = each(self.hosts, remove)
        return require_all("removing", self.service.name, results)

    def bring_up(self, host: Host, seen: Seen, claims: Claims) -> str:
        observed = seen[host.name]
        assert isinstance(observed, Observed)
        return carry_out(self._plan_up(host, observed), self.work(host, observed, claims))

    def work(self, host: Host, observed: Observed, claims: Claims) -> Work:
        unit = self._wanted(host, observed).unit
        return Work(host, self.hosts, self.service, observed, claims, unit, self.ready_s)

    def claimed(self, what: str, hosts: Sequence[Host], take_over: bool) -> Any:
        return Claims(hosts, what, take_over=take_over, lost=self.notify).held()

    def look_again(self, before: Mapping[str, Observed]) -> dict[str, Observed]:
        """Inspect the hosts again, now that no other process can change them. Missing folders are those of the first inspection, because the claim
        has created them.
        """
        seen = self.all_seen(self.look())
        return {name: replace(now, missing=before[name].missing) for name, now in seen.items()}

    def _plan_up(self, host: Host, observed: Observed) -> HostPlan:
        return plan_up(self._wanted(host, observed), observed, datetime.now(UTC))

    def _wanted(self, host: Host, observed: Observed) -> Wanted:
        return wanted_of(self.service, host, self.hosts, observed, firewall=self.firewall)

    def all_seen(self, seen: Seen) -> dict[str, Observed]:
        def found(host: Host) -> str:
            what = seen[host.name]
            if isinstance(what, Exception):
                raise what
            return "looked at; nothing was changed"

        on_every("looking at hosts for", self.service.name, self.hosts, found)
        return {name: what for name, what in seen.items() if isinstance(what, Observed)}


def refuse(doing: str, name: str, plans: Sequence[HostPlan]) -> None:
    """Raise `NotOnAllHosts` if any host refuses: then nothing was changed anywhere."""
    results = [_refused(plan) for plan in plans]
    if any(not result.ok for result in results):
        require_all(doing, name, results)


def _refused(plan: HostPlan) -> HostResult:
    if not plan.refusals:
        return HostResult(plan.host, True, "nothing was changed", 0.0)
    hints = dict.fromkeys(f"{plan.host}: {refusal.hint}" for refusal in plan.refusals)
    error: TribulationError = DeployError("; ".join(refusal.message for refusal in plan.refusals), "; ".join(hints))
    return HostResult(plan.host, False, error.message, 0.0, error)
