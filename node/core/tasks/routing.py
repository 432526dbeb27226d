"""Choice of an agent for a task: the four strategies, as pure functions of the measurements.

    choose("latency-aware", {"from": "n1", "size": 100}, candidates, Measures({"n1": {"n2": 5_000_000}}, {}), rotation="") == "a7"

| strategy | picks |
|---|---|
| `local-first` | an agent on the submitting node; when none there has room (a full pool, a node without agents) it falls back to a remote one, the least loaded host's |
| `latency-aware` | the agent on the host with the lowest round-trip time from the submitting node |
| `bandwidth-aware` | for `LARGE_BYTES` and more, the agent on the host to which the submitting node has the highest bandwidth; for less, as `latency-aware` |
| `round-robin` | the next agent by name after the one that got such a task last, from whatever node it was submitted |

Candidates are running agents of the task's type that have room (one per host is enough, except for `round-robin`). So each strategy falls back by
itself: if its first choice is full, it is not among the candidates, and the next best is picked. Unmeasured hosts rank behind measured ones. Ties go
to the least loaded host for its capacity, then to the first name, so the choice is a function of its arguments. The submitting node has distance 0 to
itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

LARGE_BYTES = 64 * 1024
UNKNOWN = 1 << 62
"""Farther than anything measured."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An agent with room. `load`: tasks assigned to its host; `capacity`: how much the host can do, in any one unit."""

    agent: str
    host: str
    load: int
    capacity: int


@dataclass(frozen=True, slots=True)
class Measures:
    """Measurements of links: from → to → round trip in ns, and bandwidth in bytes per second; absent: unknown."""

    rtt_ns: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    bandwidth_bps: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def rtt(self, origin: str | None, host: str) -> int:
        """Return the round trip in ns. It is the same from either end, so the measurement of the other end replaces a missing one."""
        if origin is None:
            return UNKNOWN
        if origin == host:
            return 0
        there = self.rtt_ns.get(origin, {}).get(host)
        return there if there is not None else self.rtt_ns.get(host, {}).get(origin, UNKNOWN)

    def bandwidth(self, origin: str | None, host: str) -> int:
        """Return the bandwidth of one direction, which gives no information about the other."""
        if origin is None:
            return 0
        return UNKNOWN if origin == host else self.bandwidth_bps.get(origin, {}).get(host, 0)


Task = Mapping[str, Any]
Rank = tuple[int, ...]


def choose(strategy: str, task: Task, candidates: Sequence[Candidate], measured: Measures, rotation: str) -> str | None:
    """Return the agent that gets `task` (its `from` and `size` count), or None when there is no candidate. `rotation`: the agent that got the last
    `round-robin` task, "" for none.
    """
    if not candidates:
        return None
    if strategy == "round-robin":
        return min(candidates, key=lambda one: (one.agent <= rotation, one.agent)).agent
    rank = _RANKS[strategy]
    return min(
        candidates, key=lambda one: (rank(task, one, measured), one.load * _FINE // one.capacity, one.agent)
    ).agent


_FINE = 1_000_000


def _local_first(task: Task, one: Candidate, measured: Measures) -> Rank:
    return (0 if one.host == task["from"] else 1,)


def _latency_aware(task: Task, one: Candidate, measured: Measures) -> Rank:
    return (measured.rtt(task["from"], one.host),)


def _bandwidth_aware(task: Task, one: Candidate, measured: Measures) -> Rank:
    if task["size"] < LARGE_BYTES:
        return _latency_aware(task, one, measured)
    return (-measured.bandwidth(task["from"], one.host), measured.rtt(task["from"], one.host))


_RANKS: Mapping[str, Callable[[Task, Candidate, Measures], Rank]] = {
    "local-first": _local_first,
    "latency-aware": _latency_aware,
    "bandwidth-aware": _bandwidth_aware,
}
