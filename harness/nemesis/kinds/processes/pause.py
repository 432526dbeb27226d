"""`pause`: SIGSTOP, and SIGCONT at the heal.

Resolved: `{"nodes": ["n2"]}`; `"whole": "host"`: everything on the host.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from ....hosts.base import Host
from ...agent_client.agents import Json
from ...agent_client.desired_state import Want, of_nodes
from ...catalog.kind import FREEZE, NO_PACKETS, NO_PROCESS, Sort
from ...catalog.random_forms import on_nodes
from ...catalog.timing import Aimed
from ...faults.fault import Observation, Resolved
from ...faults.force import Force
from ..base import Ground, Package, Probe
from ..node_kind import NodeKind
from . import outages, stillness
from .processes import PROCESS_S, is_gone, is_running, is_stopped, is_there, noted, states, unheld, verify_recovered


class PauseSpec(Aimed):
    """SIGSTOP, and SIGCONT when it ends: to the process, or to everything that runs on its host."""

    kind: ClassVar[str] = "pause"
    later: ClassVar[frozenset[str]] = frozenset({"whole"})

    whole: Literal["host"] | None = Field(
        default=None, description="`host`: every process of the host, not only the node's"
    )

    def needs(self) -> frozenset[str]:
        return frozenset({"freeze" if self.whole else "pause"})

    def variant(self) -> str:
        return f"host-{super().variant()}" if self.whole else super().variant()


def _from_outside(host: Host) -> str:
    return "by the lab's supervisor, which stops every process; with a lease"


class OnHosts(Package):
    """The agent of the host pauses the system's processes; with `whole`, the host and its agent are paused from outside (`outages`)."""

    kinds = ("pause",)
    abilities: ClassVar[Mapping[str, Probe]] = {"freeze": _from_outside}

    def wants(self, fault: Resolved, ground: Ground) -> Iterable[Want]:
        if "whole" in fault.what:
            return ()
        return of_nodes(fault.what["nodes"], "process", {"paused": True})

    def begin(self, fault: Resolved, ground: Ground) -> Json:
        if "whole" in fault.what:
            outages.freeze(ground, [name for name in fault.what["nodes"] if name not in ground.cluster.off])
        return {}

    def end(self, fault: Resolved, ground: Ground) -> Json:
        if "whole" in fault.what:
            outages.bring_back(ground, set(fault.what["nodes"]) - ground.force.off)
        return {}

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        if "whole" in fault.what:
            nodes: list[str] = fault.what["nodes"]
            # The kernel of a frozen host goes on; where clients are cut off, even that cannot be seen.
            silent = frozenset({stillness.NOTHING, stillness.KERNEL})
            return stillness.look(nodes, ground, silent) if on else verify_recovered(ground, nodes)
        seen = states(ground, fault.what["nodes"], lambda name, seen: _as_paused(name, seen, ground), PROCESS_S)
        return noted(fault, ground, seen) if on else seen

    def unheld(self, fault: Resolved, ground: Ground) -> Mapping[str, list[str]]:
        """A process that has ended meanwhile serves no client either."""
        return unheld(fault, ground, lambda seen: is_stopped(seen) or is_gone(seen))


def _as_paused(name: str, seen: Json, ground: Ground) -> bool:
    if not is_there(seen):
        # It cannot be paused while it is down, because of another fault or the system itself.
        return name not in ground.force.paused
    return is_stopped(seen) if name in ground.force.paused else is_running(seen)


class Pause(NodeKind):
    name, spec = "pause", PauseSpec
    amounts = ("whole",)
    hidden_by = NO_PROCESS | {FREEZE}
    of_the_provider = frozenset({"pause", "freeze"})
    sorts: ClassVar[Mapping[str, Sort]] = {
        "pause": on_nodes("pause"),
        "freeze": on_nodes("pause", {"whole": ("host",)}),
    }

    def add_to(self, force: Force, what: Mapping[str, Any], ident: str) -> None:
        (force.off if "whole" in what else force.paused).update(what["nodes"])

    def silences(self, what: Mapping[str, Any]) -> list[str]:
        return list(what["nodes"]) if "whole" in what else []

    def acts_as(self, what: Mapping[str, Any]) -> frozenset[str]:
        return NO_PACKETS | {FREEZE} if "whole" in what else super().acts_as(what)

    def on_hosts(self) -> OnHosts:
        return OnHosts()

    def simulated(self, ground: Any) -> Any:
        from ....simulator.faults.processes import Pauses

        return Pauses(ground)


KIND = Pause()
