"""A host's two clocks: monotonic from an arbitrary start, wall with an offset that faults move. Both run on the host's one oscillator.

Faults may also make only the wall clock drift: what it gained is gone when they end, as when a clock is set right.

A monotonic clock survives the death of a process and starts again with a boot of the host. The oscillator's error is the host's own drift
plus what faults add; when that changes, both clocks continue from their current readings.
"""

from __future__ import annotations

from ...keyed_random import ONE_MILLION, between, draw
from ..options import SimOptions

EPOCH_NS = 1_700_000_000 * 1_000_000_000
"""Wall time at the start of every simulation, so that wall and monotonic times cannot be confused."""


class HostClock:
    """The clocks of one host, which convert true (virtual) time to its readings. `wall_offset_ns` is the sum of the shifts by faults; `boots` counts
    boots of the host.
    """

    def __init__(self, seed: int, node_key: int, options: SimOptions) -> None:
        self._seed, self._node_key, self._options = seed, node_key, options
        span = options.drift_max_ppm
        self.own_drift_ppm = between(draw(seed, node_key, 0xD21F7), -span, span) if span else 0
        self.drift_ppm = self.own_drift_ppm
        self.wall_offset_ns = 0
        self.wall_drifts: dict[str, tuple[int, int]] = {}
        """By fault: since when, in true time, and how fast the wall clock alone drifts, in parts per million."""
        self.boots = 0
        self.earlier: list[tuple[int, int]] = []
        """For each earlier boot, its `offset_of_boot_ns`."""
        # The clocks' readings at `_base_ns` of true time, the last boot or change of rate.
        self._base_ns, self._mono_base_ns, self._wall_base_ns = 0, 0, EPOCH_NS
        self.boot(0)

    def boot(self, now_ns: int) -> None:
        """Boot the host: its monotonic clock begins at another value."""
        if self.boots:
            self.earlier.append(self.offset_of_boot_ns(now_ns))
        self.boots += 1
        self._wall_base_ns = self._raw_wall_ns(now_ns)
        self._base_ns = now_ns
        self._mono_base_ns = between(
            draw(self._seed, self._node_key, 0xB007, self.boots), 0, self._options.clock_offset_max_ns
        )
        self._low_ns = self._high_ns = self._mono_base_ns - now_ns

    def drift(self, now_ns: int, by_ppm: int) -> None:
        """Run so much faster from now on (slower, when negative)."""
        self._low_ns, self._high_ns = self._offset_span_ns(now_ns)
        self._mono_base_ns, self._wall_base_ns = self.mono_ns(now_ns), self._raw_wall_ns(now_ns)
        self._base_ns = now_ns
        self.drift_ppm += by_ppm

    def read(self, now_ns: int) -> tuple[int, int]:
        """Return both clocks at once: (monotonic, wall)."""
        elapsed_ns = now_ns - self._base_ns
        if self.drift_ppm:
            elapsed_ns += elapsed_ns * self.drift_ppm // ONE_MILLION
        wall_ns = self._wall_base_ns + elapsed_ns + self.wall_offset_ns
        return self._mono_base_ns + elapsed_ns, wall_ns + (self.wall_gain_ns(now_ns) if self.wall_drifts else 0)

    def mono_ns(self, now_ns: int) -> int:
        elapsed_ns = now_ns - self._base_ns
        return self._mono_base_ns + elapsed_ns + elapsed_ns * self.drift_ppm // ONE_MILLION

    def wall_ns(self, now_ns: int) -> int:
        return self._raw_wall_ns(now_ns) + self.wall_offset_ns + self.wall_gain_ns(now_ns)

    def wall_gain_ns(self, now_ns: int) -> int:
        """Return how far the wall clock is ahead because of its own drifts."""
        return sum((now_ns - since_ns) * ppm // ONE_MILLION for since_ns, ppm in self.wall_drifts.values())

    def true_ns(self, mono_ns: int) -> int:
        """Return the first instant of true time at which this host reads `mono_ns` or more, if its rate stays."""
        elapsed_ns = mono_ns - self._mono_base_ns
        if self.drift_ppm:
            elapsed_ns = -(-elapsed_ns * ONE_MILLION // (ONE_MILLION + self.drift_ppm))
            while self.mono_ns(self._base_ns + elapsed_ns) < mono_ns:
                elapsed_ns += 1
        return self._base_ns + elapsed_ns

    def offset_ns(self, now_ns: int) -> int:
        """Return monotonic time minus true time, now: what a harness that samples clocks would measure."""
        return self.mono_ns(now_ns) - now_ns

    def offset_of_run_ns(self, now_ns: int) -> tuple[int, int] | None:
        """Return an offset, and the largest distance of the true one from it. None when the host was booted again: then no single offset holds for
        the whole run.
        """
        return None if self.boots > 1 else self.offset_of_boot_ns(now_ns)

    def offset_of_boot_ns(self, now_ns: int) -> tuple[int, int]:
        """Return an offset, and the largest distance of the true one from it since the last boot."""
        low_ns, high_ns = self._offset_span_ns(now_ns)
        middle_ns = (low_ns + high_ns) // 2
        return middle_ns, high_ns - middle_ns

    def _raw_wall_ns(self, now_ns: int) -> int:
        elapsed_ns = now_ns - self._base_ns
        return self._wall_base_ns + elapsed_ns + elapsed_ns * self.drift_ppm // ONE_MILLION

    def _offset_span_ns(self, now_ns: int) -> tuple[int, int]:
        """Return the least and the greatest offset since the last boot. Between two changes of rate it moves one way, so its extremes are at the changes
        and now.
        """
        offset_ns = self.offset_ns(now_ns)
        return min(self._low_ns, offset_ns), max(self._high_ns, offset_ns)
