"""Power loss of hosts: at once, the network first; they boot at the heal.

Nothing in a host could undo that, so it is leased outside of it, by the provider that can switch it on again (`..processes.outages`).

In ledgers `power`. Resolved: `{"nodes": ["n2"]}`; `"model": "journaled"` names which unsynced writes are lost (`faults/power_models.py`).
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from ....errors import FaultError
from ....hosts.base import BOOT_HOOKS, Host
from ....user_files.measured import PositiveDuration
from ...agent_client.agents import Json
from ...catalog.kind import FREEZE, NO_PACKETS, NO_PROCESS, Sort
from ...catalog.random_forms import on_nodes
from ...catalog.timing import RESTART, Aimed
from ...faults.fault import Observation, Resolved
from ...faults.force import Force
from ...faults.power_models import WHAT_IS_LOST, PowerModel
from ..base import Ground, Package, Probe
from ..disks.disk import lose_power
from ..node_kind import NodeKind
from ..processes import outages, stillness
from ..processes.processes import verify_recovered


class PowerSpec(Aimed):
    """Power loss: the host goes dark without notice and loses what its disk had not synced; it boots when the fault ends."""

    kind: ClassVar[str] = "power"
    later: ClassVar[frozenset[str]] = frozenset({"model"})

    model: PowerModel | None = Field(default=None, description=WHAT_IS_LOST)

    for_ns: PositiveDuration | None = Field(
        default=None, validation_alias=RESTART, serialization_alias="for", description="how long the power is off"
    )


def _boots_by_hooks(host: Host) -> str:
    if host.run(f"test -d {shlex.quote(f'{host.directory}/{BOOT_HOOKS}')}", check=False).exit_code:
        hint = "use local hosts: the supervisor of the lab boots them again"
        raise FaultError(
            f"{host.name} does not run the boot hooks of Tribulation, so the node would not be restored after its boot",
            hint,
        )
    return "by the lab's supervisor, which boots the host again; with a lease"


class OnHosts(Package):
    kinds = ("power",)
    abilities: ClassVar[Mapping[str, Probe]] = {"power": _boots_by_hooks}

    def begin(self, fault: Resolved, ground: Ground) -> Json:
        facts = lose_power(fault, ground, set(fault.what["nodes"]) - ground.cluster.off)
        outages.power_off(ground, fault.what["nodes"])
        return facts

    def end(self, fault: Resolved, ground: Ground) -> Json:
        outages.bring_back(ground, set(fault.what["nodes"]) - ground.force.off)
        return {}

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        nodes: list[str] = fault.what["nodes"]
        return stillness.look(nodes, ground, frozenset({stillness.NOTHING})) if on else verify_recovered(ground, nodes)


class PowerLoss(NodeKind):
    name, word, spec = "power", "power-loss", PowerSpec
    amounts = ("model",)
    masks_as = NO_PROCESS | NO_PACKETS
    end_hidden_by = NO_PROCESS | {"pause", FREEZE}
    of_the_provider = frozenset({"power"})
    sorts: ClassVar[Mapping[str, Sort]] = {"power-loss": on_nodes("power-loss", share=4, stream="power")}

    def add_to(self, force: Force, what: Mapping[str, Any], ident: str) -> None:
        force.off.update(what["nodes"])

    def silences(self, what: Mapping[str, Any]) -> list[str]:
        return list(what["nodes"])

    def on_hosts(self) -> OnHosts:
        return OnHosts()

    def simulated(self, ground: Any) -> Any:
        from ....simulator.faults.processes import PowerLosses

        return PowerLosses(ground)


KIND = PowerLoss()
