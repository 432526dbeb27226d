"""`SimInjector`: faults on a simulated cluster, each verified by its own observation.

It carries out the kinds of `tribulation.harness.nemesis.faults.fault`, each by a family of `faults/`. Nothing may block under virtual time, so every
call has a form that answers through a callback: `begin_inject`, `begin_heal`, `begin_heal_all`. The blocking forms of the `Injector` protocol run the
simulation until the answer has come, and are for callers outside of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

from tribulation.node.core.core import Core

from ...errors import FaultError
from ...nemesis.catalog import catalog
from ...nemesis.faults.fault import Intent, Observation, Resolved, Situation
from ..cluster.cluster import SimCluster
from ..cluster.node import Process
from ..cluster.probes import Matrix, unreachable
from ..options import SECOND
from .ground import BOOT_NS, BringsBack, Family, Ground, Patient, Then, restore, still_on
from .reconfigure import DEADLINE_NS


class SimInjector:
    """Injector of a simulated cluster. A fault is injected and healed by its intent's id; only the families know what is active."""

    def __init__(self, cluster: SimCluster, hold_most_ns: int = 0) -> None:
        self._cluster = cluster
        self._ground = Ground(cluster, self.situation, hold_most_ns)
        self._families: Mapping[str, Family] = {kind.name: kind.simulated(self._ground) for kind in catalog.kinds()}

    # The protocol

    def situation(self) -> Situation:
        """Return the situation according to the traces: the leader is the last one elected in the highest term that has not stepped down since."""
        cluster = self._cluster
        leader, voters = _leader_and_voters(cluster)
        former = _former(cluster, leader)
        return Situation(tuple(cluster.nodes), voters, leader, tuple(cluster.up), roles=self._roles, former=former)

    def _roles(self) -> dict[str, str]:
        """Return the role that each core reports, without changing it."""
        cores = {node: self._cluster.nodes[node].core for node in self._cluster.up}
        return {node: str(core.status()["role"]) for node, core in cores.items() if isinstance(core, Core)}

    def steady(self, intent: Intent) -> AbstractContextManager[object]:
        """Keep the situation steady during an observation: time stands still anyway."""
        return nullcontext()

    def inject(self, fault: Resolved) -> Observation:
        return self._wait(lambda then: self.begin_inject(fault, then), f"inject {fault.intent.kind} {fault.intent.id}")

    def heal(self, fault: Resolved) -> Observation:
        return self._wait(lambda then: self.begin_heal(fault, then), f"heal {fault.intent.kind} {fault.intent.id}")

    def heal_all(self) -> Observation:
        return self._wait(self.begin_heal_all, "heal everything")

    # Under virtual time

    def waits(self, fault: Resolved) -> bool:
        """Return whether the fault should be injected later: it would change nothing now, and may still wait."""
        family = self._families.get(fault.intent.kind)
        return isinstance(family, Patient) and not family.may_show(fault) and self._ground.waits(fault)

    def begin_inject(self, fault: Resolved, then: Then) -> None:
        """Inject now; `then` is given the observation, or a `FaultError`."""
        family = self._families.get(fault.intent.kind)
        if family is None:
            self._ground.soon(
                then, FaultError(f"the simulator has no fault of kind {fault.intent.kind!r}", "see docs of faults")
            )
            return
        covering = self._ground.covering
        covering.began(fault, self._cluster.now_ns)

        def seen(result: Observation | FaultError) -> None:
            if isinstance(result, Observation):
                if _aims_at_nothing(fault):
                    # As on hosts: a check over no nodes always passes, and a fault that did nothing is unverified.
                    result = Observation(False, result.observed)
                covering.saw(fault, result)
            then(result)

        family.inject(fault, seen)

    def begin_heal(self, fault: Resolved, then: Then) -> None:
        """Undo one fault; healing an inactive one changes nothing and is observed even so."""
        self._ground.covering.ended(fault, self._cluster.now_ns)
        self._families[fault.intent.kind].heal(fault, then)

    def begin_heal_all(self, then: Then) -> None:
        """Undo everything, known or not, and observe whether every edge, process and clock is healthy."""
        cluster = self._cluster
        for family in self._families.values():
            family.forget()
        self._ground.covering.ended_all(cluster.now_ns)
        restore(cluster)
        # A process that was stopped may notice a disk error only when it runs again.
        cluster.schedule(cluster.now_ns + BOOT_NS, restore, cluster)

        def observed(matrix: Matrix) -> None:
            closed = unreachable(matrix)
            processes = {name: cluster.process(name).value for name in cluster.nodes}
            disks = {name: node.disk.wrong() for name, node in cluster.nodes.items()}
            altered = [list(edge) for edge in cluster.network.altered()]
            whole = not closed and all(state == Process.RUNNING.value for state in processes.values())
            facts = {"unreachable": closed, "processes": processes, "disks": disks, "altered": altered}
            facts["still"] = still_on(cluster) | {
                "membership": sorted({n for away in self._ground.away.values() for n in away})
            }
            then(Observation(whole, facts))

        def back(error: FaultError | None) -> None:
            if error is None:
                self._ground.probes.reachability(observed)
            else:
                then(error)

        away = [family for family in self._families.values() if isinstance(family, BringsBack)]
        cluster.schedule(cluster.now_ns + 2 * BOOT_NS, _bring_all_back, away, back)

    def _wait(self, begin: Callable[[Then], None], what: str) -> Observation:
        results: list[Observation | FaultError] = []
        begin(results.append)
        if not self._cluster.run_while(lambda: not results, self._cluster.now_ns + 2 * DEADLINE_NS):
            raise FaultError(f"{what}: nothing was observed in {2 * DEADLINE_NS // SECOND} s", "look at the traces")
        result = results[0]
        if isinstance(result, FaultError):
            raise result
        return result


