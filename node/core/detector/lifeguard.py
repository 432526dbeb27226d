"""Lifeguard (Dadgar, Phillips and Currey 2017): a node that works badly itself waits longer before it suspects others, and confirmations shorten a
suspicion.

`Health` is the local health multiplier (section IV.A): the worse this node's own service, the longer it waits before it suspects a member.
`Suspicion` (IV.B) begins with a long timeout, which independent confirmations shorten.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .logarithm import log10_thousandths

HEALTH_LIMIT = 8
CONFIRMATIONS = 3
"""Independent confirmations that bring a suspicion down to its shortest timeout."""
LONGEST = 6
"""The longest suspicion, as a multiple of the shortest (β)."""


@dataclass(slots=True)
class Health:
    """`score` 0 is healthy; timeouts and periods are multiplied by `score` + 1."""

    score: int = 0

    def better(self) -> None:
        self.score = max(0, self.score - 1)

    def worse(self) -> None:
        self.score = min(HEALTH_LIMIT, self.score + 1)

    def scaled(self, time_ns: int) -> int:
        return time_ns * (self.score + 1)


@dataclass(slots=True)
class Suspicion:
    """Suspicion of one member, since `start_ns`. `accusers`: the nodes that suspect it, including the first; `wanted`: confirmations beyond the first
    for the shortest timeout.
    """

    start_ns: int
    shortest_ns: int
    wanted: int
    accusers: dict[str, None] = field(default_factory=dict)

    def confirm(self, accuser: str) -> bool:
        """Add an accuser. Returns whether it is new."""
        if accuser in self.accusers or len(self.accusers) > self.wanted:
            return False
        self.accusers[accuser] = None
        return True

    @property
    def end_ns(self) -> int:
        """Return the end of the suspicion: its start plus max(T, L − (L − T)·log(c + 1) / log(k + 1)). T is the shortest timeout, L the longest, c
        the number of confirmations, and k the number that is wanted.
        """
        confirmed = min(len(self.accusers) - 1, self.wanted)
        if confirmed >= self.wanted:
            return self.start_ns + self.shortest_ns
        share = 1000 * log10_thousandths(confirmed + 1) // log10_thousandths(self.wanted + 1)
        excess_ns = (LONGEST - 1) * self.shortest_ns * (1000 - share) // 1000
        return self.start_ns + self.shortest_ns + excess_ns


def make_suspicion(now_ns: int, accuser: str, members: int, periods: int, period_ns: int) -> Suspicion:
    """Make a suspicion in a cluster of `members`. With two members, no confirmation is possible."""
    shortest_ns = max(1000, periods * log10_thousandths(members + 1)) * period_ns // 1000
    return Suspicion(now_ns, shortest_ns, max(0, min(CONFIRMATIONS, members - 2)), {accuser: None})
