"""The moments of a simulated run at which faults may begin (`nemesis.triggers`), reported from trace lines and from writes to the disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tribulation.node.core.interface.effects import Effect, Write
from tribulation.node.core.storage.snapshot_file import TEMPORARY

from ...nemesis.faults.triggers import TRACED
from .cluster import SimCluster

OnMoment = Callable[[str, str], None]
"""`notify(event, node)`."""


def watch_moments(cluster: SimCluster, notify: OnMoment) -> None:
    """Report moments as they come. It changes nothing; the receiver may end a `run_until`."""

    def traced(line: Mapping[str, Any]) -> None:
        event = TRACED.get(line["event"])
        if event is not None:
            notify(event, line["node"])

    def wrote(node: str, effects: Sequence[Effect]) -> None:
        # A snapshot, of its own or of its leader, is the only file that is written next to the one that it will replace.
        if any(isinstance(effect, Write) and effect.file == TEMPORARY for effect in effects):
            notify("snapshot-begun", node)

    cluster.watchers.append(traced)
    cluster.effect_watchers.append(wrote)
