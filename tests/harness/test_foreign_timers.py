"""Timers that users' code sets: none ends the process, each that fires is named, and none is left behind."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from tribulation.harness.failures.bounded_run import LateError, at_most
from tribulation.harness.foreign import contained, fired_timers, noted_timers


@pytest.fixture(autouse=True)
def no_others() -> Iterator[None]:
    """The time limit of tests is such a timer."""
    left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
    handler = signal.signal(signal.SIGALRM, signal.SIG_DFL)
    fired_timers()
    yield
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, left)


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in (signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF)]


@pytest.mark.parametrize("default", [False, True])
def test_a_timer_is_noted_and_the_block_goes_on(default: bool) -> None:
    before = handlers()
    with contained():
        if default:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        time.sleep(0.2)
    said = fired_timers()
    assert said is not None and "SIGALRM" in said and "hint:" in said
    assert fired_timers() is None and handlers() == before


def test_what_is_left_running_is_ended_with_the_block_and_its_handler_too() -> None:
    before = handlers()
    with contained():
        signal.signal(signal.SIGALRM, lambda number, frame: 1 / 0)
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    time.sleep(0.15)
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0 and handlers() == before


def test_our_own_deadline_around_it_holds() -> None:
    with pytest.raises(LateError), at_most(time_s=0.1), contained():
        time.sleep(20)
    with at_most(time_s=20):
        with noted_timers():
            pass
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 20
    assert fired_timers() is None
