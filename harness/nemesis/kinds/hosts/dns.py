"""`dns`: on some hosts, names stop resolving or lead to another host; on hosts only, since nodes of the simulator know each other by address.

The host's agent replaces the files that resolvers read (`agent/faults/names.py`). A fresh process that resolves the names there verifies it, before,
during and after. Whether the system under test notices is not verified. One that was given addresses, as the reference cluster is, or that keeps what
it resolved once, does not. A process that ends because of it has a cause, so the fault does not declare that it leaves processes running.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from ....errors import FaultError
from ....hosts.base import Host
from ...agent_client.agents import Json, ask, require
from ...agent_client.desired_state import Want
from ...agent_client.one_question import ask_part
from ...catalog.kind import FREEZE, FaultKind, NotSimulated, Sort, Stream
from ...catalog.timing import Aimed
from ...faults.fault import Intent, Observation, Resolved, Situation
from ...faults.targets import resolve_target
from ..base import Ground, Package, Probe

PART = "names"
NOWHERE = "nowhere"
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$")]


class DnsSpec(Aimed):
    """Fault of name resolution: on the hosts of the target, names stop resolving, or lead to another host."""

    kind: ClassVar[str] = "dns"

    of: list[Name] | None = Field(
        default=None, min_length=1, description="the affected names; by default those of all other nodes"
    )
    to: str = Field(default=NOWHERE, description="`nowhere`, or a node: the names resolve to its addresses")

    def names(self) -> Iterable[str]:
        yield from super().names()
        yield from () if self.to == NOWHERE else (self.to,)


def _can_cover(host: Host) -> str:
    why = ask_part(host, {"part": PART, "what": "abilities"})["abilities"]
    if why is not None:
        raise FaultError(f"{host.name}: nothing can be mounted over /etc/hosts: {why}", "log in as root, or with sudo")
    return "bind mounts over /etc/hosts and /etc/resolv.conf"


class OnHosts(Package):
    kinds = ("dns",)
    abilities: ClassVar[Mapping[str, Probe]] = {"dns": _can_cover}

    def wants(self, fault: Resolved, ground: Ground) -> Iterable[Want]:
        addresses = _addresses(fault, ground)
        for node in fault.what["nodes"]:
            yield node, PART, {"names": dict.fromkeys(_names(fault, node), addresses)}

    def begin(self, fault: Resolved, ground: Ground) -> Json:
        before = _resolved(fault, ground)
        ground.notes[fault.intent.id] = before
        return {"before": before}

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        before, now = ground.notes.get(fault.intent.id, {}), _resolved(fault, ground)
        wanted = set(_addresses(fault, ground))
        if on:
            good = [node for node, found in now.items() if _is_misled(before.get(node, {}), found, wanted)]
            facts = {"nodes": good, "resolved": now}
            return Observation(bool(good) and good == list(fault.what["nodes"]), facts)
        still = [node for node, found in now.items() if node in before and found != before[node]]
        # Of a host that is off nothing is learnt.
        return Observation(not still and now.keys() == {*fault.what["nodes"]}, {"nodes": still, "resolved": now})


def _names(fault: Resolved, node: str) -> list[str]:
    """A host keeps its own name; a name that would lead where it always did is not changed."""
    return [name for name in fault.what["of"] if name not in (node, fault.what.get("to"))]


def _addresses(fault: Resolved, ground: Ground) -> list[str]:
    to = fault.what.get("to")
    return [] if to is None else list(ground.cluster.agents[to].addresses)


def _resolved(fault: Resolved, ground: Ground) -> dict[str, dict[str, list[str]]]:
    """Return by node and name the addresses that a fresh process gets there."""
    requests = {
        node: {"do": "look", "part": PART, "what": "names", "names": _names(fault, node)}
        for node in fault.what["nodes"]
        if node in ground.on
    }
    answers = require(ask(ground.cluster.nodes, requests), "resolving names")
    return {node: answers[node]["names"] for node in requests}


def _is_misled(before: Mapping[str, list[str]], now: Mapping[str, list[str]], wanted: set[str]) -> bool:
    """Return whether names are as requested. One that had no address before cannot lose it: at least one other must have changed."""
    as_asked = all(bool(found) == bool(wanted) and set(found) <= wanted for found in now.values())
    return as_asked and any(found != before.get(name) for name, found in now.items())


class Dns(FaultKind):
    name, spec = "dns", DnsSpec
    hidden_by = frozenset({"power", FREEZE, "dns"})
    end_hidden_by = frozenset({"power", FREEZE, "dns"})
    sorts: ClassVar[Mapping[str, Sort]] = {
        "dns": Sort("dns", "nodes", lambda knobs: {"target": knobs.choose("target", ("follower", "one", "minority"))})
    }

    def resolve(self, intent: Intent, situation: Situation, stream: Stream) -> Json:
        parameters = intent.parameters
        to = parameters.get("to", NOWHERE)
        return {
            "nodes": resolve_target(parameters["target"], situation, stream("target")),
            "of": list(parameters.get("of") or situation.nodes),
            **({} if to == NOWHERE else {"to": to}),
        }

    def unheard(self, what: Mapping[str, Any], observed: Mapping[str, Any]) -> list[Any]:
        resolved = observed.get("resolved", {})
        return [] if observed.get("nodes") else [node for node in what["nodes"] if node not in resolved]

    def on_hosts(self) -> OnHosts:
        return OnHosts()

    def simulated(self, ground: Any) -> NotSimulated:
        return NotSimulated(ground, "nodes of the simulator know each other by address: names are not used")


KIND = Dns()
