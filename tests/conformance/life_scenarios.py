"""Scenarios of a node's life: start, incarnations, time and timers, halt."""

from __future__ import annotations

from tribulation.node.core.interface.effects import Append, CancelTimer, Effect, Fsync, FsyncDir, SetTimer
from tribulation.node.core.interface.events import Connected, Start, TimerFired

from .scripting import done, script
from .suite import MS, Driver, Scenario, ScriptedCore


def start_carries_files_and_a_durable_incarnation(driver: Driver) -> None:
    """Incarnations count from 1, are stored before the core starts, and `Start` brings what the last one fsynced."""
    stored: list[int] = []

    def on_start(now: int, event: Start) -> list[Effect]:
        stored.append(driver.stored_incarnation())
        return [Append(1, "log", b"one"), Fsync(2, "log"), FsyncDir(3, after=(2,))]

    first = ScriptedCore(script(Start=on_start))
    driver.boot(first)
    driver.wait(lambda: 3 in done(first), "the first incarnation's writes")
    driver.crash()
    second = ScriptedCore(script(Start=on_start))
    driver.boot(second)
    driver.wait(lambda: len(stored) == 2, "the second start")
    starts = [first.events[0], second.events[0]]
    assert [start.incarnation for start in starts] == [1, 2]
    assert stored == [1, 2]
    assert starts[0].files == {}
    assert starts[1].files == {"log": b"one"}


def nothing_comes_before_start(driver: Driver) -> None:
    """Peers may dial as early as they like: the first step holds Start alone, and it comes once."""
    core = ScriptedCore(script())
    driver.boot(core)
    driver.peer("n2")
    driver.wait(lambda: bool(core.of(Connected)), "the peer's connection")
    assert isinstance(core.steps[0][1][0], Start)
    assert len(core.steps[0][1]) == 1
    assert len(core.of(Start)) == 1


def time_never_runs_backwards(driver: Driver) -> None:
    core = ScriptedCore(
        script(
            Start=lambda now, event: [SetTimer("tick", 1, now + MS)],
            TimerFired=lambda now, event: [SetTimer("tick", event.generation + 1, now + MS)],
        )
    )
    driver.boot(core)
    driver.wait(lambda: len(core.of(TimerFired)) >= 10, "ten ticks")
    times = [now for now, _ in core.steps]
    assert times == sorted(times)


def a_timer_fires_once_and_not_early(driver: Driver) -> None:
    core = ScriptedCore(script(Start=lambda now, event: [SetTimer("t", 7, now + 20 * MS)]))
    driver.boot(core)
    driver.wait(lambda: bool(core.of(TimerFired)), "the timer")
    driver.elapse(60 * MS)
    assert [(event.key, event.generation) for event in core.of(TimerFired)] == [("t", 7)]
    fired_at = next(now for now, events in core.steps if any(isinstance(e, TimerFired) for e in events))
    assert fired_at >= core.steps[0][0] + 20 * MS


def timers_fire_in_order_of_their_time(driver: Driver) -> None:
    core = ScriptedCore(
        script(
            Start=lambda now, event: [SetTimer(key, 1, now + ms * MS) for key, ms in (("c", 30), ("a", 10), ("b", 20))]
        )
    )
    driver.boot(core)
    driver.wait(lambda: len(core.of(TimerFired)) == 3, "three timers")
    assert [event.key for event in core.of(TimerFired)] == ["a", "b", "c"]


def a_timer_in_the_past_fires_in_a_later_step(driver: Driver) -> None:
    core = ScriptedCore(script(Start=lambda now, event: [SetTimer("past", 1, now - MS)]))
    driver.boot(core)
    driver.wait(lambda: bool(core.of(TimerFired)), "the overdue timer")
    assert not any(isinstance(event, TimerFired) for event in core.steps[0][1])


def setting_a_timer_replaces_it(driver: Driver) -> None:
    """Earlier to later and later to earlier: only the last generation ever fires."""
    core = ScriptedCore(
        script(
            Start=lambda now, event: [
                SetTimer("later", 1, now + 10 * MS),
                SetTimer("later", 2, now + 40 * MS),
                SetTimer("earlier", 1, now + 60_000 * MS),
                SetTimer("earlier", 2, now + 20 * MS),
            ]
        )
    )
    driver.boot(core)
    driver.wait(lambda: len(core.of(TimerFired)) >= 2, "both timers")
    driver.elapse(60 * MS)
    assert [(event.key, event.generation) for event in core.of(TimerFired)] == [("earlier", 2), ("later", 2)]


def a_cancelled_timer_never_fires_in_a_later_step(driver: Driver) -> None:
    """The race: both timers are due at one instant, and the first to be seen cancels the second and replaces the third.

    What was gathered into the same step may still be seen there; after that step the cancelled one is gone, and of the replaced
    one the new generation alone comes.
    """

    def on_timer(now: int, event: TimerFired) -> list[Effect]:
        if event.key == "first":
            return [CancelTimer("second"), SetTimer("third", 2, now + 5 * MS)]
        return []

    at = ("first", "second", "third")
    core = ScriptedCore(
        script(Start=lambda now, event: [SetTimer(key, 1, now + 10 * MS) for key in at], TimerFired=on_timer)
    )
    driver.boot(core)
    driver.wait(lambda: any(e.key == "third" and e.generation == 2 for e in core.of(TimerFired)), "the replacement")
    driver.elapse(30 * MS)
    cancelled_in = next(
        i for i, (_, events) in enumerate(core.steps) if any(getattr(e, "key", "") == "first" for e in events)
    )
    later = [e for _, events in core.steps[cancelled_in + 1 :] for e in events if isinstance(e, TimerFired)]
    assert [(event.key, event.generation) for event in later] == [("third", 2)]


def cancelling_an_unknown_timer_is_harmless(driver: Driver) -> None:
    core = ScriptedCore(
        script(Start=lambda now, event: [CancelTimer("none"), SetTimer("t", 1, now + MS), CancelTimer("t")])
    )
    driver.boot(core)
    driver.elapse(30 * MS)
    assert core.of(TimerFired) == []
    assert driver.exit_reason() is None


LIFE_SCENARIOS: list[Scenario] = [
    start_carries_files_and_a_durable_incarnation,
    nothing_comes_before_start,
    time_never_runs_backwards,
    a_timer_fires_once_and_not_early,
    timers_fire_in_order_of_their_time,
    a_timer_in_the_past_fires_in_a_later_step,
    setting_a_timer_replaces_it,
    a_cancelled_timer_never_fires_in_a_later_step,
    cancelling_an_unknown_timer_is_harmless,
]
