"""Bursts: as many operations as asked in them and between them, each client's drawn apart, and none so rare that it leaps over one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tribulation.harness.campaign.model import Campaign
from tribulation.harness.search.draw import searched_plan
from tribulation.harness.systems.base import Op
from tribulation.harness.workloads.generators import Context, Emit, Stagger, each
from tribulation.harness.workloads.register import Register, RegisterSpec
from tribulation.harness.workloads.surge import Surge, surge

SECOND = 1_000_000_000
BURSTS = {"every": "5s", "for": "1s", "rate": "1000/s"}
reads = each(lambda context: Op("read", "k"))


def times_of(spec: RegisterSpec, client: int, until_ns: int) -> list[int]:
    generator, times, count = Register("register", spec).load(), list[int](), 0
    while not times or times[-1] < until_ns:
        emit, generator = generator.next(Context(1, "register", client, spec.clients, count, 0))
        assert isinstance(emit, Emit)
        times.append(emit.at_ns)
        count += 1
    return times[:-1]


def test_rates_are_what_was_asked_in_bursts_and_between_them() -> None:
    spec = RegisterSpec.model_validate({"rate": "50/s", "clients": 10, "bursts": BURSTS})
    times = [at_ns for client in range(10) for at_ns in times_of(spec, client, 60 * SECOND)]
    inside = sum(at_ns % (5 * SECOND) >= 4 * SECOND for at_ns in times)
    assert 0.95 * 12_000 < inside < 1.05 * 12_000 and 0.9 * 2_400 < len(times) - inside < 1.1 * 2_400


@given(st.integers(0, 10**6), st.integers(1, 50))
def test_an_operation_in_a_hundred_seconds_does_not_leap_over_a_burst(seed: int, client: int) -> None:
    """Between bursts one client tries once in a hundred seconds, in them a hundred times a second."""
    generator = surge(100 * SECOND, SECOND // 100, 5 * SECOND, SECOND, reads)
    emit, _ = generator.next(Context(seed, "w", client, 50, 0, 0))
    assert emit is not None and emit.at_ns < 5 * SECOND


@given(st.integers(0, 10**6))
def test_times_grow_and_a_seed_means_the_same_again(seed: int) -> None:
    def drawn() -> list[int]:
        generator, times = surge(SECOND, SECOND // 100, 3 * SECOND, SECOND // 2, reads), list[int]()
        for count in range(60):
            emit, generator = generator.next(Context(seed, "w", 0, 1, count, 0))
            assert emit is not None
            times.append(emit.at_ns)
        return times

    assert drawn() == drawn() == sorted(drawn())


def test_without_bursts_nothing_is_drawn_otherwise_than_before() -> None:
    assert isinstance(Register("register", RegisterSpec()).load(), Stagger)
    assert isinstance(Register("register", RegisterSpec.model_validate({"bursts": BURSTS})).load(), Surge)


@pytest.mark.parametrize(
    ("bursts", "words"),
    [
        ({**BURSTS, "for": "5s"}, "leaves no calm"),
        ({**BURSTS, "rate": "100/s"}, "not above the rate of 400/s"),
        ({"every": "5s", "rate": "1000/s"}, "Field required"),
    ],
)
def test_bursts_that_are_none_are_refused(bursts: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        RegisterSpec.model_validate({"bursts": bursts})


def test_a_search_that_tries_less_keeps_bursts_as_much_denser() -> None:
    said = {"register": {"rate": "100/s", "bursts": {**BURSTS, "rate": "500/s"}}}
    campaign = Campaign.model_validate(
        {"name": "c", "hosts": {"provider": "sim"}, "duration": "30s", "workloads": [said]}
    )
    spec = searched_plan(campaign, 3).workloads["register"].spec
    assert spec.bursts is not None and spec.rate < 100 and spec.bursts.rate == pytest.approx(5 * spec.rate)
