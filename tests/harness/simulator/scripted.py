"""A core that does what a test's script says, and remembers everything it was given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tribulation.harness.simulator.cluster.cluster import SimCluster
from tribulation.harness.simulator.options import SimOptions
from tribulation.node.config.node import NodeConfig
from tribulation.node.core.interface.effects import Effect
from tribulation.node.core.interface.events import Event

Script = Callable[[str, int, Event], list[Effect]]


def config(node: str, nodes: tuple[str, ...], **more: Any) -> NodeConfig:
    peers = {name: ["10.0.0.1", 10000 + i] for i, name in enumerate(nodes)}
    return NodeConfig.from_json({"node": node, "cluster": "test", "peers": peers, **more})


class Scripted:
    """`script(node, now_ns, event)` gives the effects; `log` has (node, now_ns, event) of all cores of a cluster."""

    def __init__(self, node: str, script: Script, log: list[tuple[str, int, Event]]) -> None:
        self._node, self._script, self._log = node, script, log

    def step(self, now_ns: int, events: list[Event]) -> list[Effect]:
        effects: list[Effect] = []
        for event in events:
            self._log.append((self._node, now_ns, event))
            effects += self._script(self._node, now_ns, event)
        return effects


def scripted_cluster(
    script: Script, nodes: tuple[str, ...] = ("n1",), seed: int = 1, **options: Any
) -> tuple[SimCluster, list[tuple[str, int, Event]]]:
    """A started cluster of scripted cores and the log of what they were given."""
    log: list[tuple[str, int, Event]] = []
    cluster = SimCluster(
        {name: config(name, nodes) for name in nodes},
        seed,
        SimOptions(**options),
        make_core=lambda c: Scripted(c.node, script, log),
    )
    cluster.start_all()
    return cluster, log


def events_of(log: list[tuple[str, int, Event]], node: str, kind: type[Any]) -> list[Any]:
    return [event for name, _, event in log if name == node and isinstance(event, kind)]
