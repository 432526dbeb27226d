"""Links of real hosts that are shaped: each kind is seen by packets of our own, and nothing of it is left on the hosts."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness.nemesis.lab_tools import await_that, both_ways, fault, hears, programs, running, six
from tests.harness.nemesis.plain_service import Supervised
from tribulation.harness.agent.network import netem, queue_rules
from tribulation.harness.errors import HostError
from tribulation.harness.hosts.base import Host
from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.nemesis.agent_client.heal import heal
from tribulation.harness.nemesis.inject.injector import HostInjector
from tribulation.harness.nemesis.registry import PACKAGES

MS = 10**6
EDGES = both_ways(("n1", "n2"))
SERVER = """
import os, socket
server = socket.create_server(("::", 7790), family=socket.AF_INET6, dualstack_ipv6=True); print(os.getpid(), flush=True)
kept = []
while True: kept.append(server.accept())
"""
CLIENT = """
import socket, sys
connection = socket.create_connection((sys.argv[1], 7790), timeout=5); connection.settimeout(20); print("connected", flush=True)
try: print("told", connection.recv(1), flush=True)
except OSError as error: print(type(error).__name__, flush=True)
"""


@pytest.fixture(scope="module")
def shared(lab: LocalProvider, service: Supervised, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostInjector]:
    with running(lab, service, tmp_path_factory.mktemp("shared") / "ledger.jsonl") as made:
        yield made


@pytest.fixture
def injector(lab: LocalProvider, shared: HostInjector) -> Iterator[HostInjector]:
    """Whatever a test does, afterwards the hosts are what they were."""
    before = network_of(lab)
    yield shared
    assert shared.heal_all().verified
    assert network_of(lab) == before


def network_of(lab: LocalProvider) -> dict[str, list[Any]]:
    """Rules, qdiscs, and helpers of every host."""
    clients = lab.client_host()
    assert clients is not None
    looks = ("nft list ruleset", "tc qdisc show", "tc filter show dev eth0")
    return {
        host.name: [*(host.run(look).stdout for look in looks), programs(host, "wire")]
        for host in (*lab.hosts, clients)
    }


@pytest.mark.parametrize(
    ("what", "field"),
    [
        ({"loss_ppm": 200_000, "delay_ns": 20 * MS}, "lost"),
        ({"duplicate_ppm": 250_000}, "doubled"),
        ({"reorder_ppm": 250_000}, "overtaken"),
        ({"delay_ns": 40 * MS, "jitter_ns": 60 * MS}, "overtaken"),
        ({"corrupt_ppm": 250_000}, "refused_by_checksum"),
        ({"rate_bps": 2_000_000}, "sent"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_a_link_is_shaped_as_asked_seen_and_whole_again(
    injector: HostInjector, what: dict[str, int], field: str
) -> None:
    shape = fault("link", edges=EDGES, **what)
    seen = injector.inject(shape)
    assert seen.verified and seen.observed["edges"] == sorted(EDGES) and seen.observed["backend"], seen
    assert seen.observed[field] > 0
    least_ms, _ = seen.observed["latency_ms"]
    # How far the hosts' clocks are apart is known the less, the busier the machine.
    assert "delay_ns" not in what or least_ms > what["delay_ns"] / MS / 2
    if "rate_bps" in what:
        assert 1_200_000 < seen.observed["rate_bps"][0] <= seen.observed["rate_bps"][1] < 2_500_000
    healed = injector.heal(shape)
    assert healed.verified and healed.observed["edges"] == [], healed


def test_delays_add_the_greater_chance_holds_and_a_heal_leaves_the_other(injector: HostInjector) -> None:
    first = fault("link", edges=EDGES, delay_ns=10 * MS, loss_ppm=50_000)
    second = fault("link", edges=[["n1", "n2"]], delay_ns=20 * MS, loss_ppm=300_000)
    assert injector.inject(first).verified
    seen = injector.inject(second)
    assert seen.verified and seen.observed["latency_ms"][0] > 20 and seen.observed["lost"] > seen.observed["sent"] // 6
    healed = injector.heal(first)
    assert healed.verified and healed.observed["edges"] == [["n1", "n2"]], "the second one holds"
    assert injector.heal(second).verified


def test_a_link_that_is_cut_as_well_reports_nothing_and_the_cut_is_still_seen(injector: HostInjector) -> None:
    shape, cut = fault("link", edges=EDGES, delay_ns=10 * MS), fault("cut", edges=[["n1", "n2"]])
    assert injector.inject(cut).verified
    seen = injector.inject(shape)
    assert seen.verified and seen.observed["unprobed"] == [["n1", "n2"]]
    assert injector.heal(cut).verified and injector.heal(shape).verified


def test_a_clog_holds_both_families_and_lets_go_of_everything_in_order(
    lab: LocalProvider, injector: HostInjector
) -> None:
    n1, n2, _ = lab.hosts
    clog = fault("clog", edges=[["n2", "n1"], ["clients", "n1"]])
    assert injector.inject(clog).verified
    assert not hears(n1, n2, n1.address, 0.2) and not hears(n1, n2, six(n1), 0.2)
    assert hears(n2, n1, n2.address, 5) and n1.run("echo alive").stdout == "alive\n"
    healed = injector.heal(clog)
    assert healed.verified and healed.observed["late"] == 40, healed


def test_a_flapping_link_is_down_and_up_and_in_the_end_up(injector: HostInjector) -> None:
    flap = fault("flap", edges=EDGES, period_ns=200 * MS)
    seen = injector.inject(flap)
    assert seen.verified and seen.observed["edges"] == sorted(EDGES) and seen.observed["steady"] == []
    assert injector.heal(flap).verified


def test_connections_break_now_and_again_and_nothing_is_claimed_where_there_are_none(
    lab: LocalProvider, injector: HostInjector
) -> None:
    n1, n2, _ = lab.hosts
    reset = fault("reset", edges=[["n1", "n2"]], period_ns=300 * MS)
    assert not injector.inject(reset).verified, "there is nothing to break"
    assert injector.heal(reset).verified
    server = n2.start([n2.python, "-c", SERVER])
    pid = server.read_line(10)
    try:
        first, six_first = _connect(n1, n2.address), _connect(n1, six(n2))
        seen = injector.inject(reset)
        assert seen.verified and seen.observed["edges"] == [["n1", "n2"]] and seen.observed["unbroken"] == []
        again = _connect(n1, n2.address)
        for client in (first, six_first, again):
            assert client.read_line(10) in ("ConnectionResetError", "ConnectionAbortedError")
            client.close()
        assert injector.heal(reset).verified
        lasting = _connect(n1, n2.address)
        with pytest.raises(HostError, match="printed no line"):
            lasting.read_line(0.7)
        lasting.close()
    finally:
        n2.run(["kill", "-9", pid])
        server.close()


def _connect(host: Host, address: str) -> Any:
    client = host.start([host.python, "-c", CLIENT, address])
    assert client.read_line(10) == "connected"
    return client


def test_rules_of_others_stay_and_a_helper_that_is_ended_lets_all_through_and_is_reported(
    lab: LocalProvider, injector: HostInjector
) -> None:
    n1, n2, _ = lab.hosts
    n1.run("iptables -t mangle -A PREROUTING -s 192.0.2.9 -j ACCEPT")
    foreign = n1.run("nft list ruleset").stdout
    clog = fault("clog", edges=[["n2", "n1"]])
    try:
        assert injector.inject(clog).verified
        (helper,) = programs(n1, "wire")
        n1.run(["kill", "-9", str(helper)])
        assert hears(n1, n2, n1.address, 5)
        assert injector.heal(clog).observed["lapsed"]
        assert n1.run("nft list ruleset").stdout == foreign
    finally:
        n1.run("nft delete table ip mangle")


def test_heal_without_the_harness_undoes_all_and_twice_nothing(lab: LocalProvider, injector: HostInjector) -> None:
    injector.inject(fault("link", edges=EDGES, delay_ns=10 * MS, duplicate_ppm=200_000))
    undone = heal(lab.hosts)
    assert [entry.split(" (")[0] for entry in undone] == [f"n{i}: links: queue, helper, copies" for i in (1, 2)]
    assert heal(lab.hosts) == []


def test_hosts_are_whole_by_themselves_when_nobody_renews(
    lab: LocalProvider, service: Supervised, shared: HostInjector, tmp_path: Any
) -> None:
    shared.stop()
    before = network_of(lab)
    with running(lab, service, tmp_path / "ledger.jsonl") as dying:
        assert dying.inject(fault("link", edges=EDGES, loss_ppm=300_000, duplicate_ppm=300_000)).verified
        dying.inject(fault("clog", edges=[["n3", "n1"], ["clients", "n2"]]))
        dying.inject(fault("flap", edges=[["n3", "n2"]], period_ns=100 * MS))
        dying._background.stop()
        dying._cluster.lease_s = 1.5
        dying._cluster.renew(patient=True)
        ended_s = time.monotonic()
        await_that("as before", lambda: network_of(lab) == before)
        assert time.monotonic() - ended_s < 1.5 + 5
    shared.start()


def test_what_links_need_is_tried_on_a_host_and_nothing_of_that_is_left(lab: LocalProvider) -> None:
    n3 = lab.hosts[2]
    files = f"ls {n3.directory}/nemesis"
    before, there = network_of(lab), n3.run(files, check=False).stdout
    found = {name: PACKAGES[name].abilities[name](n3) for name in ("link", "clog", "flap", "reset")}
    assert all(found.values()), found
    assert network_of(lab) == before and n3.run(files, check=False).stdout == there


def test_rules_for_kernels_that_have_more_are_well_formed_here(lab: LocalProvider) -> None:
    """Without sch_netem and nft_queue the kernel says that it knows no such thing; a mistake in the words is reported by the tools before that."""
    n1 = lab.hosts[0]
    before = network_of(lab)
    shapes = (
        {"delay_ns": 20 * MS, "jitter_ns": 5 * MS, "loss_ppm": 50_000, "corrupt_ppm": 12_345},
        {"reorder_ppm": 100_000},
        {"rate_bps": 1_000_000},
    )
    for shape in shapes:
        done = n1.run(["tc", "qdisc", "add", "dev", "lo", "root", "netem", *netem.arguments(shape)], check=False)
        assert done.exit_code == 0 or "qdisc kind is unknown" in done.stderr, done.stderr
        n1.run("tc qdisc del dev lo root", check=False)
    rules = queue_rules.nft_rules(["10.77.0.2", "fd77::2"], ["10.77.0.254", 22])
    done = n1.run("nft -c -f -", stdin=rules.encode(), check=False)
    assert done.exit_code == 0 or ("Could not process rule" in done.stderr and "syntax" not in done.stderr), done.stderr
    # All but netem itself, with a plain queue in its place.
    peers = {"n2": {"addresses": ["10.77.0.2", "fd77::2"], "delay_ns": MS}, "n3": {"addresses": ["10.77.0.3"]}}
    plan = [re.sub("netem .*", "pfifo", line) for line in netem.plan("eth0", peers, ["10.77.0.254", 22])]
    n1.run("tc -batch -", stdin="\n".join([*plan, ""]).encode())
    assert hears(lab.hosts[1], n1, lab.hosts[1].address, 5) and hears(lab.hosts[2], n1, six(lab.hosts[2]), 5)
    sent = n1.run("tc -s qdisc show dev eth0 parent 7133:2").stdout
    assert int(sent.split("Sent ")[1].split()[2]) > 0, "what leaves for n2 goes its own way"
    n1.run("tc qdisc del dev eth0 root")
    assert network_of(lab) == before
