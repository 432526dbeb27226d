"""A rolling upgrade: one node at a time, the leader last and only after it has handed its leadership over. Each node is waited for until it holds everything that is committed.

While one node is away, all others are there and agree on the leader, so writes go on, and no acknowledged one is on fewer nodes than a quorum. A node that does not come back
ends the upgrade: the others stay on their version. To continue, the upgrade is requested again, because it is planned from the present state.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tribulation.node.core.raft.state.configuration import is_quorum

from ..errors import DeployError, TribulationError
from ..hosts.base import Host
from ..hosts.parallel import on_all
from ..hosts.ssh.claims import Claims
from ..systems.base import Dial
from ..systems.reference import requests
from ..systems.reference.system import ReferenceService
from .carry_out import carry_out
from .cluster import Deployment, Seen, refuse
from .deploy import HostResult, NotOnAllHosts
from .observe import Observed
from .plan import HostPlan

SETTLE_S = 60.0
HANDOVER_S = 20.0
_STEP_S = 0.1
_ASK_S = 2.0

Status = Mapping[str, Any]
States = Mapping[str, Status | None]
"""Each node's own report; None for one that does not answer."""


def order(names: Sequence[str], states: States) -> list[str]:
    """The order of upgrades: nodes that are down first, because that has no cost; the leader last, so that the leadership moves once."""
    leader = leader_of(states)
    return sorted(names, key=lambda name: (states.get(name) is not None, name == leader, list(names).index(name)))


def leader_of(states: States) -> str | None:
    """The leader in the highest term in which a node reports that it leads."""
    leading = [(state["term"], name) for name, state in states.items() if state and state["leader"] == name]
    return max(leading)[1] if leading else None


def why_unsettled(states: States, without: str | None, committed: int) -> str | None:
    """The reason why `without` must not be stopped yet; None if it may: all others answer, are a quorum, follow one leader, and have all `committed` entries."""
    leader = leader_of(states)
    others = {name: state for name, state in states.items() if name != without}
    silent = [name for name, state in others.items() if state is None]
    if silent:
        return f"{', '.join(silent)} does not answer"
    if leader is None or leader == without:
        return "no node leads" if leader is None else f"{leader} leads still"
    voters = (states[leader] or {})["voters"]
    if not is_quorum(voters, others):
        return (
            f"without {without} there is no quorum of the voters {dict(voters)}; `tri deploy up` restarts all at once"
        )
    behind = [name for name, state in others.items() if state and (state["commit"] < committed or state["torn"])]
    if behind:
        return f"{', '.join(behind)} has not caught up with index {committed}"
    lost = [name for name, state in others.items() if state and state["leader"] != leader]
    return f"{', '.join(lost)} does not follow {leader}" if lost else None


def heirs(states: States, leader: str) -> list[str]:
    """Possible successors: voters that answer, the one with the longest log first."""
    voters = (states[leader] or {})["voters"]
    able = [(-state["last_index"], name) for name, state in states.items() if state and voters.get(name)]
    return [name for _, name in sorted(able) if name != leader]


