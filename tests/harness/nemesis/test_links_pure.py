"""What is done to packets and how it is judged, without a packet: fates, rules' texts, the kernel's messages, and the odds."""

from __future__ import annotations

import struct
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tribulation.harness.agent.network import connections, duplicates, netem, nfqueue, queue_rules
from tribulation.harness.agent.network.burst import Arrivals, summary
from tribulation.harness.agent.network.shaping import BACKLOG_NS, OVERTAKEN_NS, Link, Links, flipped
from tribulation.harness.nemesis.faults.fault import Intent, Resolved
from tribulation.harness.nemesis.kinds.links.link_quality import (
    count_for,
    faults_of,
    is_later,
    is_whole,
    keeps_to_rate,
    likely,
    odds_against,
    rate_burst,
    together,
)
from tribulation.harness.nemesis.topology.link_effects import joined, shapes_of
from tribulation.harness.user_files.quantities import format_bps, parse_bps

MS = 10**6
PEER = bytes([10, 0, 0, 1])
CONTROL = ["10.0.0.254", 22]


def links(seed: int = 7, **shape: Any) -> tuple[Links, Link]:
    made = Links(Random(seed))
    made.change({"n1": {"addresses": ["10.0.0.1", "fe80::1%eth0"], **shape}})
    link = made.of(PEER)
    assert link is not None
    return made, link


# Fates


@given(st.integers(0, 2**32), st.integers(0, 100 * MS), st.integers(0, 100 * MS))
def test_no_packet_is_early_or_later_than_the_jitter_allows(seed: int, delay_ns: int, jitter_ns: int) -> None:
    made, link = links(seed, delay_ns=delay_ns, jitter_ns=jitter_ns)
    for now_ns in range(0, 50 * MS, MS):
        at_ns = made.fate(link, 100, now_ns).at_ns
        assert at_ns is not None and delay_ns <= at_ns - now_ns <= delay_ns + jitter_ns


@given(st.integers(0, 2**32), st.sampled_from([10_000, 200_000, 900_000]))
@settings(max_examples=20)
def test_chances_are_met_as_often_as_asked(seed: int, ppm: int) -> None:
    made, link = links(seed, loss_ppm=ppm)
    lost = sum(made.fate(link, 100, 0).at_ns is None for _ in range(2000))
    least, most = likely(2000, ppm / 1e6)
    assert least <= lost <= most and made.counters()["n1"] == {"seen": 2000, "dropped": lost, "rewritten": 0, "held": 0}
    made, link = links(seed, corrupt_ppm=ppm, reorder_ppm=ppm)
    fates = [made.fate(link, 100, 0) for _ in range(2000)]
    assert least <= sum(bool(fate.rewrites) for fate in fates) <= most
    late = [fate.at_ns for fate in fates if fate.at_ns]
    assert least <= len(late) <= most and OVERTAKEN_NS[0] <= min(late) and max(late) <= OVERTAKEN_NS[1]


def test_a_rate_spaces_packets_and_drops_what_would_wait_too_long() -> None:
    made, link = links(rate_bps=1_000_000)
    fates = [made.fate(link, 1250, 0).at_ns for _ in range(200)]
    assert fates[:100] == [number * 10 * MS for number in range(1, 101)] and fates[99] == BACKLOG_NS
    assert set(fates[100:]) == {None}
    assert made.fate(link, 1250, 2 * BACKLOG_NS).at_ns == 2 * BACKLOG_NS + 10 * MS, "an idle link saves nothing up"


def test_a_flap_is_down_for_the_first_half_of_each_period() -> None:
    made, link = links(flaps_ns=[100 * MS])
    down = [made.fate(link, 100, 0, now * MS).at_ns is None for now in range(0, 300, 10)]
    assert down == ([True] * 5 + [False] * 5) * 3


def test_a_clog_holds_everything_and_what_it_frees_is_in_order() -> None:
    made, link = links(clogged=True, loss_ppm=900_000, delay_ns=MS)
    for number in (3, 4, 8):
        assert made.fate(link, 100, 0).held
        link.held.append(number)
    assert made.change({"n1": {"addresses": ["10.0.0.1"], "clogged": True}}) == []
    assert made.change({"n1": {"addresses": ["10.0.0.1"], "loss_ppm": 10_000}}) == [3, 4, 8]
    assert made.change({}) == [] and made.of(PEER) is None


