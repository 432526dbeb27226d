"""Bounds by address: a client that keeps to the rate is never refused, one that does not gets the rate and the burst at most, and memory is bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tribulation.node.runtime.telemetry.rates import ADDRESSES, SECOND, Rates, origin


@given(st.lists(st.integers(0, SECOND), max_size=300), st.integers(1, 50), st.integers(1, 20))
def test_in_no_interval_more_than_the_burst_and_what_its_length_allows(
    gaps_ns: list[int], per_s: int, burst: int
) -> None:
    rates, now_ns, allowed_ns = Rates(per_s, burst), 0, []
    for gap_ns in gaps_ns:
        now_ns += gap_ns // 20
        if rates.allow("10.0.0.1", now_ns):
            allowed_ns.append(now_ns)
    for first, begin_ns in enumerate(allowed_ns):
        for last in range(first, len(allowed_ns)):
            length_ns = allowed_ns[last] - begin_ns
            assert last - first + 1 <= burst + length_ns // (SECOND // per_s) + 1


def test_whoever_keeps_to_the_rate_is_never_refused_however_others_rage() -> None:
    rates = Rates(10, 2)
    for tick in range(1000):
        now_ns = tick * SECOND // 10
        assert rates.allow("10.0.0.1", now_ns)
        for _ in range(20):
            rates.allow("10.0.0.2", now_ns)


def test_a_thousand_thousand_addresses_need_no_more_memory_than_some() -> None:
    rates = Rates(10, 2)
    for number in range(3 * ADDRESSES):
        rates.allow(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0)
    assert len(rates._due_ns) == ADDRESSES


def test_all_addresses_of_an_ipv6_network_are_one_origin() -> None:
    assert origin("fd77::1") == origin("fd77::2:3") == origin("fd77::9%eth0")
    assert origin("fd77::1") != origin("fd77:0:0:1::1")
    assert origin("10.0.0.1") == "10.0.0.1"