@dataclass
class Upgrade:
    """`notify` is called at each step, for people."""

    cluster: Deployment
    dial: Dial
    notify: Callable[[str], None] = lambda message: None
    settle_s: float = SETTLE_S

    def run(self, take_over: bool = False) -> list[HostResult]:
        """Upgrade. Raises `NotOnAllHosts`, with every node's result, if it had to stop."""
        cluster = self.cluster
        before = cluster.all_seen(cluster.look())
        refuse("upgrading", self._service.name, cluster.plans_up(before))
        _refuse_new(before)
        with cluster.claimed("tri deploy upgrade", cluster.hosts, take_over) as claims:
            seen = cluster.look_again(before)
            plans = {plan.host: plan for plan in cluster.plans_up(seen)}
            return self._one_by_one(plans, seen, claims)

    def _one_by_one(self, plans: Mapping[str, HostPlan], seen: Seen, claims: Claims) -> list[HostResult]:
        results = {name: HostResult(name, True, "up to date", 0.0) for name, plan in plans.items() if not plan.steps}
        todo = [name for name in plans if name not in results]
        while todo:
            # Asked again each time: the leadership may have moved meanwhile.
            name = order(todo, self.states())[0]
            todo.remove(name)
            self.notify(f"{name}: {'; '.join(step.detail for step in plans[name].steps)}")
            started_s = time.monotonic()
            try:
                detail = self._one(self._host(name), plans[name], seen, claims)
            except TribulationError as error:
                results[name] = HostResult(name, False, error.message.splitlines()[0], _since(started_s), error)
                raise self._stopped(results, name, todo, error) from error
            results[name] = HostResult(name, True, detail, _since(started_s))
        self._await_settled(None)
        return [results[host.name] for host in self.cluster.hosts]

    def _one(self, host: Host, plan: HostPlan, seen: Seen, claims: Claims) -> str:
        observed = seen[host.name]
        assert isinstance(observed, Observed)
        # Starting what is down is always safe, however bad the rest is: it may be just what is missing.
        takes_away = plan.restarts and self.states()[host.name] is not None
        if takes_away:
            self._await_settled(None)
            self._require_others(host.name)
            self._hand_over(host.name)
            self._await_settled(host.name)
        detail = carry_out(plan, self.cluster.work(host, observed, claims))
        if takes_away:
            self._await_settled(None)
        return detail.replace("ready", "upgraded", 1)

    def _await_settled(self, without: str | None) -> None:
        committed = max((state["commit"] for state in self.states().values() if state), default=0)
        states: States = {}

        def why() -> str | None:
            nonlocal states
            states = self.states()
            return why_unsettled(states, without, committed)

        reason = _until_none(why, self.settle_s)
        if reason is not None:
            raise DeployError(
                f"the cluster is not well enough to go on after {self.settle_s:g} s: {reason}",
                hint="`tri deploy status` shows every node; bring back what is missing, and upgrade again",
            )

    def _require_others(self, name: str) -> None:
        voters: Mapping[str, int] = next((state["voters"] for state in self.states().values() if state), {})
        if not is_quorum(voters, [host.name for host in self.cluster.hosts if host.name != name]):
            raise DeployError(
                f"the others are not a quorum without {name}: writes would wait while it is away",
                hint="`tri deploy up` restarts all nodes at once",
            )

    def _hand_over(self, name: str) -> None:
        """Transfer the leadership away from this node, so that no election is needed while it is down."""
        deadline_s = time.monotonic() + HANDOVER_S
        while (states := self.states()) and leader_of(states) in (name, None):
            if time.monotonic() > deadline_s:
                raise DeployError(
                    f"{name} did not hand its leadership over within {HANDOVER_S:g} s",
                    hint="`tri deploy status` shows the leader; upgrade again when the cluster is calm",
                )
            if leader_of(states) == name:
                for heir in heirs(states, name)[:1]:
                    self.notify(f"{name} leads, and hands over to {heir}")
                    self._service.ask(name, self.dial, requests.hand_over(heir, 3000), 4.0)
            time.sleep(_STEP_S)

    def states(self) -> dict[str, Status | None]:
        return states_of(self._service, self.cluster.hosts, self.dial)

    def _stopped(
        self, results: Mapping[str, HostResult], name: str, left: Sequence[str], error: TribulationError
    ) -> NotOnAllHosts:
        left_alone = {each: HostResult(each, True, "left on the version that it has", 0.0) for each in left}
        outcomes = [{**results, **left_alone}[host.name] for host in self.cluster.hosts]
        rest = f"; {', '.join(left)} left as they are" if left else ""
        hint = f"{error.hint or 'see the logs on that host'}; then `tri deploy upgrade` again goes on from there"
        return NotOnAllHosts(outcomes, f"the upgrade stopped at {name}{rest}:\n  {error.message}", hint)

    def _host(self, name: str) -> Host:
        return next(host for host in self.cluster.hosts if host.name == name)

    @property
    def _service(self) -> ReferenceService:
        return self.cluster.service


def states_of(service: ReferenceService, hosts: Sequence[Host], dial: Dial) -> dict[str, Status | None]:
    answers = on_all(hosts, lambda host: service.ask(host.name, dial, requests.STATUS, _ASK_S)).values
    return {host.name: requests.report_of(answers.get(host.name)) for host in hosts}


def _refuse_new(seen: Mapping[str, Observed]) -> None:
    """Refuse when nothing is deployed: there is nothing to upgrade."""
    new = [name for name, observed in seen.items() if not observed.config]
    if new:
        raise DeployError(f"no node is deployed on {', '.join(new)}", hint="`tri deploy up` deploys the cluster first")


def _until_none(why: Callable[[], str | None], timeout_s: float) -> str | None:
    """Wait until there is no reason left; return the last reason at the time limit."""
    deadline_s = time.monotonic() + timeout_s
    while (reason := why()) is not None and time.monotonic() < deadline_s:
        time.sleep(_STEP_S)
    return reason


def _since(started_s: float) -> float:
    return time.monotonic() - started_s
