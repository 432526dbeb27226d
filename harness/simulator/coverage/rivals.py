"""Nodes that may believe they lead: the new leader and the one before, reported as soon as there are two."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..cluster.cluster import SimCluster

OnRivals = Callable[[str, "str | None"], None]
"""`notify(new, old)`: `old` led before; None when no node did, or it is the same node."""

_COMES_BACK = frozenset({"resume", "start"})


def watch_rivals(cluster: SimCluster, notify: OnRivals) -> None:
    """Report rivals as they come. It changes nothing; the receiver may end a `run_until`."""
    led: dict[str, int] = {}

    def traced(line: Mapping[str, Any]) -> None:
        if line["event"] == "leader":
            new = line["node"]
            others = {name: term for name, term in led.items() if name != new}
            led[new] = line["term"]
            notify(new, max(others, key=lambda name: others[name], default=None))

    def done(what: str, *operands: Any) -> None:
        if what in _COMES_BACK and operands[0] in led:
            newest = max(led, key=lambda name: led[name])
            if newest != operands[0]:
                notify(newest, operands[0])

    cluster.watchers.append(traced)
    cluster.deed_watchers.append(done)
