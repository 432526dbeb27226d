"""Hosts that are without power or frozen on somebody's lease: when it ends, they come back by themselves.

Pure bookkeeping; the supervisor does the rest. Whoever takes the power of a host for a while promises to say so again and again: a harness that was
killed does not, and what it switched off is switched on without it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable


class Outages:
    """By host, until when (monotonic). Hosts that were switched off without a lease are not in it, and stay off until somebody boots them."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._until_s: dict[str, float] = {}
        self._lock = threading.Lock()

    def lease(self, hosts: Iterable[str], lease_s: float | None) -> None:
        """None: no lease, whatever there was before."""
        with self._lock:
            for host in hosts:
                self._until_s.pop(host, None)
                if lease_s is not None:
                    self._until_s[host] = self._clock_s() + lease_s

    def renew(self, lease_s: float) -> list[str]:
        """All that there are; returns them, so that who renews learns which came back in the meantime."""
        with self._lock:
            # One whose lease has run out is on its way back: to renew it now would only hide that.
            held = [host for host, until_s in self._until_s.items() if until_s > self._clock_s()]
            self._until_s.update(dict.fromkeys(held, self._clock_s() + lease_s))
            return sorted(held)

    def end(self, hosts: Iterable[str]) -> None:
        with self._lock:
            for host in hosts:
                self._until_s.pop(host, None)

    def over(self) -> list[str]:
        """Hosts whose lease has run out."""
        with self._lock:
            return sorted(host for host, until_s in self._until_s.items() if until_s <= self._clock_s())
