"""Estimates of the link to one other node, from samples.

Round trips are smoothed as in TCP: each new sample has the weight 1/8 (RFC 6298, section 2). For the bandwidth, a long message is timed against a
short one: the difference is the time of its bytes. The time is smoothed and not the rate. Otherwise one unusually fast burst would look like a
tenfold bandwidth. The length of a burst follows the link, between `BURST_MIN` and `BURST_MAX`: long enough that its time stands out from the noise,
short enough that other messages do not wait for it.
"""

from __future__ import annotations

from dataclasses import dataclass

BURST_MIN = 4 * 1024
BURST_MAX = 64 * 1024
BURST_SHORT_NS = 5_000_000
"""A burst that took less time than this may be twice as long next time."""
BURST_LONG_NS = 40_000_000
"""A burst that took more is followed by one half as long."""
FASTEST_BPS = 1_250_000_000
"""10 Gbit/s: beyond it the duration of a node's own turns would be measured."""
_BYTES_NS = 1_000_000_000


@dataclass(slots=True)
class Way:
    """Estimates of one link. `rtt_ns` and `byte_time_ps` (time of a byte, picoseconds) are 0 while unknown."""

    rtt_ns: int = 0
    byte_time_ps: int = 0
    burst_bytes: int = BURST_MAX // 4

    def round_trip(self, sample_ns: int) -> None:
        sample_ns = max(sample_ns, 1)
        self.rtt_ns = sample_ns if self.rtt_ns == 0 else max(1, (7 * self.rtt_ns + sample_ns) // 8)

    def burst(self, length: int, sample_ns: int) -> None:
        """Record that a burst of that many bytes was answered after `sample_ns`. It counts only when the round trip is known."""
        if self.rtt_ns == 0:
            return
        longer_ns = max(sample_ns - self.rtt_ns, length * _BYTES_NS // FASTEST_BPS)
        sample_ps = max(longer_ns * 1000 // length, 1)
        self.byte_time_ps = sample_ps if self.byte_time_ps == 0 else (3 * self.byte_time_ps + sample_ps) // 4
        if longer_ns < BURST_SHORT_NS:
            self.burst_bytes = min(2 * self.burst_bytes, BURST_MAX)
        elif longer_ns > BURST_LONG_NS:
            self.burst_bytes = max(self.burst_bytes // 2, BURST_MIN)

    def burst_lost(self) -> None:
        """Record that no answer came in time: the link may be slower than estimated."""
        self.burst_bytes = max(self.burst_bytes // 2, BURST_MIN)

    @property
    def bandwidth_bps(self) -> int:
        """Return bytes per second; 0: unknown."""
        return 0 if self.byte_time_ps == 0 else 1000 * _BYTES_NS // self.byte_time_ps