@given(st.binary(min_size=30, max_size=200), st.integers(0, 2**32), st.sampled_from([0x45, 0x46, 0x60]))
def test_one_bit_flips_and_none_of_the_ip_header(payload: bytes, seed: int, first: int) -> None:
    packet = bytes([first]) + payload
    changed = flipped(packet, Random(seed))
    header = (first & 15) * 4 if first >> 4 == 4 else 40
    different = [a ^ b for a, b in zip(packet, changed, strict=True)]
    assert sum(each.bit_count() for each in different) == (len(packet) > header)
    assert not any(different[:header])


# The kernel's messages


def message(protocol: int, payload: bytes) -> bytes:
    header = nfqueue._attribute(nfqueue.A_PACKET_HDR, struct.pack(">IHB", 77, protocol, 0))
    body = bytes(4) + header + nfqueue._attribute(99, b"odd") + nfqueue._attribute(nfqueue.A_PAYLOAD, payload)
    return nfqueue.HEADER.pack(nfqueue.HEADER.size + len(body), nfqueue.MSG_PACKET, 0, 1, 0) + body


def test_packets_of_both_families_are_read_and_their_length_is_the_whole_packets() -> None:
    four = bytes([0x45, 0]) + (1400).to_bytes(2, "big") + bytes(8) + PEER + bytes(48)
    packet = nfqueue.parse(message(nfqueue.IPV4, four))
    assert packet is not None and (packet.number, packet.source, packet.length) == (77, PEER, 1400)
    six = bytes([0x60, 0, 0, 0]) + (100).to_bytes(2, "big") + bytes(2) + bytes(range(16)) + bytes(16)
    packet = nfqueue.parse(message(nfqueue.IPV6, six))
    assert packet is not None and packet.source == bytes(range(16)) and packet.length == 140
    assert nfqueue.parse(b"") is None and nfqueue.parse(nfqueue.HEADER.pack(20, 2, 0, 1, 0) + bytes(4)) is None


# Rules and qdiscs


def test_control_is_let_be_before_anything_is_queued_copied_or_shaped() -> None:
    nft = queue_rules.nft_rules(["10.0.0.1", "fd00::1"], CONTROL)
    assert nft.startswith(f"add table inet {queue_rules.TABLE}\ndelete table"), "one transaction"
    assert nft.index("ip saddr 10.0.0.254 tcp dport 22 accept") < nft.index("icmpv6") < nft.index("queue num")
    four, six = (queue_rules.iptables_rules(v, [a], CONTROL) for v, a in ((4, "10.0.0.1"), (6, "fd00::1")))
    assert four.index("-s 10.0.0.254 -p tcp --dport 22 -j RETURN") < four.index("-s 10.0.0.1 -j NFQUEUE")
    assert six.index("--icmpv6-type 135 -j RETURN") < six.index("-s fd00::1 -j NFQUEUE") and "10.0.0.254" not in six
    copies = duplicates.rules({"10.0.0.1": 250_000, "fe80::1%eth0": 10_000}, ["fd00::254", 2222])
    assert "ip daddr 10.0.0.1 numgen random mod 1000000 < 250000 dup to 10.0.0.1" in copies
    assert copies.index("ip6 daddr fd00::254 tcp sport 2222 accept") < copies.index("ip6 daddr fe80::1 numgen")
    assert duplicates.rules({}, CONTROL) == ""
    breaking = connections.breaking(["10.0.0.1", "fd00::1"], CONTROL)[-1]
    assert breaking == "( dst 10.0.0.1 or dst [fd00::1] ) and not ( sport = :22 and dst 10.0.0.254 )"


