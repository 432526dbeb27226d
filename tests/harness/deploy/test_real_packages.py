"""The packages that the project was asked to use do the work: a deployment goes through fabric and paramiko, graphs through networkx."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import fabric
import networkx as nx
import paramiko
import pytest

from tests.checkers.transactions.stories import judge
from tests.harness.systems.loopback import free_port
from tribulation.checkers import Fault
from tribulation.checkers.faults.windows import sides
from tribulation.checkers.transactions.graph.drawing import graph_of
from tribulation.harness.deploy.deploy import deploy_down, deploy_up
from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.nemesis.faults.fault import Situation
from tribulation.harness.nemesis.topology import partitions
from tribulation.harness.systems.reference.system import ReferenceService


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str], Counter[str]]:
    """`calls(owner, name)` counts the calls of a function from now on, by the text of their first argument."""

    def watch(owner: Any, name: str) -> Counter[str]:
        real, seen = getattr(owner, name), Counter[str]()

        def spy(*arguments: Any, **named: Any) -> Any:
            seen[str(next(iter(arguments), ""))] += 1
            return real(*arguments, **named)

        monkeypatch.setattr(owner, name, spy)
        return seen

    return watch


def test_a_deployment_logs_in_by_fabric_and_runs_on_channels_of_paramiko(
    lab: LocalProvider, calls: Callable[[Any, str], Counter[str]]
) -> None:
    """Each host is installed and started over an SSH session of its own with a real sshd."""
    opened, sessions = calls(fabric.Connection, "open"), calls(paramiko.Transport, "open_session")
    commands = calls(paramiko.Channel, "exec_command")
    hosts = lab.up()
    for host in hosts:
        host.close()
    service = ReferenceService({"cluster": "packages", "port": free_port(), "timing": "fast"})
    try:
        results = deploy_up(service, hosts)
        assert [result.ok for result in results] == [True] * len(hosts)
        assert len([name for name in opened if any(host.address in name for host in hosts)]) == len(hosts)
        assert sum(sessions.values()) >= len(hosts) and sum(commands.values()) >= len(hosts)
    finally:
        deploy_down(service, hosts)


def test_shapes_of_partitions_are_graphs_of_networkx(calls: Callable[[Any, str], Counter[str]]) -> None:
    made, cut = calls(nx, "hkn_harary_graph"), calls(nx, "complement")
    nodes = ("n1", "n2", "n3", "n4", "n5")
    situation = Situation(nodes=nodes, voters=dict.fromkeys(nodes, 1), leader=None, up=nodes)
    links = partitions.majorities_ring(situation, random.Random(1))
    edges = partitions.missing(links)
    assert isinstance(links, nx.Graph) and sum(made.values()) == 1 and sum(cut.values()) == 1
    assert edges and all((b, a) in edges for a, b in edges)
    assert all(len(partitions.view(links, node)) >= 3 for node in nodes)


def test_sides_of_a_cut_are_components_of_networkx(calls: Callable[[Any, str], Counter[str]]) -> None:
    found = calls(nx, "connected_components")
    edges = [[a, b] for a in ("n1", "n2") for b in ("n3",)]
    fault = Fault("f", "cut", {"edges": [*edges, *([b, a] for a, b in edges)]}, {}, True, 0, 1)
    assert sides(fault, ["n1", "n2", "n3"]) == {"n1": "n1+n2", "n2": "n1+n2", "n3": "n3"}
    assert sum(found.values()) == 1


def test_the_cycle_of_a_witness_is_a_cycle_of_networkx() -> None:
    (anomaly,) = judge("list-append", "p0 |--| ax1 ry[]\np1 |--| ay1 rx[]").anomalies
    graph = graph_of(anomaly)
    assert isinstance(graph, nx.DiGraph)
    assert {edge[:2] for edge in nx.find_cycle(graph)} == {("T0", "T1"), ("T1", "T0")}
