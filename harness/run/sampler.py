"""Samples reachability and clocks into the history while a run goes on."""

from __future__ import annotations

import threading

from ..errors import TribulationError
from ..nemesis.injector import HostInjector
from .journal import Journal
from .worker import RunClock

SAMPLE_EVERY_S = 1.0
SAMPLE_JOIN_S = 10.0
"""How often reachability and clock offsets are sampled into the history."""


class Sampler:
    """Samples reachability and clocks each second into the history, on a thread of its own so that a slow host stalls no client."""

    def __init__(self, injector: HostInjector, journal: Journal, clock: RunClock) -> None:
        self._injector, self._journal, self._clock = injector, journal, clock
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(timeout=SAMPLE_JOIN_S)

    def _run(self) -> None:
        while not self._ended.wait(SAMPLE_EVERY_S):
            try:
                sample = self._injector.sample()
            except TribulationError as error:
                self._journal.nemesis(self._clock.now_ns(), "sample-failed", {"error": error.message})
                continue
            for name, value in sample.items():
                self._journal.nemesis(self._clock.now_ns(), name, value)