def _bring_all_back(families: list[BringsBack], then: Callable[[FaultError | None], None]) -> None:
    """Bring back what each family keeps away, one family after the other, up to the first error."""
    if not families:
        then(None)
        return
    first, *rest = families
    first.bring_back(lambda error: then(error) if error is not None else _bring_all_back(rest, then))


def _former(cluster: SimCluster, leader: str | None) -> str | None:
    """Return the node elected last of those that do not lead now."""
    elected = {
        name: int(cluster.latest[name]["leader"]["term"])
        for name in cluster.nodes
        if name != leader and "leader" in cluster.latest[name]
    }
    return max(elected, key=lambda name: elected[name], default=None)


def _leader_and_voters(cluster: SimCluster) -> tuple[str | None, dict[str, int]]:
    """Return, from the latest trace lines, the node that was elected in the highest term and still leads, and the weights committed last."""
    leader: tuple[int, str] | None = None
    config: tuple[int, dict[str, int]] = (-1, {})
    for name, node in cluster.nodes.items():
        latest = cluster.latest[name]
        roles = [latest[event] for event in ("leader", "follower") if event in latest]
        current = [line for line in roles if line["incarnation"] == node.incarnation]
        role = max(current, key=lambda line: int(line["seq"]), default=None)
        if (
            node.alive
            and role is not None
            and role["event"] == "leader"
            and (leader is None or role["term"] > leader[0])
        ):
            leader = (role["term"], name)
        commit = latest.get("commit")
        if commit is not None and commit["index"] > config[0]:
            config = (commit["index"], dict(commit["voters"]))
    voters = config[1] or dict(next(iter(cluster.nodes.values())).config.voters)
    return (leader[1] if leader is not None else None), voters


def _aims_at_nothing(fault: Resolved) -> bool:
    """Return whether the fault's target is empty: two voters have no minority, for example."""
    return any(fault.what.get(name) == [] for name in ("nodes", "edges"))
