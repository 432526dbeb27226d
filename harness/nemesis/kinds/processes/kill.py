"""`kill`: SIGKILL, and started again at the heal.

Resolved: `{"nodes": ["n2"]}`; with `slow_start_ns` the process is stopped for that long when it is started.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from pydantic import Field

from ....errors import TribulationError
from ....user_files.measured import PositiveDuration
from ...agent_client.agents import Json
from ...agent_client.desired_state import Want, of_nodes
from ...catalog.kind import FREEZE, NO_PROCESS, Sort
from ...catalog.random_forms import on_nodes
from ...catalog.timing import RESTART, Aimed
from ...cluster.control import is_supervised
from ...faults.fault import Observation, Resolved
from ...faults.force import Force
from ..base import Ground, Package
from ..node_kind import NodeKind
from .processes import PROCESS_S, RESTART_S, is_gone, is_running, is_stopped, is_there, noted, states, unheld


class KillSpec(Aimed):
    """SIGKILL, and started again after `restart_after` (or `for`, the same)."""

    kind: ClassVar[str] = "kill"
    later: ClassVar[frozenset[str]] = frozenset({"slow_start"})

    for_ns: PositiveDuration | None = Field(
        default=None,
        validation_alias=RESTART,
        serialization_alias="restart_after",
        description="how long it stays down",
    )
    slow_start: PositiveDuration | None = Field(
        default=None, description="after the restart, the process is stopped for this time from its first moment"
    )

    def parameters(self) -> dict[str, Any]:
        slow = {} if self.slow_start is None else {"slow_start_ns": self.slow_start}
        return {"target": self.target, **slow}


class OnHosts(Package):
    kinds = ("kill",)

    def wants(self, fault: Resolved, ground: Ground) -> Iterable[Want]:
        yield from of_nodes(fault.what["nodes"], "process", {"killed": True})
        if "slow_start_ns" in fault.what:
            yield from of_nodes(fault.what["nodes"], "slow_start", {"hold_ns": fault.what["slow_start_ns"]})

    def begin(self, fault: Resolved, ground: Ground) -> Json:
        """Record the nodes without a process before the kill: they cannot be verified as killed.

        A service may name a process of another system, or one that has ended.
        """
        if missing := _not_there(fault.what["nodes"], ground):
            ground.notes[fault.intent.id] = {"not_there_before": missing}
        return {"not_there_before": missing} if missing else {}

    def end(self, fault: Resolved, ground: Ground) -> Json:
        ground.missed.difference_update(fault.what["nodes"])
        ground.notes[fault.intent.id] = {"began_s": time.monotonic()}
        return {}

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        if on and (missing := ground.notes.get(fault.intent.id, {}).get("not_there_before")):
            nodes = [name for name in fault.what["nodes"] if name not in missing]
            return Observation(False, {"nodes": nodes})
        down = ground.force.killed | ground.force.off
        if not on and "slow_start_ns" in fault.what:
            return _look_at_slow_start(fault, ground)
        # The agent answers after it saw them end; to come back takes longer.
        wait_s = PROCESS_S if on else None
        seen = states(
            ground, fault.what["nodes"], lambda name, seen: is_gone(seen) if name in down else is_there(seen), wait_s
        )
        return noted(fault, ground, seen) if on else seen

    def unheld(self, fault: Resolved, ground: Ground) -> Mapping[str, list[str]]:
        return unheld(fault, ground, is_gone)


def _not_there(names: list[str], ground: Ground) -> list[str]:
    """Return nodes where no process of the system is found before a kill. Those that a fault keeps down are skipped; a supervisor may be starting one
    just now.
    """
    cluster = ground.cluster
    asked = [name for name in names if name not in ground.force.killed | ground.force.off]
    if is_supervised(cluster.service) or not asked:
        return []
    missing = [name for name, seen in cluster.processes_of(asked).items() if is_gone(seen)]
    if missing:
        cluster.await_pids(missing, PROCESS_S)
        missing = [name for name, seen in cluster.processes_of(missing).items() if is_gone(seen)]
    return missing


def _look_at_slow_start(fault: Resolved, ground: Ground) -> Observation:
    """Measure until when the processes are stopped, and when all are ready; both times count from the restart by the heal."""
    began_s, slow_s = float(ground.notes.pop(fault.intent.id)["began_s"]), fault.what["slow_start_ns"] / 1e9
    free = [
        name for name in fault.what["nodes"] if name not in ground.force.killed | ground.force.off | ground.force.paused
    ]
    held = states(ground, free, lambda name, seen: is_stopped(seen))
    seen = states(ground, free, lambda name, seen: is_running(seen), slow_s + RESTART_S)
    held_ms = round((time.monotonic() - began_s) * 1e3)
    try:
        for name in free:
            ground.cluster.service.wait_ready(ground.cluster.hosts[name], RESTART_S)
        ready_ms = round((time.monotonic() - began_s) * 1e3)
    except TribulationError as error:
        return Observation(False, {**seen.observed, "held_ms": held_ms, "not_ready": error.message})
    facts = {"held_ms": held_ms, "ready_after_ms": ready_ms}
    return Observation(held.verified and seen.verified and held_ms >= slow_s * 1e3, {**seen.observed, **facts})


class Kill(NodeKind):
    name, spec = "kill", KillSpec
    amounts = ("slow_start_ns",)
    masks_as = NO_PROCESS
    end_hidden_by = NO_PROCESS | {"pause", FREEZE}
    of_the_provider = frozenset({"kill"})
    sorts: ClassVar[Mapping[str, Sort]] = {
        "kill": on_nodes("kill"),
        "slow-start": on_nodes("kill", {"slow_start": ("1s", "3s")}),
    }

    def add_to(self, force: Force, what: Mapping[str, Any], ident: str) -> None:
        force.killed.update(what["nodes"])

    def on_hosts(self) -> OnHosts:
        return OnHosts()

    def simulated(self, ground: Any) -> Any:
        from ....simulator.faults.processes import Kills

        return Kills(ground)


KIND = Kill()
