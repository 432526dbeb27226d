"""A host's two clocks: monotonic from an arbitrary start, wall with an offset that faults move. Drift is that of the host.

A monotonic clock survives the death of a process and starts anew with a boot of the host.
"""

from __future__ import annotations

from .chance import ONE_MILLION, between, draw
from .options import SimOptions

EPOCH_NS = 1_700_000_000 * 1_000_000_000
"""Wall time at the start of every simulation, so that wall and monotonic times cannot be confused."""


class HostClock:
    """Converts true (virtual) time to what this host reads. `wall_offset_ns` is the sum of what faults ask for."""

    def __init__(self, seed: int, node_key: int, options: SimOptions) -> None:
        self._seed, self._node_key, self._options = seed, node_key, options
        span = options.drift_max_ppm
        self.drift_ppm = between(draw(seed, node_key, 0xD21F7), -span, span) if span else 0
        self.wall_offset_ns = 0
        self._boots = 0
        self._boot_ns = 0
        self.boot(0)

    def boot(self, now_ns: int) -> None:
        """The host starts: its monotonic clock begins somewhere else."""
        self._boots += 1
        self._boot_ns = now_ns
        self._start_ns = between(
            draw(self._seed, self._node_key, 0xB007, self._boots), 0, self._options.clock_offset_max_ns
        )

    def mono_ns(self, now_ns: int) -> int:
        elapsed_ns = now_ns - self._boot_ns
        return self._start_ns + elapsed_ns + elapsed_ns * self.drift_ppm // ONE_MILLION

    def wall_ns(self, now_ns: int) -> int:
        return EPOCH_NS + now_ns + now_ns * self.drift_ppm // ONE_MILLION + self.wall_offset_ns

    def true_ns(self, mono_ns: int) -> int:
        """The first instant of true time at which this host reads `mono_ns` or more."""
        elapsed_ns = mono_ns - self._start_ns
        if self.drift_ppm:
            elapsed_ns = -(-elapsed_ns * ONE_MILLION // (ONE_MILLION + self.drift_ppm))
            while self.mono_ns(self._boot_ns + elapsed_ns) < mono_ns:
                elapsed_ns += 1
        return self._boot_ns + elapsed_ns

    def offset_ns(self, now_ns: int) -> int:
        """Monotonic time minus true time, now: what a harness that samples clocks would measure."""
        return self.mono_ns(now_ns) - now_ns