def test_netem_is_a_class_for_each_peer_below_an_htb_that_lets_all_else_pass() -> None:
    shapes = {"n2": {"addresses": ["10.0.0.2", "fd00::2"], "loss_ppm": 50_000}, "n3": {"addresses": ["10.0.0.3"]}}
    lines = netem.plan("eth0", shapes, CONTROL)
    assert lines[0] == "qdisc replace dev eth0 root handle 7133: htb default 0"
    assert "match ip dst 10.0.0.254/32 match ip protocol 6 0xff match ip sport 22 0xffff flowid 7133:0" in lines[1]
    assert "qdisc add dev eth0 parent 7133:2 netem loss random 5% limit 131072" in lines
    assert [line.split()[-1] for line in lines if "dst fd00::2/128" in line or "10.0.0.3/32" in line] == [
        "7133:2",
        "7133:3",
    ]


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ({"delay_ns": 20 * MS}, "delay 20000000ns limit 131072"),
        ({"delay_ns": 5 * MS, "jitter_ns": 4 * MS}, "delay 7000000ns 2000000ns limit 131072"),
        ({"reorder_ppm": 100_000}, "delay 30000000ns reorder 90% limit 131072"),
        ({"corrupt_ppm": 25_000, "rate_bps": 1_200_000}, "corrupt 2.5% rate 1200000bit limit 100"),
    ],
)
def test_a_shape_in_netems_words(shape: dict[str, int], words: str) -> None:
    assert " ".join(netem.arguments(shape)) == words


# Several faults


def resolved(kind: str, **what: Any) -> Resolved:
    return Resolved(Intent(kind, kind, {}, 0, None, kind), what)


SHAPES = st.fixed_dictionaries(
    {},
    optional={
        "loss_ppm": st.integers(1, 900_000),
        "delay_ns": st.integers(1, 10**10),
        "rate_bps": st.integers(100_000, 10**7),
        "clogged": st.just(True),
        "flaps_ns": st.lists(st.integers(10, 99), min_size=1, max_size=2, unique=True).map(sorted),
    },
)


@given(SHAPES, SHAPES, SHAPES)
def test_the_order_in_which_faults_came_changes_no_link(a: Any, b: Any, c: Any) -> None:
    assert joined(a, b) == joined(b, a) and joined(joined(a, b), c) == joined(a, joined(b, c)) and joined(a, {}) == a


def test_what_faults_together_make_of_links() -> None:
    edges = [["n1", "n2"]]
    one = resolved("link", edges=edges, loss_ppm=10_000, delay_ns=5, rate_bps=100)
    two = resolved("link", edges=[*edges, ["n2", "n1"]], loss_ppm=30_000, delay_ns=7, rate_bps=300)
    more = (
        resolved("clog", edges=[["n2", "n1"]]),
        resolved("flap", edges=edges, period_ns=9),
        resolved("cut", edges=edges),
    )
    assert shapes_of([one, two, *more]) == {
        ("n1", "n2"): {"loss_ppm": 30_000, "delay_ns": 12, "rate_bps": 100, "flaps_ns": [9]},
        ("n2", "n1"): {"loss_ppm": 30_000, "delay_ns": 7, "rate_bps": 300, "clogged": True},
    }


# What a burst shows


def seen(came: int = 320, twice: int = 0, overtaken: int = 0, least_ns: int = 0, most_ns: int = MS) -> dict[str, int]:
    return {
        "came": came,
        "twice": twice,
        "overtaken": overtaken,
        "least_ns": least_ns,
        "most_ns": most_ns,
        "span_ns": 0,
        "error_ns": MS // 10,
    }


@pytest.mark.parametrize(
    "shape",
    [
        {"loss_ppm": 50_000},
        {"duplicate_ppm": 50_000},
        {"reorder_ppm": 100_000},
        {"corrupt_ppm": 50_000},
        {"delay_ns": MS},
        {"delay_ns": 5 * MS},
        {"jitter_ns": 5 * MS},
    ],
)
def test_a_whole_link_is_never_taken_for_a_shaped_one(shape: dict[str, int]) -> None:
    count = count_for([shape], 1)
    assert faults_of(shape, seen(count), count) == [next(iter(shape)).partition("_")[0]]
    assert is_whole(shape, seen(count), count) and faults_of({}, seen(count), count) == []
    assert faults_of(shape, None, 320) == ["silent"] and not is_whole(shape, None, 320)


