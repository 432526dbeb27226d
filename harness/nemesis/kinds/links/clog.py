"""`clog`: nothing arrives over the links until it ends, and then everything does, in order.

Resolved: `{"edges": …}`.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from ...agent_client.agents import Json
from ...agent_client.desired_state import Want
from ...catalog.kind import NO_PACKETS, Sort
from ...catalog.random_forms import on_links
from ...faults.fault import Observation, Resolved
from ...specs.links import Shaped as ShapedSpec
from ...topology.partitions import Edge
from ..base import Ground, Probe
from . import bursts
from .bursts import Seen
from .link_kind import LinkKind
from .shaped import Shaped, edges_of, holds, listed

STUCK, STUCK_EVERY_NS = 20, 5_000_000
FREED_S = 1.0


class ClogSpec(ShapedSpec):
    """Nothing arrives over the links until it ends, and then everything does, in order: nothing is lost."""

    kind: ClassVar[str] = "clog"


class OnHosts(Shaped):
    """Package that records for each fault the links over which test packets are held."""

    kinds = ("clog",)
    abilities: ClassVar[Mapping[str, Probe]] = {"clog": holds}

    def wants(self, fault: Resolved, ground: Ground) -> Iterable[Want]:
        """A host that loses power loses the packets held there, so they are not expected."""
        if noted := ground.notes.get(fault.intent.id):
            noted["stuck"] = [edge for edge in noted["stuck"] if not {*edge} & ground.force.off]
        return super().wants(fault, ground)

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        """Verify that numbered packets do not arrive while it is on, and that all of these do, in order, when it is over."""
        number = zlib.crc32(fault.intent.id.encode())
        return self._look_on(fault, ground, number) if on else self._look_off(fault, ground, number)

    def _look_on(self, fault: Resolved, ground: Ground, number: int) -> Observation:
        force = ground.force
        free = [edge for edge in edges_of(fault) if edge not in force.edges and not {*edge} & force.off]
        # A link that never carried a packet proves nothing by silence.
        edges = [edge for edge in free if edge in ground.reachability.links]
        seen = bursts.burst(ground.cluster, edges, STUCK, STUCK_EVERY_NS, number=number) if edges else {}
        leaking = [edge for edge in edges if seen[edge] is not None]
        stuck, dark = [edge for edge in edges if seen[edge] is None], [edge for edge in free if edge not in edges]
        ground.notes[fault.intent.id] = {"stuck": stuck}
        more = {name: listed(found) for name, found in (("leaking", leaking), ("unprobed", dark)) if found}
        return Observation(bool(stuck) and not leaking and not dark, {"edges": listed(stuck), **more})

    def _look_off(self, fault: Resolved, ground: Ground, number: int) -> Observation:
        links, force = ground.links(), ground.force
        stuck = ground.notes.get(fault.intent.id, {}).get("stuck", [])
        freed = [edge for edge in stuck if edge not in force.edges and not force.links.get(edge)]
        came = _come(ground, freed, number) if freed else {}
        late = sum(found["came"] for found in came.values() if found is not None)
        whole = all(found is not None and found["came"] == STUCK and not found["overtaken"] for found in came.values())
        still = [edge for edge in edges_of(fault) if force.links.get(edge, {}).get("clogged")]
        return Observation(links.verified and whole, {**links.observed, "edges": listed(still), "late": late})


def _come(ground: Ground, edges: list[Edge], number: int) -> Mapping[Edge, Seen | None]:
    """Return what arrived of the packets that were stuck, once all have or time is up."""
    deadline_s = time.monotonic() + FREED_S
    while True:
        seen = bursts.arrived(ground.cluster, edges, number)
        if time.monotonic() > deadline_s or all(found and found["came"] == STUCK for found in seen.values()):
            return seen
        time.sleep(FREED_S / 20)


class Clog(LinkKind):
    name, spec = "clog", ClogSpec
    shapes_links = True
    masks_as = NO_PACKETS
    end_hidden_by = NO_PACKETS | {"flap", "link"}
    sorts: ClassVar[Mapping[str, Sort]] = {"clog": on_links("clog")}

    def shape(self, what: Mapping[str, Any]) -> Json:
        return {"clogged": True}

    def on_hosts(self) -> OnHosts:
        return OnHosts()

    def simulated(self, ground: Any) -> Any:
        from ....simulator.faults.links import Clogs

        return Clogs(ground)


KIND = Clog()
