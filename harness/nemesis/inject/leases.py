"""Leases of hosts: when each was last renewed, as the harness knows it: without a renewal in time the host may have healed itself.

Pure: times are given, in seconds of a monotonic clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterable


class Leases:
    """A renewal counts from its request, since the host's own lease begins slightly later."""

    def __init__(self, lease_s: float) -> None:
        self._lease_s = lease_s
        self._renewed_s: dict[str, float] = {}
        self._reported: set[str] = set()

    def renewed(self, names: Iterable[str], asked_s: float) -> None:
        for name in names:
            # The answer to an earlier request may come later.
            if asked_s > self._renewed_s.get(name, -math.inf):
                self._renewed_s[name] = asked_s
                self._reported.discard(name)

    def overdue(self, names: Iterable[str], now_s: float) -> dict[str, float]:
        """Return those of `names` that were renewed once and whose lease has expired since, each with the time since its renewal."""
        ages = {name: now_s - self._renewed_s[name] for name in names if name in self._renewed_s}
        return {name: age_s for name, age_s in ages.items() if age_s > self._lease_s}

    def newly_overdue(self, names: Iterable[str], now_s: float) -> dict[str, float]:
        """Return what `overdue` does, but each name only once until it is renewed again."""
        found = {name: age_s for name, age_s in self.overdue(names, now_s).items() if name not in self._reported}
        self._reported |= found.keys()
        return found

    def forget(self, names: Iterable[str]) -> None:
        """Forget hosts without power: they have no lease that could expire, and a host that comes back begins with a renewal."""
        for name in names:
            self._renewed_s.pop(name, None)
            self._reported.discard(name)
