"""`client`: processes of the workloads' clients are paused or killed, in the middle of an operation where there is one.

The system under test is not touched: no node stops because of it. A paused client's operation ends in doubt, and may still be sent when the client goes on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from enum import Enum
from random import Random
from typing import Any, ClassVar

from pydantic import Field

from ....errors import FaultError
from ...agent_client.agents import Json
from ...catalog.kind import LEAVES_RUNNING, FaultKind, NotSimulated, Stream
from ...catalog.timing import Timing
from ...cluster.client_control import ClientControl, SeenClient
from ...faults.fault import Intent, Observation, Resolved, Situation
from ..base import Ground, Package

BUSY_S = 1.0
"""How long to wait for clients with an open operation; then other clients are used."""
SEEN_S = 2.0
LOOK_S = 0.005


class Action(str, Enum):
    PAUSE = "pause"
    KILL = "kill"


class ClientSpec(Timing):
    """Client processes are stopped, or killed and kept down, until it ends; it needs `clients: processes`."""

    kind: ClassVar[str] = "client"

    action: Action = Field(default=Action.PAUSE, description="pause or kill")
    clients: int = Field(
        default=1, ge=1, le=1000, description="how many clients, chosen at random among those with an open operation"
    )
    of: str | None = Field(default=None, max_length=64, description="the workload of these clients; by default any")

    def variant(self) -> str:
        return "-".join([self.action.value, *([self.of] if self.of else [])])


class OnHosts(Package):
    kinds = ("client",)

    def begin(self, fault: Resolved, ground: Ground) -> Json:
        control, what = _control(ground), fault.what
        taken = {pid for other in ground.notes.values() for pid in other.get("clients", {})}
        chosen = _chosen(control, what, taken, Random(f"{ground.seed}/{fault.intent.key}/clients"))
        if not chosen:
            of = f" of workload {what['of']}" if what.get("of") else ""
            raise FaultError(
                f"client {fault.intent.id}: no client{of} has a running process", "begin it later: `after`"
            )
        ground.notes[fault.intent.id] = {"clients": {seen.process: seen for seen in chosen}}
        (control.kill if what["action"] == Action.KILL else control.pause)([seen.process for seen in chosen])
        return {"clients": [_facts(seen) for seen in chosen]}

    def end(self, fault: Resolved, ground: Ground) -> Json:
        control, processes = _control(ground), list(_noted(fault, ground))
        (control.release if fault.what["action"] == Action.KILL else control.resume)(processes)
        return {}

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        noted = _noted(fault, ground)
        deadline_s = time.monotonic() + SEEN_S
        while (wrong := self._wrong(fault, ground, noted, on)) and time.monotonic() < deadline_s:
            time.sleep(LOOK_S)
        if not on and not wrong:
            ground.notes.pop(fault.intent.id, None)
        facts = {"processes": sorted(noted), **({"unlike": wrong} if wrong else {})}
        enough = bool(noted) and (not on or len(noted) >= int(fault.what["clients"]))
        return Observation(enough and not wrong, facts)

    def _wrong(self, fault: Resolved, ground: Ground, noted: Mapping[int, SeenClient], on: bool) -> list[int]:
        control, kills = _control(ground), fault.what["action"] == Action.KILL
        if not on and kills:
            # Another process serves the slot.
            serving = {seen.slot for seen in control.seen().values() if seen.state is not None}
            return [process for process, before in noted.items() if before.slot not in serving]
        now = control.seen(list(noted))
        gone = {process for process in noted if process not in now or now[process].state is None}
        if kills:
            return [process for process in noted if process not in gone]
        # A paused client that is resumed ends when the run no longer waits for it.
        stopped = {process for process, seen in now.items() if seen.is_stopped}
        return [process for process in noted if (process not in stopped if on else process in stopped)]

    def unheld(self, fault: Resolved, ground: Ground) -> Mapping[str, list[str]]:
        wrong = self._wrong(fault, ground, _noted(fault, ground), on=True)
        return {"clients": [str(process) for process in wrong]} if wrong else {}


def _control(ground: Ground) -> ClientControl:
    control = ground.cluster.clients
    if control is None:
        raise FaultError("this run's clients are threads, not processes", "add `clients: processes` to the campaign")
    return control


def _noted(fault: Resolved, ground: Ground) -> Mapping[int, SeenClient]:
    found: Mapping[int, SeenClient] = ground.notes.get(fault.intent.id, {}).get("clients", {})
    return found


def _chosen(control: ClientControl, what: Mapping[str, Any], taken: set[int], random: Random) -> Sequence[SeenClient]:
    """Choose among clients with an open operation; after `BUSY_S` among all."""
    deadline_s = time.monotonic() + BUSY_S
    while True:
        known = sorted(control.seen().values(), key=lambda seen: seen.slot)
        free = [
            seen
            for seen in known
            if seen.state is not None
            and not seen.is_stopped
            and seen.process not in taken
            and what.get("of") in (None, seen.workload)
        ]
        busy = [seen for seen in free if seen.operation is not None]
        count, late = int(what["clients"]), time.monotonic() > deadline_s
        if len(busy) >= count:
            return random.sample(busy, count)
        if late:
            idle = [seen for seen in free if seen.operation is None]
            return [*busy, *random.sample(idle, min(len(idle), count - len(busy)))]
        time.sleep(LOOK_S / 5)


def _facts(seen: SeenClient) -> Json:
    facts = {"slot": seen.slot, "workload": seen.workload, "node": seen.node, "process": seen.process}
    return {**facts, **({"operation": seen.operation} if seen.operation else {})}


class Clients(FaultKind):
    name, spec = "client", ClientSpec

    def resolve(self, intent: Intent, situation: Situation, stream: Stream) -> Json:
        return {**intent.parameters, **LEAVES_RUNNING}

    def pinned(self, what: Mapping[str, Any]) -> list[Json]:
        return [{name: value for name, value in what.items() if name not in LEAVES_RUNNING}]

    def on_hosts(self) -> OnHosts:
        return OnHosts()

    def simulated(self, ground: Any) -> NotSimulated:
        return NotSimulated(ground, "clients of the simulator are not processes")


KIND = Clients()
