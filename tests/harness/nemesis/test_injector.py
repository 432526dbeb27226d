"""Faults on real hosts (namespaces of this machine, over SSH): put on, seen by other eyes than the injector's own, and taken off."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.harness.nemesis.lab_tools import await_that, both_ways, fault, hears, programs, running, six, state, table
from tests.harness.nemesis.plain_service import Supervised
from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.nemesis.inject.injector import HostInjector


@pytest.fixture(scope="module")
def shared(lab: LocalProvider, service: Supervised, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostInjector]:
    with running(lab, service, tmp_path_factory.mktemp("shared") / "ledger.jsonl") as made:
        yield made


@pytest.fixture
def injector(shared: HostInjector) -> Iterator[HostInjector]:
    """A whole cluster before and after each test, whatever the test did."""
    yield shared
    assert shared.heal_all().verified


def test_a_partition_cuts_both_families_spares_control_and_heals(lab: LocalProvider, injector: HostInjector) -> None:
    n1, n2, n3 = lab.hosts
    cut = fault("cut", edges=both_ways(("n1", "n2"), ("n1", "n3")))
    seen = injector.inject(cut)
    assert seen.verified and seen.observed["edges"] == sorted(cut.what["edges"])
    assert n1.run("echo alive").stdout == "alive\n"
    for receiver in (n1, n2):
        sender = n2 if receiver is n1 else n1
        assert not hears(receiver, sender, receiver.address, 0.2)
        assert not hears(receiver, sender, six(receiver), 0.2)
    assert hears(n3, n2, n3.address, 5) and hears(n3, n2, six(n3), 5), "the others still hear each other"
    healed = injector.heal(cut)
    assert healed.verified and healed.observed["edges"] == []
    assert hears(n1, n2, n1.address, 5) and hears(n2, n1, six(n2), 5)
    assert all(table(host) == "" for host in lab.hosts)


def test_one_way_in_both_families(lab: LocalProvider, injector: HostInjector) -> None:
    n1, n2, _ = lab.hosts
    cut = fault("cut", edges=[["n1", "n2"]])
    assert injector.inject(cut).verified
    assert not hears(n2, n1, n2.address, 0.2) and not hears(n2, n1, six(n2), 0.2)
    assert hears(n1, n2, n1.address, 5) and hears(n1, n2, six(n1), 5)
    assert injector.heal(cut).verified


def test_clients_are_a_vertex_like_any_other(lab: LocalProvider, injector: HostInjector) -> None:
    n2 = lab.hosts[1]
    server = n2.start(
        [
            n2.python,
            "-c",
            "import socket; s = socket.create_server(('', 7778)); print('ready', flush=True); s.accept(); s.accept()",
        ]
    )
    try:
        assert server.read_line(10) == "ready"
        lab.dial(n2.address, 7778, timeout_s=5).close()
        cut = fault("cut", edges=[["clients", "n2"]])
        assert injector.inject(cut).verified
        with pytest.raises(TimeoutError):
            lab.dial(n2.address, 7778, timeout_s=0.3)
        assert n2.run("echo alive").stdout == "alive\n"
        injector.heal(cut)
        lab.dial(n2.address, 7778, timeout_s=5).close()
        back = fault("cut", edges=[["n2", "clients"]])
        assert injector.inject(back).verified, "the clients' own host drops what comes from n2"
        assert injector.heal(back).verified
    finally:
        server.close()


def test_cuts_add_up_and_foreign_rules_stay(lab: LocalProvider, injector: HostInjector) -> None:
    n1 = lab.hosts[0]
    n1.run(
        "nft add table inet foreign; nft add chain inet foreign c '{ type filter hook input priority 0; }'; nft add rule inet foreign c accept"
    )
    before = n1.run("nft list table inet foreign").stdout
    first, second = fault("cut", edges=[["n2", "n1"]]), fault("cut", edges=[["n3", "n1"], ["n2", "n1"]])
    assert injector.inject(first).verified and injector.inject(second).verified
    assert injector.heal(second).observed["edges"] == [["n2", "n1"]], "the first one holds"
    assert injector.heal(first).verified
    assert n1.run("nft list table inet foreign").stdout == before
    n1.run("nft delete table inet foreign")


def test_kill_and_pause_are_seen_and_undone(lab: LocalProvider, service: Supervised, injector: HostInjector) -> None:
    n1, n2, _ = lab.hosts
    old_pid = service.pid(n1)
    kill, pause = fault("kill", nodes=["n1"]), fault("pause", nodes=["n2"])
    assert injector.inject(kill).observed["states"] == {"n1": "gone"} and injector.inject(pause).verified
    assert state(n1, service) is None and state(n2, service) == "T"
    assert list(injector.situation().up) == ["n3"]
    assert injector.heal(kill).verified and injector.heal(pause).verified
    assert service.pid(n1) not in (None, old_pid) and state(n2, service) in ("S", "R")
    assert list(injector.situation().up) == ["n1", "n2", "n3"]


def test_a_process_that_is_killed_while_paused_comes_back_paused(
    lab: LocalProvider, service: Supervised, injector: HostInjector
) -> None:
    n1 = lab.hosts[0]
    pause, kill = fault("pause", nodes=["n1"]), fault("kill", nodes=["n1"])
    assert injector.inject(pause).verified and injector.inject(kill).verified and injector.heal(kill).verified
    assert state(n1, service) == "T"
    assert injector.heal(pause).verified and state(n1, service) in ("S", "R")


def test_a_pause_of_a_process_that_is_down_is_hidden_by_what_keeps_it_down(injector: HostInjector) -> None:
    kill, pause = fault("kill", nodes=["n1"]), fault("pause", nodes=["n1", "n2"])
    assert injector.inject(kill).verified
    seen = injector.inject(pause)
    assert (seen.verified, seen.observed["nodes"], seen.observed["hidden_by"]) == (False, ["n2"], [kill.intent.id])
    assert injector.heal(pause).verified and injector.heal(kill).verified


def test_a_clock_jumps_for_the_service_and_not_for_the_host(lab: LocalProvider, injector: HostInjector) -> None:
    n1 = lab.hosts[0]
    jump = fault("clock", offsets_ns={"n1": -3600 * 10**9, "n2": 60 * 10**9})
    seen = injector.inject(jump)
    assert seen.verified and seen.observed["affected"] == {"n1": True, "n2": True}
    assert abs(seen.observed["offsets_ns"]["n1"] + 3600 * 10**9) < 10**7
    assert abs(float(n1.run("date +%s.%N").stdout) - time.time()) < 5, "the host's own clock is true"
    healed = injector.heal(jump)
    assert healed.verified and abs(healed.observed["offsets_ns"]["n1"]) < 10**7


def test_an_agent_that_is_killed_is_started_again_and_faults_stay_on(
    lab: LocalProvider, injector: HostInjector
) -> None:
    n1 = lab.hosts[0]
    cut = fault("cut", edges=[["n2", "n1"]])
    injector.inject(cut)
    serving = programs(n1, "serve")
    assert serving
    # All at once, and some may be gone before: what the injector of an earlier test had started ends by itself.
    n1.run(["kill", "-9", *map(str, serving)], check=False)
    await_that("none of them is left", lambda: not set(serving) & set(programs(n1, "serve")))
    kill = fault("kill", nodes=["n1"])
    assert injector.inject(kill).verified, "over a new agent"
    assert "10.77.0.2" in table(n1)
    assert injector.heal(kill).verified and injector.heal(cut).verified


def test_a_watchdog_that_is_killed_is_replaced_at_the_next_renewal(lab: LocalProvider, injector: HostInjector) -> None:
    n1 = lab.hosts[0]
    # A watchdog that guards nothing goes when all is healed, and may be on its way.
    cut = fault("cut", edges=[["n2", "n1"]])
    assert injector.inject(cut).verified
    await_that("one watchdog", lambda: len(programs(n1, "watchdog")) == 1)
    (old,) = programs(n1, "watchdog")
    n1.run(["kill", "-9", str(old)])
    await_that("another watchdog", lambda: [pid for pid in programs(n1, "watchdog") if pid != old] != [])
    assert injector.heal(cut).verified