def test_more_than_was_asked_for_is_wrong_as_well() -> None:
    assert faults_of({"loss_ppm": 50_000}, seen(came=304), 320) == []
    assert faults_of({"loss_ppm": 50_000}, seen(came=200), 320) == ["loss"]
    assert faults_of({"delay_ns": MS}, seen(came=300, least_ns=MS, most_ns=2 * MS), 320) == ["loss"]
    assert faults_of({"loss_ppm": 50_000}, seen(came=304, twice=100), 320) == ["duplicate"]
    assert not is_whole({"delay_ns": 5 * MS}, seen(least_ns=5 * MS), 320)


def test_many_links_show_a_rare_chance_together() -> None:
    shape = {"loss_ppm": 10_000}
    count = count_for([shape], 20)
    assert count_for([shape], 1) == 1600 and count_for([{"loss_ppm": 50_000}], 1) == 400 and count == 500
    assert faults_of(shape, seen(count), count) == [], "one alone cannot"
    assert odds_against(shape, together([seen(count)] * 4), 4 * count) == ["loss"]
    assert odds_against(shape, together([seen(count - 5)] * 4), 4 * count) == []


def test_a_long_link_does_not_pass_for_a_late_one() -> None:
    far = seen(least_ns=30 * MS, most_ns=31 * MS)
    assert faults_of({"delay_ns": 5 * MS}, far, 320) == [], "by itself it cannot be measured"
    assert not is_later(5 * MS, far, 30 * MS) and is_later(5 * MS, seen(least_ns=35 * MS), 30 * MS)
    assert is_whole({"delay_ns": 5 * MS}, far, 320, 30 * MS)
    assert not is_whole({"delay_ns": 5 * MS}, seen(least_ns=35 * MS, most_ns=36 * MS), 320, 30 * MS)


@pytest.mark.parametrize("rate_bps", [100_000, 1_000_000, 50_000_000])
def test_a_burst_that_is_faster_than_the_rate_is_reported(rate_bps: int) -> None:
    count, size = rate_burst(rate_bps)
    due_ns = (count - 1) * (size + 28) * 8 * 10**9 // rate_bps
    assert due_ns < BACKLOG_NS
    assert keeps_to_rate(rate_bps, {**seen(came=count), "span_ns": due_ns}, size)
    assert not keeps_to_rate(rate_bps, {**seen(came=count), "span_ns": due_ns // 2}, size)


def test_the_odds_are_those_of_the_binomial_distribution() -> None:
    from scipy.stats import binom

    for count, chance in ((64, 0.25), (320, 0.05), (1600, 0.01), (100, 0.9)):
        least, most = likely(count, chance)
        assert binom.cdf(least - 1, count, chance) < 1e-6 <= binom.cdf(least, count, chance)
        assert binom.sf(most, count, chance) < 1e-6 <= binom.sf(most - 1, count, chance)
    assert likely(10, 0.0) == (0, 0) and likely(10, 1.0) == (10, 10)


def test_arrivals_are_summed_up_and_old_bursts_forgotten() -> None:
    packets = [(0, 5, 100), (2, 7, 110), (1, 9, 120), (2, 8, 130)]
    assert summary(packets) == {
        "came": 3,
        "twice": 1,
        "overtaken": 1,
        "least_ns": 5,
        "median_ns": 7,
        "most_ns": 9,
        "span_ns": 30,
    }
    arrivals = Arrivals()
    with pytest.raises(ValueError, match="it was changed"):
        arrivals.note(b"TRIBB ", 0, ("n1",))


@given(st.integers(1, 10**9))
def test_rates_are_read_and_written_exactly(bps: int) -> None:
    assert parse_bps(format_bps(bps)) == bps


@pytest.mark.parametrize("text", ["5", 5, "-5mbit", "0.5bit", "", None, "5 mb"])
def test_what_is_no_rate_is_refused_with_what_would_do(text: Any) -> None:
    with pytest.raises(ValueError, match=r"10mbit|finer"):
        parse_bps(text)
