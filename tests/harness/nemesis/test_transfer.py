"""Leaders that hand over by request: which nodes an item means, and that another leads then."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.harness.nemesis.lab_tools import fault, reference_on, running
from tests.harness.simulator.real import follower, leader, real_cluster
from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.nemesis.faults.fault import Intent, Situation
from tribulation.harness.nemesis.kinds.members import transfer
from tribulation.harness.nemesis.topology.resolve import resolve
from tribulation.harness.simulator.faults.injector import SimInjector
from tribulation.harness.simulator.options import SECOND

FIVE = ("n1", "n2", "n3", "n4", "n5")


def successor(to: str, situation: Situation, seed: int = 7) -> str:
    return str(resolve(Intent("t.1", "transfer", {"to": to}, 0, SECOND, "t.1"), situation, seed).what["to"])


def test_any_is_a_voter_that_does_not_lead_and_former_is_who_led_before() -> None:
    known = Situation(FIVE, {"n1": 1, "n2": 2, "n3": 1}, "n1", FIVE, former="n3")
    assert {successor("any", known, seed) for seed in range(40)} == {"n2", "n3"}
    assert successor("former", known) == "n3" and successor("n5", known) == "n5"
    nobody_before = Situation(FIVE, {"n1": 1, "n2": 2}, "n1", FIVE)
    assert successor("former", nobody_before) == "n2"


def test_in_the_simulator_another_leads_then_and_the_former_one_again() -> None:
    cluster = real_cluster()
    injector, first, to = SimInjector(cluster), leader(cluster), follower(cluster)
    assert injector.inject(fault("transfer", to=to)).observed == {"to": to}
    assert injector.situation().leader == to and injector.situation().former == first
    assert injector.inject(fault("transfer", to=first)).verified and injector.situation().leader == first
    assert injector.heal(fault("transfer", to=first)).verified


def test_in_the_simulator_a_target_that_leads_already_hands_over_to_another() -> None:
    cluster = real_cluster()
    injector, first = SimInjector(cluster), leader(cluster)
    seen = injector.inject(fault("transfer", to=first))
    assert seen.verified and seen.observed["to"] == injector.situation().leader != first


class Handing:
    """A service that takes every request to hand over, and does nothing."""

    name = "handing"

    def __init__(self, *leaders: str | None) -> None:
        self._leaders = list(leaders)

    def hand_over(self, hosts, dial, to, timeout_s) -> None:
        pass

    def leader(self, hosts, dial) -> str | None:
        return self._leaders.pop(0) if len(self._leaders) > 1 else self._leaders[0]


@pytest.mark.parametrize(
    ("leaders", "verified"), [(["n1", "n2"], True), (["n2"], False), ([None, "n2"], False), (["n1"], False)]
)
def test_on_hosts_a_leader_that_was_the_target_before_is_no_transfer(monkeypatch, leaders, verified) -> None:
    monkeypatch.setattr(transfer, "TRANSFER_S", 0.05)
    cluster = SimpleNamespace(service=Handing(*leaders), hosts={}, dial=None)
    ground, package, handed = SimpleNamespace(cluster=cluster, notes={}), transfer.OnHosts(), fault("transfer", to="n2")
    package.begin(handed, ground)
    assert package.look(handed, ground, on=True).verified is verified


def test_in_the_simulator_a_transfer_without_a_quorum_is_not_verified() -> None:
    cluster = real_cluster()
    injector, to = SimInjector(cluster), follower(cluster)
    for name in cluster.nodes:
        if name != leader(cluster):
            cluster.pause(name)
    assert not injector.inject(fault("transfer", to=to)).verified


def test_on_hosts_the_leader_hands_over(lab: LocalProvider, tmp_path: Path) -> None:
    with (
        reference_on(lab) as service,
        running(lab, service, tmp_path / "ledger.jsonl") as injector,  # type: ignore[arg-type]  # any service will do
    ):
        first = injector.situation().leader
        to = next(host.name for host in lab.hosts if host.name != first)
        handed_over = fault("transfer", to=to)
        seen = injector.inject(handed_over)
        assert seen.verified and injector.situation().leader != first
        assert injector.heal(handed_over).verified


def test_of_two_changes_that_name_a_node_the_later_one_holds() -> None:
    cluster = real_cluster(nodes=FIVE)
    injector = SimInjector(cluster)
    ended: list[object] = []
    injector.begin_inject(fault("voters", voters={"n4": 3, "n5": 2}), ended.append)
    injector.begin_inject(fault("voters", voters={"n5": 0}), ended.append)
    assert cluster.run_while(lambda: len(ended) < 2, cluster.now_ns + 20 * SECOND)
    assert all(getattr(seen, "verified", False) for seen in ended), ended
    assert injector.situation().voters == {"n1": 1, "n2": 1, "n3": 1, "n4": 3}
