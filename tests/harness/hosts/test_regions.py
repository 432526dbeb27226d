"""Labs of several subnets: the plan of any, and a real one whose links are as long and as narrow as was asked."""

from __future__ import annotations

import ipaddress
import socket
import time
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tribulation.harness.errors import CampaignError, HostError
from tribulation.harness.hosts.local import LocalProvider, measure
from tribulation.harness.hosts.local.layout import layout
from tribulation.harness.hosts.local.supervisor.between import (
    burst_bytes,
    iptables_rules,
    nft_rules,
    queue_numbers,
    shaping_lines,
    ways_between,
)
from tribulation.harness.hosts.local.supervisor.delays import Line
from tribulation.harness.nemesis.agent_client.heal import heal
from tribulation.harness.wan import OPEN, Regions, Way

MS = 1_000_000
names = st.from_regex(r"[a-z][a-z0-9]{0,9}", fullmatch=True)
ways = st.builds(
    Way,
    delay_ns=st.just(0) | st.integers(MS, 2000 * MS),
    jitter_ns=st.just(0) | st.integers(MS, 100 * MS),
    rate_bps=st.just(0) | st.integers(100_000, 50_000_000),
)


@st.composite
def regions(draw: st.DrawFn) -> Regions:
    sizes = draw(st.dictionaries(names, st.integers(1, 8), min_size=2, max_size=8))
    pairs = draw(st.lists(st.sampled_from(list(combinations(sizes, 2))), unique=True))
    return Regions(sizes, {pair: draw(ways) for pair in pairs})


@settings(max_examples=40)
@given(regions())
def test_every_region_is_a_subnet_and_no_address_is_anybody_elses(placed: Regions) -> None:
    every = layout.machines(placed.nodes, placed)
    homes = {subnet.region: subnet for subnet in layout.subnets(placed)}
    assert [m.name for m in every] == [*(f"n{i}" for i in range(1, placed.nodes + 1)), "clients"]
    for machine in every:
        home = homes[placed.of(machine.name)]
        assert ipaddress.ip_address(machine.address) in ipaddress.ip_network(home.network)
        assert ipaddress.ip_address(machine.address6) in ipaddress.ip_network(home.network6)
        assert machine.subnet == home
    for kind in ("address", "address6", "link", "mac"):
        assert len({getattr(m, kind) for m in every}) == len(every)
    gateways = [subnet.gateway for subnet in homes.values()]
    assert len(set(gateways)) == len(homes) and not {m.address for m in every} & set(gateways)
    networks = [ipaddress.ip_network(subnet.network) for subnet in homes.values()]
    assert not any(a.overlaps(b) for a, b in combinations(networks, 2))


@settings(max_examples=40)
@given(regions(), st.booleans())
def test_a_host_knows_its_own_subnet_by_heart_and_nobody_beyond(placed: Regions, ipv6: bool) -> None:
    every = layout.machines(placed.nodes, placed)
    for machine in every:
        listed = [line.split()[2] for line in layout.neighbours(every, machine, ipv6)]
        near = [m.address for m in every if m.subnet == machine.subnet and m != machine]
        assert [address for address in listed if ":" not in address] == [*near, machine.subnet.gateway]
        assert len(listed) == (2 if ipv6 else 1) * (len(near) + 1)
        assert [machine.subnet.gateway6 in line for line in layout.routes(machine, placed, ipv6)] == [True] * ipv6


def test_a_lab_without_regions_is_what_it_always_was() -> None:
    every = layout.machines(2)
    assert [(m.name, m.address, m.address6, m.mac, m.link) for m in every] == [
        ("n1", "10.77.0.1", "fd77::1", "02:77:00:00:00:01", "v1"),
        ("n2", "10.77.0.2", "fd77::2", "02:77:00:00:00:02", "v2"),
        ("clients", "10.77.0.200", "fd77::200", "02:77:00:00:00:c8", "v200"),
    ]
    (only,) = layout.subnets()
    assert (only.bridge, only.gateway, only.gateway6) == ("br0", "10.77.0.254", "fd77::254")
    assert only.gateway_mac == "02:77:00:00:00:fe"
    assert layout.routes(every[0], None, True) == [] and ways_between(layout.subnets(), None) == {}


@settings(max_examples=40)
@given(regions())
def test_each_way_that_is_not_open_is_shaped_at_its_sink_and_queued_once(placed: Regions) -> None:
    subnets = layout.subnets(placed)
    found = ways_between(subnets, placed)
    asked = {pair: way for pair, way in placed.ways.items() if way != OPEN}
    assert {(a.region, b.region) for a, b in found} == {ends for a, b in asked for ends in ((a, b), (b, a))}
    assert all(way == placed.way(str(a.region), str(b.region)) for (a, b), way in found.items())
    narrow = {pair for pair, way in found.items() if way.rate_bps}
    lines = shaping_lines(found, by_netem=False)
    assert sum(" tbf " in line for line in lines) == len(narrow)
    for source, sink in narrow:
        assert sum(f"dev {sink.bridge} " in line and f"src {source.network} " in line for line in lines) == 1
    late = {pair for pair, way in found.items() if way.delay_ns or way.jitter_ns}
    numbers = queue_numbers(found)
    assert set(numbers) == late and len(set(numbers.values())) == len(late)
    assert nft_rules(numbers).count("queue num") == 2 * len(late)
    assert [iptables_rules(numbers, version).count("NFQUEUE") for version in (4, 6)] == [len(late)] * 2
    assert sum(" netem " in line for line in shaping_lines(found, by_netem=True)) == len(found)


