"""Definition of one kind of fault, in one place: a subclass of `FaultKind` in a module of its own, and a line in `catalog`.

    class DnsSpec(Aimed): …                      # what a campaign may say
    class OnHosts(Package): …                    # desired state of hosts, and the probe that sees it
    class Dns(FaultKind):
        name, spec = "dns", DnsSpec
        def resolve(self, intent, situation, random): …
        def on_hosts(self): return OnHosts()
        def simulated(self, ground): return Simulated(ground)
    KIND = Dns()

Everything else (loading campaigns, plans, the ledger, masking, the injectors, `tri list faults`) uses the catalogue. Checkers know nothing of the
harness. What they must know of a kind is in `what` and so in the ledger (`LEAVES_RUNNING`, `MAY_DAMAGE`), where a run folder still has it when this
kind is gone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

from ..faults.fault import Intent, Situation
from .knobs import Knobs
from .timing import Timing

Json = dict[str, Any]
Item = dict[str, dict[str, Any]]
Fields = dict[str, Any]

LEAVES_RUNNING: Json = {"leaves_running": True}
"""In `what`: no process stops or ends because of it, so checkers excuse no silent node."""
MAY_DAMAGE: Json = {"may_damage": True}
"""In `what`: a node may receive something else than was sent, so a node that reports and refuses it has a cause."""


@dataclass(frozen=True, slots=True)
class Sort:
    """One random form of a kind. `fault` is the item's key and `draw` its fields from the sort's own knobs; it is on for at most one in `share` of a
    period.

    `coarse`: it covers what other sorts of the table do one by one, so a mix in which every sort occurs leaves it out. `plain`: the searches' swarm
    leaves it out, because it has something similar. `own_time`: its duration is drawn with the fields, not by the composer of the mix.
    """

    fault: str
    lane: str
    draw: Callable[[Knobs], Fields]
    share: int = 3
    coarse: bool = False
    plain: bool = False
    own_time: bool = False

    def item(self, knobs: Knobs) -> Item:
        return {self.fault: self.draw(knobs)}


class FaultKind(ABC):
    """Everything beyond the methods has a default: a kind that masks nothing and is never random does not mention either."""

    name: ClassVar[str]
    """Name in campaigns, intents and ledgers."""
    spec: ClassVar[type[Timing]]
    hidden_by: ClassVar[frozenset[str]] = frozenset()
    """Kinds that may mask it (`..topology.masking`)."""
    end_hidden_by: ClassVar[frozenset[str]] = frozenset()
    """Kinds that may mask its end, in addition to those."""
    hides: ClassVar[frozenset[str]] = frozenset()
    """Older kinds that it may mask."""
    shapes_links: ClassVar[bool] = False
    """Whether it shapes the links of its edges (`shape`), so that probes may get through or not."""
    sorts: ClassVar[Mapping[str, Sort]] = {}
    """Its random forms, in mixes that name it. Other mixes draw the same as before this kind existed."""

    @abstractmethod
    def resolve(self, intent: Intent, situation: Situation, random: Random) -> Json:
        """Resolve the fault (`what`). `random` is keyed by seed and intent."""

    def pinned(self, what: Mapping[str, Any]) -> Json:
        """Return parameters that resolve to this again in any situation: for replay."""
        rest = {
            name: value for name, value in what.items() if name not in (*LEAVES_RUNNING, *MAY_DAMAGE, "nodes", "edges")
        }
        return {
            **({"shape": "grudge", "edges": what["edges"]} if "edges" in what else {"target": what["nodes"]}),
            **rest,
        }

    def shape(self, what: Mapping[str, Any]) -> Json:
        """Return its effect on each of its links (`..topology.link_shapes`)."""
        return {}

    @abstractmethod
    def on_hosts(self) -> Any:
        """Return its `Package`: wishes, begin, end and probe on real hosts."""

    @abstractmethod
    def simulated(self, ground: Any) -> Any:
        """Return its `Family` over the simulator's `Ground`. One without an effect there observes that, and is not verified."""
