"""One of several processes of a host, by its name: killed or stopped alone, seen so, and undone also by the watchdog's way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.harness.nemesis.lab_tools import fault, running
from tests.harness.simulator.real import real_cluster
from tribulation.harness.errors import FaultError
from tribulation.harness.hosts.base import Host
from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.nemesis.agent_client.heal import heal
from tribulation.harness.simulator.faults.injector import SimInjector
from tribulation.testing import Daemon


class Pair(Daemon):
    ports = {"one": 7301, "two": 7302}  # noqa: RUF012

    def processes(self, host: Host, cluster: Sequence[Host]) -> Mapping[str, Sequence[str]]:
        serve = "import socket, sys, time; s = socket.create_server(('', int(sys.argv[1]))); time.sleep(1000)"
        return {name: [host.python, "-c", serve, str(port)] for name, port in self.ports.items()}


@pytest.fixture
def pair(lab: LocalProvider) -> Iterator[Pair]:
    made = Pair()
    for host in lab.hosts:
        made.install(host, lab.hosts)
        made.start(host, {})
    try:
        for host in lab.hosts:
            made.wait_ready(host, 30)
        yield made
    finally:
        for host in lab.hosts:
            made.uninstall(host)


def test_one_process_goes_down_alone_and_comes_back(lab: LocalProvider, pair: Pair, tmp_path: Path) -> None:
    with running(lab, pair, tmp_path / "ledger.jsonl") as injector:
        for action in ("kill", "pause"):
            one = fault("process", nodes=["n1"], of="two", action=action)
            seen = injector.inject(one)
            assert seen.verified and seen.observed["nodes"] == ["n1"], seen
            assert {name for name, how in injector._cluster.processes_of(["n1"], "one").items() if how["running"]} == {
                "n1"
            }
            assert injector.heal(one).verified
        killed = fault("process", nodes=["n1", "n2"], of="one", action="kill")
        assert injector.inject(killed).verified
        assert any("one: kill" in what for what in heal([lab.hosts[0]]))
        pair.wait_ready(lab.hosts[0], 30)
        assert injector.heal(killed).observed.get("lapsed"), "somebody else has undone it"


def test_a_name_that_the_adapter_does_not_know_is_refused(lab: LocalProvider, pair: Pair, tmp_path: Path) -> None:
    with (
        running(lab, pair, tmp_path / "ledger.jsonl") as injector,
        pytest.raises(FaultError, match="no process 'three'"),
    ):
        injector.inject(fault("process", nodes=["n1"], of="three", action="kill"))


def test_in_the_simulator_it_does_nothing_and_says_so() -> None:
    seen = []
    family = SimInjector(real_cluster())._families["process"]
    family.inject(fault("process", nodes=["n1"], of="one", action="kill"), seen.append)
    assert not any(observation.verified for observation in seen)
