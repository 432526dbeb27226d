"""Definition of one kind of fault, in one place: a subclass of `FaultKind` in a module of its own, and a line in `catalog`.

    class DnsSpec(Aimed): …                      # what a campaign may say
    class OnHosts(Package): …                    # desired state of hosts, and the probe that sees it
    class Dns(FaultKind):
        name, spec = "dns", DnsSpec
        def resolve(self, intent, situation, stream): …
        def on_hosts(self): return OnHosts()
        def simulated(self, ground): return Simulated(ground)
    KIND = Dns()

Everything else (loading campaigns, plans, the ledger, masking, the injectors, `tri list faults`) uses the catalogue. A kind whose effect in the
simulator is large keeps it in `simulator/faults/`, and `simulated` imports it from there when it is called.

Checkers know nothing of the harness. Facts about a kind that they need (`LEAVES_RUNNING`, `MAY_DAMAGE`) are in `what`, and so in the ledger: a run folder
still has them when this kind is gone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

from ..faults.fault import Intent, Observation, Resolved, Situation
from ..faults.force import Force
from .knobs import Knobs
from .timing import Timing

Json = dict[str, Any]
Item = dict[str, dict[str, Any]]
Fields = dict[str, Any]

Stream = Callable[[str], Random]
"""Purpose → random numbers, keyed by seed, intent and purpose: a new purpose does not change the others."""

NO_PROCESS = frozenset({"no-process"})
"""The mask group of kinds that end a process, or let it end itself."""
NO_PACKETS = frozenset({"no-packets"})
"""The mask group of kinds that may stop all packets."""
FREEZE = "freeze"
"""The mask group of a pause of the whole host, which answers no request during the pause."""

LEAVES_RUNNING: Json = {"leaves_running": True}
"""In `what`: no process stops or ends because of it, so checkers excuse no silent node."""
MAY_DAMAGE: Json = {"may_damage": True}
"""In `what`: a node may receive damaged data, so a node that reports and refuses it has a cause."""


@dataclass(frozen=True, slots=True)
class Sort:
    """One random form of a kind. `fault` is the key of a campaign's item; `draw` returns the item's fields, from the sort's own knobs. In the searches'
    swarm, it is active for at most 1/`share` of each period.

    `stream` keys its random numbers: its first name, so that a seed draws what it drew before a sort was renamed.

    `coarse`: a mix of `all` leaves it out, because other sorts cover it one by one. `plain`: the searches' swarm leaves it out, because it has something
    similar. `own_time`: its duration is drawn with the fields, not by the composer of the mix.
    """

    fault: str
    lane: str
    draw: Callable[[Knobs], Fields]
    share: int = 3
    coarse: bool = False
    plain: bool = False
    own_time: bool = False
    stream: str = ""

    def item(self, knobs: Knobs) -> Item:
        return {self.fault: self.draw(knobs)}


class NotSimulated:
    """A `Family` of the simulator without any effect. Its injection is never verified, because it changes nothing."""

    def __init__(self, ground: Any, why: str) -> None:
        self._ground, self._why = ground, why

    def inject(self, fault: Resolved, then: Any) -> None:
        self._ground.soon(then, Observation(False, {"nodes": [], "no_op": self._why}))

    def heal(self, fault: Resolved, then: Any) -> None:
        self._ground.soon(then, Observation(True, {"nodes": []}))

    def forget(self) -> None:
        pass


class FaultKind(ABC):
    """One kind of fault. `name`, `spec`, `resolve` and `on_hosts` are required. The rest has a default: a kind that masks nothing and is never random
    mentions neither.
    """

    name: ClassVar[str]
    """Name in intents and ledgers, which keys random numbers."""
    word: ClassVar[str] = ""
    """Key in campaigns, if it differs from the name."""
    spec: ClassVar[type[Timing]]

    masks_as: ClassVar[frozenset[str]] = frozenset()
    """Groups to which it belongs as a mask (`NO_PROCESS`, `NO_PACKETS`), in addition to its name."""
    hidden_by: ClassVar[frozenset[str]] = frozenset()
    """Kinds and groups that may mask it (`..topology.masking`)."""
    end_hidden_by: ClassVar[frozenset[str]] = frozenset()
    """Kinds and groups that may mask its end, in addition to those."""
    hides: ClassVar[frozenset[str]] = frozenset()
    """Older kinds that it may mask."""
    both_ways: ClassVar[bool] = False
    """Whether masks of a link, and links that it masks, count in either direction."""

    of_the_provider: ClassVar[frozenset[str]] = frozenset()
    """Abilities (`needs` of its spec) that must be in the `capabilities` of the provider of hosts."""
    of_the_system: ClassVar[Mapping[str, str]] = {}
    """Ability → the entry that must be in the `capabilities` of the system under test."""
    instead: ClassVar[Mapping[str, str]] = {}
    """Abilities that only the simulator has, with the closest substitute on hosts."""

    shapes_links: ClassVar[bool] = False
    """Whether it shapes the links of its edges (`shape`), so that probes may get through or not."""
    sorts: ClassVar[Mapping[str, Sort]] = {}
    """Its random forms. Mixes draw those that `specs.draws` lists by name; the others only where a campaign names them."""

    @property
    def key(self) -> str:
        """Return its key in campaigns."""
        return self.word or self.name

    @abstractmethod
    def resolve(self, intent: Intent, situation: Situation, stream: Stream) -> Json:
        """Return the resolved form of the fault (`what`)."""

    def pinned(self, what: Mapping[str, Any]) -> list[Json]:
        """Return parameters that resolve to this again in any situation, for replay: one entry per intent, several where one is not enough."""
        rest = {
            name: value for name, value in what.items() if name not in (*LEAVES_RUNNING, *MAY_DAMAGE, "nodes", "edges")
        }
        return [
            {
                **({"shape": "grudge", "edges": what["edges"]} if "edges" in what else {"target": what["nodes"]}),
                **rest,
            }
        ]

    def add_to(self, force: Force, what: Mapping[str, Any], ident: str) -> None:
        """Add the effect to that of all active faults, as far as the probes of other faults need it."""
        if self.shapes_links:
            force.loose.update((source, sink) for source, sink in what["edges"])

    def silences(self, what: Mapping[str, Any]) -> list[str]:
        """Return hosts that do not answer while it is active."""
        return []

    def shape(self, what: Mapping[str, Any]) -> Json:
        """Return its effect on each of its links (`..topology.link_effects`)."""
        return {}

    def acts_as(self, what: Mapping[str, Any]) -> frozenset[str]:
        """Return its mask names: its name and its groups."""
        return self.masks_as | {self.name}

    def masked_by(self, what: Mapping[str, Any], ending: bool) -> frozenset[str]:
        """Return the kinds and groups that may mask it in this form, or its end."""
        return self.hidden_by | (self.end_hidden_by if ending else frozenset())

    def is_masked_by_like(self, what: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
        """Return whether another of its kind, if it may mask it at all, does so in these forms."""
        return True

    def needs_traffic(self, what: Mapping[str, Any]) -> bool:
        """Return whether it has no visible effect on a node that receives nothing."""
        return False

    def unseen(self, what: Mapping[str, Any], observed: Mapping[str, Any]) -> list[Any]:
        """Return the targets without a visible effect, given the `nodes` or `edges` with one."""
        if "edges" in what:
            seen = {tuple(edge) for edge in observed.get("edges", ())}
            return [(source, sink) for source, sink in what["edges"] if (source, sink) not in seen]
        return [node for node in what.get("nodes", ()) if node not in observed.get("nodes", ())]

    def unheard(self, what: Mapping[str, Any], observed: Mapping[str, Any]) -> list[Any]:
        """Return the targets without an observation at its end; an empty list if it was seen to last."""
        return []

    @abstractmethod
    def on_hosts(self) -> Any:
        """Return its `Package`: desired state, begin, end and probe on real hosts."""

    def simulated(self, ground: Any) -> Any:
        """Return its `Family` over the simulator's `Ground`. By default it has no effect there, and is not verified."""
        return NotSimulated(ground, f"the simulator has no fault {self.key!r}")
