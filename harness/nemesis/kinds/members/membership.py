"""Voters that leave through the log and come back, some of them on an empty disk, or as new members.

The weights, and the membership, are the cluster's own state: no agent can undo them, and a harness that is killed leaves them as they are. The
process that a replacement kills, and that of a member that left, is leased like any other.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from ....errors import FaultError
from ....hosts.base import Host
from ....systems.answers import status_of
from ...agent_client.agents import Json
from ...agent_client.desired_state import Want, of_nodes
from ...cluster.control import Replaceable
from ...faults.fault import Observation, Resolved, Situation
from ...faults.targets import may_leave
from ..base import Ground, Package, Probe
from ..processes.processes import is_gone, is_running, states
from .departure import MEMBERS_S, are_back, are_gone, come_back, depart
from .voters import VOTERS_S, known_weights, look_at, move

BROUGHT_UP_S = 3.0
LOOK_S = 0.1


def _replaces(host: Host) -> str:
    return "the agent empties the node's directory"


def _departs(host: Host) -> str:
    return "the cluster lets the member go, and its process is killed"


class Membership(Package):
    kinds = ("membership",)
    waits = True
    abilities: ClassVar[Mapping[str, Probe]] = {"replacement": _replaces, "departure": _departs}

    def prepare(self, fault: Resolved, ground: Ground) -> Json:
        """Wait for its turn when others are away, or down: a voter that was dispensable at resolution may be needed meanwhile."""
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
        """A voter's disk is part of what a quorum knows: none is wiped while a quorum might count on it."""
        if fault.what["action"] == "replace":
            known = _await_weights(ground)
            voting = [node for node in fault.what["nodes"] if known is None or known.get(node, 0)]
            if voting:
                why = "nobody can say whether it votes" if known is None else "it votes again"
                raise FaultError(f"{', '.join(voting)} keeps its disk: {why}", "is something else changing the voters?")
        return {}

    def wants(self, fault: Resolved, ground: Ground) -> Iterable[Want]:
        if fault.what["action"] == "leave":
            yield from of_nodes(fault.what["nodes"], "process", {"killed": True})
        if fault.what["action"] != "replace":
            return
        service = ground.cluster.service
        if not isinstance(service, Replaceable):
            hint = "leave it out, or give its service `replacement`"
            raise FaultError(f"system {service.name!r} does not say how a node comes back on an empty disk", hint)
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
        told = {**voters.observed, **({"in_doubt": doubting} if doubting else {})}
        if not on:
            return Observation(voters.verified, told)
        ground.cluster.refresh_pids()
        before = ground.notes[fault.intent.id]
        anew = states(ground, fault.what["nodes"], lambda name, seen: _is_another(name, seen, before, ground))
        return Observation(voters.verified and anew.verified, {**told, "replaced": anew.observed["nodes"]})


def _await_weights(ground: Ground) -> Mapping[str, int] | None:
    """A leader that voted itself out has handed over, and the next one may not lead yet."""
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
            f"{', '.join(leaving)} cannot leave the voters {dict(known)}: those that would stay are too few, or too few of them are up",
            "have fewer faults on together that take voters away",
        )


def _away(ground: Ground) -> Json:
    """By fault, the weights that its nodes will have again."""
    return ground.notes.setdefault("away from the voters", {})


def _is_another(name: str, seen: Json, before: Json, ground: Ground) -> bool:
    """The process that found the empty disk is not the one that had filled the old one. A process that another fault holds down must not run at all."""
    if name in ground.force.killed | ground.force.off:
        return is_gone(seen)
    return seen["pid"] is not None and (seen["pid"], seen["started"]) != (before[name]["pid"], before[name]["started"])


def _in_doubt(nodes: Sequence[str], ground: Ground) -> list[str]:
    """Return those that no leader has brought up yet, or that do not report it. They are awaited briefly, and then accepted: a node that is cut off
    stays in doubt.
    """
    cluster, deadline_s = ground.cluster, time.monotonic() + BROUGHT_UP_S
    while True:
        told = {
            node: status_of(cluster.service, cluster.hosts[node], cluster.dial) for node in nodes if node in ground.on
        }
        doubting = [node for node in nodes if (told.get(node) or {"torn": True}).get("torn")]
        if not doubting or time.monotonic() > deadline_s:
            return doubting
        time.sleep(LOOK_S)
