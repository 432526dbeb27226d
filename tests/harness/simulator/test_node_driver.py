"""The driver's side of the contract with a core, one story each, on scripted cores."""

from __future__ import annotations

import time

import pytest

from tribulation.harness.simulator.cluster.node import Process
from tribulation.harness.simulator.errors import FenceError, SimulationError
from tribulation.harness.simulator.options import MILLISECOND, SECOND
from tribulation.node.core.interface.effects import (
    Append,
    CancelTimer,
    Fsync,
    FsyncDir,
    Halt,
    Rename,
    Send,
    SetTimer,
    Trace,
    Write,
)
from tribulation.node.core.interface.events import Connected, Disconnected, Received, Start, StorageDone, TimerFired
from tribulation.node.core.interface.messages import TimeoutNow

from .scripted import events_of, scripted_cluster


def on(kind, effects):
    return lambda node, now, event: (
        list(effects(now) if callable(effects) else effects) if isinstance(event, kind) else []
    )


def test_traces_wait_for_the_fsync_they_name_and_carry_the_common_fields():
    effects = [
        Append(1, "log", b"x"),
        Fsync(2, "log"),
        Trace("durable", {"index": 1}, after=(2,)),
        Trace("append", {"entries": []}),
    ]
    cluster, log = scripted_cluster(on(Start, effects))
    cluster.run_until(10 * MILLISECOND)
    first, second = cluster.traces["n1"]
    assert (first["event"], first["seq"], first["incarnation"], first["node"]) == ("append", 0, 1, "n1")
    assert (second["event"], second["index"], second["seq"]) == ("durable", 1, 1)
    assert second["mono_ns"] > first["mono_ns"]
    assert [(done.op, done.error) for done in events_of(log, "n1", StorageDone)] == [(1, None), (2, None)]


def test_nothing_that_waits_for_a_failed_fsync_is_released_and_nothing_later_succeeds():
    effects = [
        Append(1, "log", b"x"),
        Fsync(2, "log"),
        Trace("late", after=(2,)),
        Append(3, "log", b"y"),
        Fsync(4, "log"),
    ]
    cluster, log = scripted_cluster(on(Start, effects))
    cluster.schedule(1, cluster.fail_next_fsync, "n1")
    cluster.nodes["n1"].storage.fail_next_fsync()
    cluster.run_until(SECOND)
    assert cluster.traces["n1"] == []
    errors = {done.op: done.error for done in events_of(log, "n1", StorageDone)}
    assert errors[1] is None and errors[2] == "EIO" and "not attempted" in errors[3] and "not attempted" in errors[4]


def test_operations_of_one_file_keep_their_order_and_rename_waits_for_both_names():
    effects = [
        Write(1, "new", b"2"),
        Fsync(2, "new"),
        Rename(3, "new", "cur"),
        FsyncDir(4, after=(3,)),
        Append(5, "cur", b"!"),
    ]
    cluster, log = scripted_cluster(on(Start, effects))
    cluster.run_until(SECOND)
    assert cluster.nodes["n1"].disk.files() == {"cur": b"2!"}
    ends = [done.op for done in events_of(log, "n1", StorageDone)]
    assert ends.index(1) < ends.index(2) < ends.index(3) < ends.index(4) and ends.index(3) < ends.index(5)


def test_an_effect_that_waits_for_an_operation_never_emitted_is_a_broken_contract():
    cluster, _ = scripted_cluster(on(Start, [Trace("never", after=(9,))]))
    with pytest.raises(AssertionError, match="operation 9"):
        cluster.run_until(SECOND)


def test_a_replaced_or_cancelled_timer_may_fire_late_but_never_unmarked():
    """A racing loop may deliver a stale generation; the latest one always comes, once, not before its time."""
    due = {}

    def script(node, now, event):
        if isinstance(event, Start):
            due["t"] = now + 20 * MILLISECOND
            return [SetTimer("t", g, now + g * 10 * MILLISECOND) for g in (1, 2)] + [
                SetTimer("c", 1, now + MILLISECOND),
                CancelTimer("c"),
            ]
        return []

    cluster, log = scripted_cluster(script, stale_timer_ppm=0)
    cluster.run_until(SECOND)
    assert [(e.key, e.generation) for e in events_of(log, "n1", TimerFired)] == [("t", 2)]
    assert next(now for _, now, e in log if isinstance(e, TimerFired)) >= due["t"]
    cluster, log = scripted_cluster(script, stale_timer_ppm=1_000_000)
    cluster.run_until(SECOND)
    assert sorted((e.key, e.generation) for e in events_of(log, "n1", TimerFired)) == [("c", 1), ("t", 1), ("t", 2)]


