"""`membership`: voters that leave through the log and come back, some of them on an empty disk, or as new members.

The weights, and the membership, are the cluster's own state: no agent can undo them, and a harness that is killed leaves them as they are. The
process that a replacement kills, and that of a member that left, is leased like any other.

Resolved: `{"nodes": ["n2"], "action": "remove", "weights": {"n2": 1}}`: out of the voters now, back at the heal; `replace`: on an empty disk; `leave`:
they are no members either, and do not run.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any, ClassVar

from pydantic import Field

from ....errors import FaultError
from ....hosts.base import Host
from ....systems.answers import status_of
from ...agent_client.agents import Json
from ...agent_client.desired_state import Want, of_nodes
from ...catalog.kind import NO_PROCESS, FaultKind, Sort, Stream
from ...catalog.random_forms import on_nodes
from ...catalog.timing import Aimed
from ...cluster.control import Replaceable
from ...faults.fault import Intent, Observation, Resolved, Situation
from ...faults.force import Force
from ...faults.targets import may_leave, resolve_target
from ..base import Ground, Package, Probe
from ..processes.processes import is_gone, is_running, states
from .departure import MEMBERS_S, are_back, are_gone, come_back, depart
from .voters import VOTERS_S, known_weights, look_at, move

BROUGHT_UP_S = 3.0
LOOK_S = 0.1


class Action(str, Enum):
    REMOVE = "remove"
    REPLACE = "replace"
    LEAVE = "leave"


_NEEDS = {Action.REMOVE: "membership", Action.REPLACE: "replacement", Action.LEAVE: "departure"}


class MembershipSpec(Aimed):
    """The targets leave the voters through the log, and join them again when it ends. `replace`: meanwhile their disks are replaced by empty ones.
    `leave`: they are no longer members, and do not run; when they are started again they join again.
    """

    kind: ClassVar[str] = "membership"
    lane: ClassVar[str] = "members"
    moves_voters: ClassVar[bool] = True

    action: Action = Field(default=Action.REMOVE, description="what happens to the targets while they do not vote")

    later: ClassVar[frozenset[str]] = frozenset({"optional"})
    optional: bool | None = Field(
        default=None, description="true: if the others need the targets, the fault is skipped without an error"
    )

    def parameters(self) -> dict[str, Any]:
        optional = {"optional": True} if self.optional else {}
        return {"target": self.target, "action": self.action.value, **optional}

    def needs(self) -> frozenset[str]:
        return frozenset({_NEEDS[self.action]})

    def variant(self) -> str:
        return f"{self.action.value}-{super().variant()}"


def _replaces(host: Host) -> str:
    return "the agent empties the node's directory"


def _departs(host: Host) -> str:
    return "the cluster removes the member, and its process is killed"


class OnHosts(Package):
    kinds = ("membership",)
    waits = True
    abilities: ClassVar[Mapping[str, Probe]] = {"replacement": _replaces, "departure": _departs}

    def prepare(self, fault: Resolved, ground: Ground) -> Json:
        """Take the vote from the nodes, or let them leave. It waits while others are away or down: a voter that could be spared at resolution may be needed
        meanwhile.
        """
        nodes: list[str] = fault.what["nodes"]
        ground.notes[fault.intent.id] = ground.cluster.processes_of(nodes)
        leaves = fault.what["action"] == "leave"
        deadline_s = time.monotonic() + (MEMBERS_S if leaves else VOTERS_S)

        def check(known: Mapping[str, int]) -> None:
            _need_others(nodes, known, ground)

        while True:
            try:
                if leaves:
                    depart(ground, nodes, check)
                else:
                    move(ground, dict.fromkeys(nodes, 0), check)
            except NotNow:
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(LOOK_S)
            else:
                _away(ground)[fault.intent.id] = fault.what["weights"]
                return {}

    def begin(self, fault: Resolved, ground: Ground) -> Json:
        """Refuse to empty the disk of a node that votes: a quorum may rely on it."""
        if fault.what["action"] == "replace":
            known = _await_weights(ground)
            voting = [node for node in fault.what["nodes"] if known is None or known.get(node, 0)]
            if voting:
                why = "no leader reports whether it votes" if known is None else "it votes again"
                raise FaultError(f"{', '.join(voting)} keeps its disk: {why}", "is something else changing the voters?")
        return {}

    def wants(self, fault: Resolved, ground: Ground) -> Iterable[Want]:
        if fault.what["action"] == "leave":
            yield from of_nodes(fault.what["nodes"], "process", {"killed": True})
        if fault.what["action"] != "replace":
            return
        service = ground.cluster.service
        if not isinstance(service, Replaceable):
            hint = "remove the fault, or add `replacement` to the service"
            raise FaultError(f"system {service.name!r} does not define how a node returns with an empty disk", hint)
        for node in fault.what["nodes"]:
            made = service.replacement(ground.cluster.hosts[node])
            files = {name: base64.b64encode(content).decode() for name, content in made.files.items()}
            yield node, "replacement", {"ident": fault.intent.id, "directory": made.directory, "files": files}

    def finish(self, fault: Resolved, ground: Ground) -> Json:
        if fault.what["action"] == "leave":
            come_back(ground, fault.what["nodes"])
        move(ground, fault.what["weights"])
        _away(ground).pop(fault.intent.id, None)
        return {}

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        weights = dict.fromkeys(fault.what["nodes"], 0) if on else fault.what["weights"]
        voters = look_at(ground, weights)
        if fault.what["action"] == "leave":
            own = are_gone(ground, fault.what["nodes"]) if on else are_back(ground, fault.what["nodes"])
            return Observation(voters.verified and own.verified, {**voters.observed, **own.observed})
        if fault.what["action"] != "replace":
            return Observation(voters.verified, voters.observed)
        doubting = _in_doubt(fault.what["nodes"], ground)
        facts = {**voters.observed, **({"in_doubt": doubting} if doubting else {})}
        if not on:
            return Observation(voters.verified, facts)
        ground.cluster.refresh_pids()
        before = ground.notes[fault.intent.id]
        replaced = states(ground, fault.what["nodes"], lambda name, seen: _is_another(name, seen, before, ground))
        return Observation(voters.verified and replaced.verified, {**facts, "replaced": replaced.observed["nodes"]})


def _await_weights(ground: Ground) -> Mapping[str, int] | None:
    """Return the known weights, waiting briefly for a leader: one that voted itself out has handed over, and the next may not lead yet."""
    deadline_s = time.monotonic() + BROUGHT_UP_S
    while (known := known_weights(ground)) is None and time.monotonic() < deadline_s:
        time.sleep(LOOK_S)
    return known


class NotNow(FaultError):
    """Voters that are not dispensable at the moment."""


def _need_others(nodes: Sequence[str], known: Mapping[str, int], ground: Ground) -> None:
    cluster = ground.cluster
    up = [name for name, process in cluster.look_at_processes().items() if is_running(process)]
    away = {node: weight for weights in _away(ground).values() for node, weight in weights.items()}
    leaving = [node for node in nodes if known.get(node, 0)]
    if may_leave(leaving, Situation(list(cluster.nodes), known, None, up), away) != leaving:
        raise NotNow(
            f"{', '.join(leaving)} cannot leave the voters {dict(known)}: too few voters would remain, or too few of these are up",
            "use fewer simultaneous faults that remove voters",
        )


def _away(ground: Ground) -> Json:
    """Return by fault the weights that its nodes will have again."""
    return ground.notes.setdefault("away from the voters", {})


def _is_another(name: str, seen: Json, before: Json, ground: Ground) -> bool:
    """Return whether another process runs than before the fault: the one that found the empty disk. One that another fault holds down must not run."""
    if name in ground.force.killed | ground.force.off:
        return is_gone(seen)
    return seen["pid"] is not None and (seen["pid"], seen["started"]) != (before[name]["pid"], before[name]["started"])


def _in_doubt(nodes: Sequence[str], ground: Ground) -> list[str]:
    """Return those that no leader has brought up yet, or that do not report it. They are awaited briefly, and then accepted: a node that is cut off
    stays in doubt.
    """
    cluster, deadline_s = ground.cluster, time.monotonic() + BROUGHT_UP_S
    while True:
        facts = {
            node: status_of(cluster.service, cluster.hosts[node], cluster.dial) for node in nodes if node in ground.on
        }
        doubting = [node for node in nodes if (facts.get(node) or {"torn": True}).get("torn")]
        if not doubting or time.monotonic() > deadline_s:
            return doubting
        time.sleep(LOOK_S)


class Membership(FaultKind):
    name, spec = "membership", MembershipSpec
    masks_as = NO_PROCESS
    of_the_system: ClassVar[Mapping[str, str]] = {
        "membership": "voters",
        "replacement": "replacement",
        "departure": "members",
    }
    sorts: ClassVar[Mapping[str, Sort]] = {
        "removed": on_nodes("membership", {"action": ("remove",)}),
        "replaced": on_nodes("membership", {"action": ("replace",)}),
    }

    def resolve(self, intent: Intent, situation: Situation, stream: Stream) -> Json:
        """Choose the nodes, with their present weights, which they will have again. Raises `FaultError` when none of them can go."""
        able = replace(situation, nodes=[node for node in situation.nodes if may_leave([node], situation)])
        target = intent.parameters["target"]
        nodes = resolve_target(target, able if able.nodes else situation, stream("target"))
        leaving = may_leave(nodes, situation)
        if not leaving:
            voters = ", ".join(f"{node} {weight}" for node, weight in situation.voters.items())
            raise FaultError(
                f"of {', '.join(nodes) or 'no nodes'} none can leave the voters ({voters}): "
                f"those that would stay and are up (of {', '.join(situation.up) or 'none'}) are not a quorum",
                "choose voters that the others can spare, at a time when other faults do not keep too many nodes down",
            )
        weights = {node: situation.voters[node] for node in leaving}
        return {"nodes": leaving, "action": intent.parameters["action"], "weights": weights}

    def pinned(self, what: Mapping[str, Any]) -> list[Json]:
        return [{"target": what["nodes"], "action": what["action"]}]

    def add_to(self, force: Force, what: Mapping[str, Any], ident: str) -> None:
        if what["action"] == Action.LEAVE:
            force.killed.update(what["nodes"])

    def on_hosts(self) -> OnHosts:
        return OnHosts()

    def simulated(self, ground: Any) -> Any:
        from ....simulator.faults.membership import MembershipFaults

        return MembershipFaults(ground)


KIND = Membership()
