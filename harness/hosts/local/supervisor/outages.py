"""Hosts that are without power or frozen on a lease: when it ends, they come back by themselves.

Pure bookkeeping; the supervisor does the rest. A process that cuts the power of a host for a while must renew the lease: a harness that was
killed does not, and the host is switched on without it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable


class Outages:
    """The end of each host's lease (monotonic). Hosts that were switched off without a lease are not in it, and stay off until a caller boots them."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._until_s: dict[str, float] = {}
        self._lock = threading.Lock()

    def lease(self, hosts: Iterable[str], lease_s: float | None) -> None:
        """Set the leases. None: no lease, whatever there was before."""
        with self._lock:
            for host in hosts:
                self._until_s.pop(host, None)
                if lease_s is not None:
                    self._until_s[host] = self._clock_s() + lease_s

    def renew(self, lease_s: float) -> list[str]:
        """Renew all leases; returns their hosts, so that the caller learns which came back in the meantime."""
        with self._lock:
            # A host whose lease has run out is coming back: renewing it now would only hide that.
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