@given(st.lists(st.tuples(st.integers(0, 50 * MS), st.integers(0, 30 * MS)), min_size=1), st.randoms())
def test_a_line_keeps_the_order_and_no_packet_is_early(packets: list[tuple[int, int]], random: object) -> None:
    line, now_ns, last_ns = Line(20 * MS, 7 * MS), 0, 0
    for pause_ns, _ in packets:
        now_ns += pause_ns
        at_ns = line.due_ns(now_ns, random)  # type: ignore[arg-type]
        assert last_ns <= at_ns <= max(last_ns, now_ns + 27 * MS) and at_ns >= now_ns + 20 * MS
        last_ns = at_ns


@given(ways)
def test_what_is_measured_is_as_asked_or_is_reported(way: Way) -> None:
    asked_ms = 2 * way.delay_ns / 1e6
    rates = (way.rate_bps, way.rate_bps) if way.rate_bps else (None, None)
    assert measure.unlike(way, asked_ms, *rates) == []
    assert len(measure.unlike(way, asked_ms * 1.3 + 20, *rates)) == 1
    assert not way.delay_ns or len(measure.unlike(way, asked_ms * 0.9, *rates)) == 1
    if way.rate_bps:
        assert burst_bytes(way) >= 2 * 1514
        assert len(measure.unlike(way, asked_ms, way.rate_bps * 1.5, way.rate_bps / 2)) == 2


def test_regions_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(CampaignError, match="regions of 3 hosts together do not make a lab of 4"):
        LocalProvider(nodes=4, regions=Regions({"eu": 2, "us": 1}))


FAR = Way(15 * MS, 0, 4_000_000)
APART = Regions({"eu": 2, "us": 1}, {("eu", "us"): FAR})


def test_regions_are_routed_measured_and_stay_as_they_are(labs: Path) -> None:
    """Broadcasts stay at home; both families cross; power, freezing and healing leave what lies between; another plan under the same name is refused."""
    lab = LocalProvider(nodes=3, name="apart", directory=labs, regions=APART)
    hosts = lab.up()
    (found,) = lab.measured
    assert measure.unlike(FAR, found.rtt_ms, found.there_bps, found.back_bps) == []
    assert [host.control[0] for host in hosts] == ["10.77.1.254", "10.77.1.254", "10.77.2.254"]
    assert set(lab.status()["between"]) == {"delay", "rate"}

    _broadcasts_stay_at_home(lab)
    for family, address in ((socket.AF_INET, "10.77.2.3"), (socket.AF_INET6, "fd77:0:0:2::3")):
        with lab.socket_at("n1", family, socket.SOCK_STREAM, 10.0) as sock:
            began_s = time.monotonic()
            sock.connect((address, 22))
            assert time.monotonic() - began_s >= 2 * FAR.delay_ns / 1e9
            assert sock.recv(4) == b"SSH-"
    with lab.dial("10.77.2.3", 22, timeout_s=10.0) as sock:
        assert sock.getsockname()[0] == "10.77.0.200" and sock.recv(4) == b"SSH-"

    asked = Regions({"eu": 2, "us": 1}, {("eu", "us"): Way(50 * MS)})
    with pytest.raises(HostError, match=r"eu-us: a round trip takes \d+\.\d ms, not 100 ms"):
        measure.require(asked, hosts, lab.socket_at)
    with pytest.raises(HostError, match="is up with other regions"):
        LocalProvider(nodes=3, name="apart", directory=labs, regions=Regions({"eu": 2, "us": 1})).up()
    assert LocalProvider.find("apart", labs).regions == APART

    lab.power_off("n3")
    lab.boot("n3")
    lab.freeze("n1")
    lab.thaw("n1")
    assert heal(hosts) == []
    assert len(measure.require(APART, hosts, lab.socket_at)) == 1
    lab.down()


def _broadcasts_stay_at_home(lab: LocalProvider) -> None:
    """What n1 calls out reaches n2; n3 hears only what was meant for it, though that was sent later and over the same way."""
    made = {name: lab.socket_at(name, socket.AF_INET, socket.SOCK_DGRAM, 10.0) for name in ("n1", "n2", "n3")}
    for sock in made.values():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.bind(("", 5555))
    for to in ("255.255.255.255", "10.77.1.255", "10.77.2.255"):
        made["n1"].sendto(f"to {to}".encode(), (to, 5555))
    made["n1"].sendto(b"to you", ("10.77.2.3", 5555))
    assert [made["n2"].recv(64) for _ in range(2)] == [b"to 255.255.255.255", b"to 10.77.1.255"]
    assert made["n3"].recv(64) == b"to you"
    for sock in made.values():
        sock.close()
