"""Common parts of kinds that limit a resource of a process; the host's agent limits it (`agent/faults/limits.py`)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from ....hosts.base import Host
from ...agent_client.agents import Json, ask, require
from ...agent_client.desired_state import Want, of_nodes
from ...agent_client.one_question import ask_part
from ...catalog.kind import FREEZE, NO_PROCESS
from ...faults.fault import Observation, Resolved
from ...faults.force import Force
from ..base import Ground, Package
from ..node_kind import NodeKind
from ..processes.processes import is_running, states

PART = "limits"
NO_GROUPS = "run as root, on a kernel with the controllers cpu and memory (cgroup v1, or v2 with both enabled in the top group); `tri doctor` shows what is available"


class LimitOnHosts(Package):
    """`key` is the limit's name in the desired state of a host, `amount` its name in the resolved fault."""

    key: ClassVar[str]
    amount: ClassVar[str]

    def wants(self, fault: Resolved, ground: Ground) -> Iterable[Want]:
        return of_nodes(fault.what["nodes"], PART, {self.key: fault.what[self.amount]})

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        kind = fault.intent.kind
        nodes = [name for name in fault.what["nodes"] if name in ground.on]
        limits = {name: ground.force.limits.get(name, {}).get(kind) for name in nodes}
        seen = self.ask([name for name in nodes if limits[name] is not None], ground, measure=True)
        seen |= self.ask([name for name in nodes if limits[name] is None], ground)
        before = ground.notes.get(fault.intent.id) or {}
        good = [name for name in nodes if self.shows(limits[name], seen[name], before.get(name))]
        facts: dict[str, Any] = {"nodes": good, "seen": {name: _without_nothing(seen[name]) for name in nodes}}
        if off := [name for name in fault.what["nodes"] if name not in nodes]:
            # That host cannot be probed; its limits are applied when it is back.
            facts["off"] = off
        verified = bool(good) and good == list(fault.what["nodes"])
        if not on and verified:
            back = states(ground, nodes, lambda name, process: name in ground.force.killed or is_running(process))
            verified, facts["states"] = back.verified, back.observed["states"]
        return Observation(verified, facts)

    def ask(self, nodes: Iterable[str], ground: Ground, measure: bool = False) -> dict[str, Json]:
        request = {"do": "look", "part": PART, "what": self.kinds[0], "measure": measure}
        return require(ask(ground.cluster.nodes, dict.fromkeys(nodes, request)), "checking limited processes")

    @abstractmethod
    def shows(self, limit: int | None, seen: Json, before: Any) -> bool:
        """Return whether the observed process is under this limit; None: whether it is under none, as `before`."""


def _without_nothing(seen: Json) -> Json:
    return {name: value for name, value in seen.items() if value is not None}


def groups(host: Host, name: str) -> tuple[str | None, str]:
    found = ask_part(host, {"part": PART, "what": "abilities"})["abilities"][name]
    return found["means"], found["why"]


class LimitKind(NodeKind):
    """Base of these kinds: `amounts` holds one parameter, the limit."""

    hidden_by = NO_PROCESS | {"pause", FREEZE}

    def add_to(self, force: Force, what: Mapping[str, Any], ident: str) -> None:
        """Add the limit. Of several the strictest holds."""
        (name,) = self.amounts
        for node in what["nodes"]:
            limited = force.limits.setdefault(node, {})
            limited[self.name] = min(what[name], limited.get(self.name, what[name]))
