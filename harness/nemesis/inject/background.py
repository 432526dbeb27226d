"""Background work of a run apart from its faults: leases renewed, lost agents started again, reachability and clocks sampled.

Renewals come first and wait for nothing: losing one host must not let the faults on the others lapse. Errors here are reported (`Trouble`) and the
thread continues. A sample that is too old is never served as a new one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import FaultError
from ...hosts.errors import LateLineError
from ...trouble import Trouble
from ..agent_client.agents import ANSWER_S, AgentClient, Json
from ..cluster.clock_readings import Clocks, as_json
from ..cluster.reachability import Reachability

RENEW_S = 2.0
SAMPLE_S = 0.5
TURN_S = 0.05
STALE_S = 5.0
"""A sample that is older is reported as failed."""

Renewal = Callable[[], Mapping[str, Exception]]
"""Renews all leases and returns errors by vertex."""


class Background:
    """`renew` is the injector's, since it also looks for faults that lapsed. `clock` gives the run's time in ns."""

    def __init__(
        self,
        agents: Mapping[str, AgentClient],
        reachability: Reachability,
        clocks: Clocks,
        renew: Renewal,
        renew_outages: Callable[[], None],
        lease_s: float,
        clock: Callable[[], int],
        trouble: Trouble,
    ) -> None:
        self._agents, self._reachability, self._clocks = agents, reachability, clocks
        self._renew, self._renew_outages, self._clock, self._trouble = renew, renew_outages, clock, trouble
        self._renew_every_s = min(RENEW_S, lease_s / 5)
        self._answer_s = lease_s / 3
        """A host that hangs must not keep the next renewal waiting."""
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._died = False
        self._sample: tuple[int, Json] = (0, {})
        """When it was taken, in ns of the monotonic clock, and its content."""
        self._lost: Json = {}

    def start(self) -> None:
        # The first takes longer: a process that reads the clock library's clock must be started on each host.
        self._take_sample(ANSWER_S)
        self._stopping.clear()
        work = {"nemesis-lease": self._run, "outage-lease": self._run_outages}
        self._threads = [threading.Thread(target=run, name=name, daemon=True) for name, run in work.items()]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=60)

    def sample(self) -> dict[str, Any]:
        """Return the newest sample, and the agents that are lost, if any. Never waits."""
        self._notice_death()
        taken_ns, sample = self._sample
        age_ns = time.monotonic_ns() - taken_ns
        if age_ns > STALE_S * 1e9:
            sample = {"sample-failed": {"error": f"the newest sample is {age_ns / 1e9:.1f} s old"}}
        if "reachability" in sample:
            # Run time may have begun since.
            sampled_ns = self._clock() - age_ns
            sample = {**sample, "reachability": {**sample["reachability"], "sampled_ns": sampled_ns}}
        return {**sample, **({"agents-lost": self._lost} if self._lost else {})}

    def _notice_death(self) -> None:
        dead = any(not thread.is_alive() for thread in self._threads) and not self._stopping.is_set()
        if dead and not self._died:
            self._died = True
            self._trouble.error("a thread that renews leases has ended, so faults are undone by the watchdogs")

    def _run(self) -> None:
        next_renewal_s, next_sample_s, late = 0.0, 0.0, False
        while not self._stopping.wait(TURN_S):
            now_s = time.monotonic()
            if now_s >= next_renewal_s:
                next_renewal_s = now_s + self._renew_every_s
                with self._trouble.caught("renewing leases"):
                    failures = self._renew()
                    late = any(isinstance(error, LateLineError) for error in failures.values())
                    self._note_failures(failures)
            # An agent that is too slow for its renewals gets no other question between them.
            if now_s >= next_sample_s and not late:
                next_sample_s = now_s + SAMPLE_S
                with self._trouble.caught("sampling"):
                    self._try_sample()

    def _run_outages(self) -> None:
        """Hosts that are off or frozen are held so by their provider, which is called on a thread of its own: it may be slow to answer."""
        while not self._stopping.wait(self._renew_every_s):
            with self._trouble.caught("renewing the leases of hosts without power"):
                self._renew_outages()

    def _note_failures(self, failures: Mapping[str, Exception]) -> None:
        self._lost = {name: str(error) for name, error in failures.items() if not self._agents[name].connected}
        for name in self._lost:
            self._agents[name].reconnect_in_background()

    def _try_sample(self) -> None:
        try:
            self._take_sample(self._answer_s)
        except FaultError as error:
            self._sample = (time.monotonic_ns(), {"sample-failed": {"error": error.message}})

    def _take_sample(self, answer_s: float) -> None:
        links = [[source, sink, up] for (source, sink), up in self._reachability.sample(answer_s).items()]
        taken_ns = time.monotonic_ns()
        offsets = as_json(self._clocks.sample(answer_s))
        self._sample = (taken_ns, {"reachability": {"links": links}, "clock-offsets": offsets})
