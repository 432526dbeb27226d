"""The machine `tasks`: passes signals to the dispatcher of the leader (`dispatcher.py`) and to the executor on the host (`host.py`).

    queued ──assign──▶ assigned ──RunTask … TaskDone──▶ result ──▶ the next step queued, or done
       ▲                   │ the agent's host failed, or it moved: release     │ not ok: back-off, then again
       └───────────────────┴───────────────────────────────────────────────────┘

Neither part knows the other. The leader learns the end of a task from the replicated state, as every node does, even when the task ran on the leader
itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...config.node import NodeConfig
from ..interface.events import TaskDone
from ..interface.machine import Member
from ..interface.outbox import Outbox
from ..interface.rng import Chance
from ..interface.signals import AgentsHere, Changed, Distances, LeaderChanged, Submitted
from .dispatcher import ASSIGN, RELEASE, Dispatcher
from .host import RESULT, Host
from .routing import Measures


class TaskMachine(Member):
    name = "tasks"

    def __init__(self, config: NodeConfig, out: Outbox, incarnation: int, chance: Chance) -> None:
        self._dispatcher = Dispatcher(config, out)
        self._host = Host(config, out)
        self.signals: Mapping[type[Any], Callable[[int, Any], None]] = {
            Changed: self._on_changed,
            AgentsHere: lambda now, signal: self._host.agents_here(signal),
            LeaderChanged: lambda now, signal: self._dispatcher.lead(now, signal.here),
            Submitted: self._on_submitted,
            Distances: self._on_distances,
        }

    def on_timer(self, now_ns: int, key: str) -> None:
        self._dispatcher.on_timer(now_ns)

    def on_task(self, now_ns: int, event: TaskDone) -> None:
        self._host.on_task(event)

    def flush(self, now_ns: int) -> None:
        self._dispatcher.dispatch()

    def status(self) -> dict[str, Any]:
        return {
            "tasks_open": len(self._dispatcher.open),
            "tasks_running": len(self._host.runs),
            "tasks_discarded": self._host.discarded,
        }

    def check(self) -> None:
        self._dispatcher.check()
        self._host.check()

    def fingerprint(self) -> Any:
        return [self._dispatcher.fingerprint(), self._host.fingerprint()]

    def _on_changed(self, now_ns: int, signal: Changed) -> None:
        if signal.app == "tasks":
            self._dispatcher.tasks_changed(now_ns, signal.ids, signal.view)
            self._host.tasks_changed(signal.ids, signal.view)
        elif signal.app == "agents":
            self._dispatcher.agents_changed(signal.ids, signal.view)
        elif signal.app == "members":
            self._dispatcher.members_changed(signal.view)

    def _on_submitted(self, now_ns: int, signal: Submitted) -> None:
        if signal.key.startswith((ASSIGN, RELEASE)):
            self._dispatcher.submitted(now_ns, signal)
        elif signal.key.startswith(RESULT):
            self._host.submitted(signal)

    def _on_distances(self, now_ns: int, signal: Distances) -> None:
        self._dispatcher.measures = Measures(signal.rtt_ns, signal.bandwidth_bps)
