"""A bound on how often something may come from each address, in bounded memory.

The generic cell rate algorithm (ITU-T I.371, annex A): for each address one number is kept, the time at which its events would have come at the
bounded rate. An address that is ahead of that by more than the burst is refused.
"""

from __future__ import annotations

import socket

ADDRESSES = 4096
SECOND = 1_000_000_000


class Rates:
    """Bound for each address: `per_s` events per second, and `burst` at once. Beyond `ADDRESSES` of them, the one not heard for longest is forgotten."""

    def __init__(self, per_s: int, burst: int) -> None:
        self._interval_ns = SECOND // per_s
        self._ahead_ns = self._interval_ns * burst
        self._due_ns: dict[str, int] = {}

    def allow(self, host: str, now_ns: int) -> bool:
        """Return whether one more may come from `host` now; refused ones do not count."""
        who = origin(host)
        due_ns = max(self._due_ns.pop(who, 0), now_ns)
        allowed = due_ns - now_ns < self._ahead_ns
        self._due_ns[who] = due_ns + self._interval_ns if allowed else due_ns
        if len(self._due_ns) > ADDRESSES:
            del self._due_ns[next(iter(self._due_ns))]
        return allowed


def origin(host: str) -> str:
    """Return the address to count by: for IPv6 its /64 network, because one machine can have any number of addresses in it; for IPv4 the address
    itself.
    """
    if ":" not in host:
        return host
    try:
        return socket.inet_pton(socket.AF_INET6, host.partition("%")[0])[:8].hex()
    except OSError:
        return host
