"""What is known of one kind of fault, in one place: a subclass of `FaultKind` in a module of its own, and a line in `catalog`.

    class DnsSpec(Aimed): …                      # what a campaign may say
    class OnHosts(Package): …                    # what hosts shall be like, and the probe that sees it
    class Dns(FaultKind):
        name, spec = "dns", DnsSpec
        def resolve(self, intent, situation, random): …
        def on_hosts(self): return OnHosts()
        def simulated(self, ground): return Simulated(ground)
    KIND = Dns()

Everything else (loading campaigns, plans, the ledger, masking, the injectors, `tri list faults`) asks the catalogue. Checkers know nothing of the harness: what they
must know of a kind stands in `what` and so in the ledger (`LEAVES_RUNNING`, `MAY_DAMAGE`), where a run folder still has it when this kind is gone.
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
"""In `what`: no process stops or ends because of it, so that checkers excuse nobody who is silent."""
MAY_DAMAGE: Json = {"may_damage": True}
"""In `what`: what a node receives may not be what was sent, so that one that refuses it and says so has a cause."""


@dataclass(frozen=True, slots=True)
class Sort:
    """One form in which a kind is drawn. `fault` is the item's key and `draw` its fields from the sort's own knobs; it is on for at most one in `share` of a period.

    `coarse`: it draws among what others of the table do each alone, so that a mix in which every sort occurs leaves it out. `plain`: the searches' swarm
    leaves it out, for it has something like it. `own_time`: how long it lasts is drawn with the fields, not by who composes.
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
    """What a kind needs beyond the methods has a default: a kind that masks nothing and is never drawn says nothing of that."""

    name: ClassVar[str]
    """In campaigns, intents and ledgers."""
    spec: ClassVar[type[Timing]]
    hidden_by: ClassVar[frozenset[str]] = frozenset()
    """Kinds behind which it may not show (`..topology.masking`)."""
    end_hidden_by: ClassVar[frozenset[str]] = frozenset()
    """Kinds behind which it may not show that it is over, besides those."""
    hides: ClassVar[frozenset[str]] = frozenset()
    """Older kinds that may not show behind it."""
    shapes_links: ClassVar[bool] = False
    """Whether it shapes the links of its edges (`shape`), so that probes may get through or not."""
    sorts: ClassVar[Mapping[str, Sort]] = {}
    """How it is drawn, in mixes that name it. Mixes that do not draw what they drew before there was this kind."""

    @abstractmethod
    def resolve(self, intent: Intent, situation: Situation, random: Random) -> Json:
        """What the fault is now (`what`). `random` is keyed by seed and intent."""

    def pinned(self, what: Mapping[str, Any]) -> Json:
        """Parameters that resolve to this again, whatever the situation: for replay."""
        rest = {
            name: value for name, value in what.items() if name not in (*LEAVES_RUNNING, *MAY_DAMAGE, "nodes", "edges")
        }
        return {
            **({"shape": "grudge", "edges": what["edges"]} if "edges" in what else {"target": what["nodes"]}),
            **rest,
        }

    def shape(self, what: Mapping[str, Any]) -> Json:
        """What it does to each of its links (`..topology.link_shapes`)."""
        return {}

    @abstractmethod
    def on_hosts(self) -> Any:
        """Its `Package`: wishes, begin, end and probe on real hosts."""

    @abstractmethod
    def simulated(self, ground: Any) -> Any:
        """Its `Family` over the simulator's `Ground`. One that has no effect there observes so, and is not verified."""
