"""What goes on beside the faults: leases renewed, lost agents started again, reachability and clocks sampled. One thread.

Renewals come first and wait for nothing: losing one host must not let the faults on the others lapse.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import FaultError
from .agents import AgentClient, Json
from .clocks import Clocks, as_json
from .reachability import Reachability

RENEW_S = 2.0
SAMPLE_S = 0.5
TURN_S = 0.05

Renewal = Callable[[], Mapping[str, Exception]]
"""Renews all leases and returns what went wrong by vertex."""


class Background:
    """`renew` is the injector's, since it also looks for faults that lapsed. `clock` gives the run's time in ns."""

    def __init__(
        self,
        agents: Mapping[str, AgentClient],
        reachability: Reachability,
        clocks: Clocks,
        renew: Renewal,
        lease_s: float,
        clock: Callable[[], int],
    ) -> None:
        self._agents, self._reachability, self._clocks = agents, reachability, clocks
        self._renew, self._clock = renew, clock
        self._renew_every_s = min(RENEW_S, lease_s / 5)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._sample: Json = {}
        self._lost: Json = {}

    def start(self) -> None:
        self._take_sample()
        self._thread = threading.Thread(target=self._run, name="nemesis-lease", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=60)

    def sample(self) -> dict[str, Any]:
        """The newest sample, and the agents that are lost, if any. Never waits."""
        return {**self._sample, **({"agents-lost": self._lost} if self._lost else {})}

    def _run(self) -> None:
        next_renewal_s, next_sample_s = 0.0, 0.0
        while not self._stopping.wait(TURN_S):
            now_s = time.monotonic()
            if now_s >= next_renewal_s:
                next_renewal_s = now_s + self._renew_every_s
                self._note_failures(self._renew())
            if now_s >= next_sample_s:
                next_sample_s = now_s + SAMPLE_S
                try:
                    self._take_sample()
                except FaultError as error:
                    self._sample = {"sample-failed": {"error": error.message}}

    def _note_failures(self, failures: Mapping[str, Exception]) -> None:
        self._lost = {name: str(error) for name, error in failures.items() if not self._agents[name].connected}
        for name in self._lost:
            self._agents[name].reconnect_in_background()

    def _take_sample(self) -> None:
        links = [[source, sink, up] for (source, sink), up in self._reachability.sample().items()]
        self._sample = {
            "reachability": {"links": links, "sampled_ns": self._clock()},
            "clock-offsets": as_json(self._clocks.sample()),
        }
