"""Sampling of reachability and clocks into the history while a run goes on."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from ...nemesis.inject.injector import HostInjector
from ...trouble import Trouble
from .journal import Journal
from .worker import RunClock

SAMPLE_EVERY_S = 1.0
"""How often reachability and clock offsets are sampled into the history."""
SAMPLE_JOIN_S = 10.0
SAME_NS = 1_000_000
"""Two samples are more than this apart; two records of one sample are less."""


class Sampler:
    """Thread that samples reachability and clocks each second into the history; it has its own, so that a slow host stalls no client."""

    def __init__(self, injector: HostInjector, journal: Journal, clock: RunClock, trouble: Trouble) -> None:
        self._injector, self._journal, self._clock, self._trouble = injector, journal, clock, trouble
        self._ended = threading.Event()
        self._last_ns = -SAME_NS
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(timeout=SAMPLE_JOIN_S)

    def _run(self) -> None:
        while not self._ended.wait(SAMPLE_EVERY_S):
            with self._trouble.caught("sampling into the history"):
                self._record(self._injector.sample())

    def _record(self, sample: Mapping[str, Any]) -> None:
        """Add a sample, unless it is already in the history or was taken before the run."""
        if "reachability" in sample:
            sampled_ns = sample["reachability"]["sampled_ns"]
            if sampled_ns < self._last_ns + SAME_NS:
                return
            self._last_ns = sampled_ns
        for name, value in sample.items():
            self._journal.nemesis(self._clock.now_ns(), name, value)