def test_a_killed_process_leaves_its_page_cache_and_a_power_loss_does_not():
    def script(node, now, event):
        return [Append(1, "log", b"x" * 100)] if isinstance(event, Start) and event.incarnation == 1 else []

    cluster, log = scripted_cluster(script)
    cluster.run_until(SECOND)
    cluster.kill("n1")
    cluster.start("n1")
    cluster.run_until(2 * SECOND)
    assert events_of(log, "n1", Start)[1].files == {"log": b"x" * 100}
    lost = 0
    for seed in range(20):
        cluster, log = scripted_cluster(script, seed=seed)
        cluster.run_until(SECOND)
        cluster.power_loss("n1")
        cluster.start("n1")
        cluster.run_until(2 * SECOND)
        lost += events_of(log, "n1", Start)[1].files != {"log": b"x" * 100}
    assert lost >= 10


def test_what_a_boot_reads_from_the_page_cache_of_a_killed_process_is_not_durable():
    """Kill between append and fsync, start, power loss: the second boot saw bytes that the third does not."""

    def script(node, now, event):
        return [Append(1, "log", b"x" * 100)] if isinstance(event, Start) and event.incarnation == 1 else []

    third = []
    for seed in range(20):
        cluster, log = scripted_cluster(script, seed=seed)
        cluster.run_until(SECOND)
        for end in (cluster.kill, cluster.power_loss):
            end("n1")
            cluster.start("n1")
            cluster.run_until(cluster.now_ns + SECOND)
        starts = events_of(log, "n1", Start)
        assert starts[1].files == {"log": b"x" * 100}
        third.append(starts[2].files)
    assert third.count({"log": b"x" * 100}) < 10 and {} in third


def test_a_paused_process_takes_everything_in_one_turn_when_it_goes_on():
    cluster, log = scripted_cluster(
        on(Start, lambda now: [SetTimer("a", 1, now + SECOND), SetTimer("b", 1, now + 2 * SECOND)])
    )
    cluster.run_until(MILLISECOND)
    cluster.pause("n1")
    cluster.run_until(5 * SECOND)
    assert events_of(log, "n1", TimerFired) == [] and cluster.process("n1") is Process.PAUSED
    cluster.resume("n1")
    cluster.run_until(6 * SECOND)
    times = {now for _, now, event in log if isinstance(event, TimerFired)}
    assert len(times) == 1 and len(events_of(log, "n1", TimerFired)) == 2


def test_halt_ends_the_process_and_its_connections():
    def script(node, now, event):
        if node == "n2" and isinstance(event, Connected):
            return [SetTimer("end", 1, now + SECOND)]
        return [Halt("disk failed")] if isinstance(event, TimerFired) else []

    cluster, log = scripted_cluster(script, ("n1", "n2"))
    cluster.run_until(3 * SECOND)
    assert cluster.process("n2") is Process.HALTED and cluster.nodes["n2"].halt_reason == "disk failed"
    assert len(events_of(log, "n1", Disconnected)) == 1
    cluster.start("n2")
    cluster.run_until(4 * SECOND)
    assert len(events_of(log, "n1", Connected)) == 2


def test_messages_of_one_connection_arrive_in_order_through_the_codec():
    def script(node, now, event):
        return [Send("n2", TimeoutNow(i)) for i in range(50)] if node == "n1" and isinstance(event, Connected) else []

    cluster, log = scripted_cluster(script, ("n1", "n2"), codec_one_in=1)
    cluster.run_until(SECOND)
    assert [event.message.term for event in events_of(log, "n2", Received)] == list(range(50))


def test_a_core_that_raises_is_reported_with_its_place():
    def script(node, now, event):
        raise KeyError("boom")

    cluster, _ = scripted_cluster(script)
    with pytest.raises(SimulationError, match=r"core of n1 raised KeyError.*incarnation 1"):
        cluster.run_until(SECOND)


def test_core_code_that_reads_a_clock_is_stopped_and_others_are_not():
    def read_clock(node, now, event):
        return [Trace("time", {"now": time.monotonic_ns()})]

    cluster, _ = scripted_cluster(read_clock)
    cluster.run_until(SECOND)
    assert len(cluster.traces["n1"]) == 1

    code = "def script(node, now, event):\n    import time\n    return time.monotonic_ns()\n"
    module = {"__name__": "tribulation.node.core.leaky"}
    exec(code, module)
    cluster, _ = scripted_cluster(module["script"])
    with pytest.raises(FenceError, match=r"node\.core\.leaky called time\.monotonic_ns"):
        cluster.run_until(SECOND)
    assert time.monotonic_ns.__module__ == "time", "the fence is taken down again"
