"""Scenarios of the disk: order, `after`, failure."""

from __future__ import annotations

from tribulation.node.core.interface.effects import (
    Append,
    Effect,
    Fsync,
    FsyncDir,
    Halt,
    Remove,
    Rename,
    Reply,
    Send,
    SetTimer,
    Trace,
    Truncate,
    Write,
)
from tribulation.node.core.interface.events import Connected, Request, StorageDone, TimerFired
from tribulation.node.core.interface.messages import TimeoutNow

from .scripting import at_start, done, script
from .suite import MS, Driver, Scenario, ScriptedCore, needs


def one_files_operations_run_in_emitted_order(driver: Driver) -> None:
    core = ScriptedCore(
        at_start(
            Write(1, "f", b"zero"),
            Truncate(2, "f", 2),
            Append(3, "f", b"-one"),
            Append(4, "f", b"-two"),
            Truncate(5, "f", 8),
            Append(6, "f", b"!"),
            Fsync(7, "f"),
        )
    )
    driver.boot(core)
    driver.wait(lambda: 7 in done(core), "the fsync")
    assert driver.files()["f"] == b"ze-one-t!"
    assert [event.op for event in core.of(StorageDone)] == [1, 2, 3, 4, 5, 6, 7]
    assert set(done(core).values()) == {None}


def the_snapshot_dance_replaces_a_file(driver: Driver) -> None:
    """Write, fsync, rename over the old name, fsync the directory; then remove another file."""
    core = ScriptedCore(
        at_start(
            Write(1, "snapshot", b"old"),
            Write(2, "snapshot.tmp", b"new"),
            Fsync(3, "snapshot.tmp"),
            Rename(4, "snapshot.tmp", "snapshot", after=(3,)),
            FsyncDir(5, after=(4,)),
            Append(6, "gone", b"x"),
            Remove(7, "gone", after=(5, 6)),
            FsyncDir(8, after=(7,)),
        )
    )
    driver.boot(core)
    driver.wait(lambda: 8 in done(core), "the dance")
    assert set(done(core).values()) == {None}
    assert driver.files() == {"snapshot": b"new"}


def every_operation_is_answered_once(driver: Driver) -> None:
    """Fsyncs may be merged, yet each number is answered, and an fsync not before what it covers."""
    count = 40
    pairs: list[Effect] = []
    for i in range(count):
        pairs += [Append(2 * i, "log", b"%02d" % i), Fsync(2 * i + 1, "log")]
    core = ScriptedCore(at_start(*pairs))
    driver.boot(core)
    driver.wait(lambda: len(core.of(StorageDone)) >= 2 * count, "all operations")
    driver.elapse(20 * MS)
    order = [event.op for event in core.of(StorageDone)]
    assert sorted(order) == list(range(2 * count))
    assert all(order.index(2 * i) < order.index(2 * i + 1) for i in range(count))
    assert driver.files()["log"] == b"".join(b"%02d" % i for i in range(count))


def operation_numbers_may_come_in_any_order(driver: Driver) -> None:
    """A core may number an fsync before it knows what else will be written ahead of it."""
    core = ScriptedCore(
        at_start(
            Append(7, "log", b"a"),
            Fsync(2, "log"),
            Append(5, "log", b"b", after=(2,)),
            Fsync(1, "log"),
            Trace("append", {}, after=(1, 7)),
        )
    )
    driver.boot(core)
    driver.wait(lambda: len(done(core)) == 4, "all operations")
    driver.wait(lambda: bool(driver.traces()), "the trace line")
    assert [event.op for event in core.of(StorageDone)] == [7, 2, 5, 1]
    assert driver.files()["log"] == b"ab"


def dropped_trace_lines_leave_a_gap_in_the_numbers(driver: Driver) -> None:
    """As `docs/reference/traces.md` says, in every driver: a reader sees the gap, and by the event how many lines it is about."""
    core = ScriptedCore(
        at_start(Trace("append", {}), Trace("dropped", {"count": 3, "where": "held"}), Trace("quorum", {}))
    )
    driver.boot(core)
    driver.wait(lambda: len(driver.traces()) == 3, "the trace lines")
    assert [(line["event"], line["seq"]) for line in driver.traces()] == [("append", 0), ("dropped", 4), ("quorum", 5)]


def slow_storage_stops_neither_timers_nor_messages(driver: Driver) -> None:
    core = ScriptedCore(
        script(
            Start=lambda now, event: [Append(1, "log", b"x"), Fsync(2, "log"), SetTimer("t", 1, now + 10 * MS)],
            Received=lambda now, event: [Send(event.peer, TimeoutNow(2))],
        )
    )
    driver.hold_storage()
    driver.boot(core)
    peer = driver.peer("n2")
    driver.wait(lambda: bool(core.of(TimerFired)) and bool(core.of(Connected)), "timer and connection")
    peer.send(TimeoutNow(1))
    driver.wait(lambda: peer.received() == [TimeoutNow(2)], "the answer")
    assert 2 not in done(core)
    driver.release_storage()
    driver.wait(lambda: 2 in done(core), "the fsync")


def nothing_is_released_before_its_writes_are_durable(driver: Driver) -> None:
    """Fsync before send, reply and trace: while the disk is held only the unconditional ones come out."""

    def on_request(now: int, event: Request) -> list[Effect]:
        return [
            Append(1, "log", b"x"),
            Fsync(2, "log"),
            Send("n2", TimeoutNow(20), after=(2,)),
            Reply(event.client, {"id": event.body["id"], "status": "ok"}, after=(2,)),
            Trace("ack", {"index": 1}, after=(1, 2)),
            Send("n2", TimeoutNow(10)),
            Trace("append", {}),
        ]

    core = ScriptedCore(script(Request=on_request))
    driver.boot(core)
    peer, client = driver.peer("n2"), driver.client()
    driver.wait(lambda: bool(core.of(Connected)), "the peer's connection")
    driver.hold_storage()
    client.send({"id": 5})
    driver.wait(lambda: peer.received() == [TimeoutNow(10)], "the unconditional message")
    driver.elapse(50 * MS)
    assert client.replies() == []
    assert peer.received() == [TimeoutNow(10)]
    assert [line["event"] for line in driver.traces()] == ["append"]
    driver.release_storage()
    driver.wait(lambda: bool(client.replies()) and len(peer.received()) == 2, "what was held")
    assert client.replies() == [{"id": 5, "status": "ok"}]
    assert peer.received() == [TimeoutNow(10), TimeoutNow(20)]
    driver.wait(lambda: len(driver.traces()) == 2, "the held trace line")
    assert [(line["event"], line["seq"]) for line in driver.traces()] == [("append", 0), ("ack", 1)]


def storage_waits_for_storage(driver: Driver) -> None:
    """`after` orders operations of different files."""
    core = ScriptedCore(
        at_start(
            Append(1, "a", b"1"),
            Fsync(2, "a"),
            Append(3, "b", b"2", after=(2,)),
            Fsync(4, "b"),
            Append(5, "a", b"3", after=(4,)),
        )
    )
    driver.boot(core)
    driver.wait(lambda: 5 in done(core), "the last append")
    log = driver.storage_log()
    assert log.index(("fsync", "a")) < log.index(("append", "b")) < log.index(("fsync", "b"))
    assert log[-1] == ("append", "a")


def a_crash_releases_nothing(driver: Driver) -> None:
    """Killed between append and fsync: no reply, no message, ever; the next incarnation starts clean."""

    def on_request(now: int, event: Request) -> list[Effect]:
        return [Append(1, "log", b"x"), Fsync(2, "log"), Reply(event.client, {"id": 1, "status": "ok"}, after=(2,))]

    core = ScriptedCore(script(Request=on_request))
    driver.boot(core)
    client = driver.client()
    driver.hold_storage()
    client.send({"id": 1})
    driver.wait(lambda: bool(core.of(Request)), "the request")
    driver.crash()
    steps = len(core.steps)
    driver.release_storage()
    second = ScriptedCore(script())
    driver.boot(second)
    driver.elapse(50 * MS)
    assert client.replies() == []
    assert len(core.steps) == steps
    assert second.of(StorageDone) == []
    assert second.events[0].incarnation == 2


def an_fsync_error_is_reported_once_and_never_retried(driver: Driver) -> None:
    """What waited for it is never released; nothing after it on that file is attempted."""

    def on_request(now: int, event: Request) -> list[Effect]:
        return [
            Append(1, "log", b"x"),
            Fsync(2, "log"),
            Reply(event.client, {"id": 1, "status": "ok"}, after=(2,)),
            Append(3, "log", b"y"),
            Fsync(4, "log"),
        ]

    core = ScriptedCore(script(Request=on_request))
    driver.boot(core)
    client = driver.client()
    # Held first, so that both fsyncs are queued whatever the driver's speed; the first is not merged away or it is with its error.
    driver.hold_storage()
    driver.fail_storage("fsync", "log")
    client.send({"id": 1})
    driver.wait(lambda: bool(core.of(Request)), "the request")
    driver.release_storage()
    driver.wait(lambda: {2, 4} <= set(done(core)), "the outcome of both fsyncs")
    driver.elapse(30 * MS)
    assert done(core)[2] is not None
    assert done(core)[4] is not None
    assert driver.storage_log().count(("fsync", "log")) == 1
    assert client.replies() == []


@needs("fail-stop")
def after_a_failed_fsync_nothing_is_attempted(driver: Driver) -> None:
    """Not on other files either: the core halts, and until it does the disk is left as it is."""
    core = ScriptedCore(
        script(
            Request=lambda now, event: [
                Append(1, "log", b"x"),
                Fsync(2, "log"),
                Append(3, "other", b"y"),
                Fsync(4, "other"),
            ]
        )
    )
    driver.boot(core)
    driver.fail_storage("fsync", "log")
    driver.client().send({"id": 1})
    driver.wait(lambda: 4 in done(core), "all outcomes")
    assert [done(core)[op] is None for op in (1, 2, 3, 4)] == [True, False, False, False]
    assert "other" not in driver.files()


def a_failed_append_fails_what_waits_for_it(driver: Driver) -> None:
    core = ScriptedCore(
        script(
            Request=lambda now, event: [
                Append(1, "log", b"x"),
                Fsync(2, "log"),
                Append(3, "other", b"y", after=(2,)),
                Reply(event.client, {"id": 1, "status": "ok"}, after=(3,)),
            ]
        )
    )
    driver.boot(core)
    client = driver.client()
    driver.fail_storage("append", "log")
    client.send({"id": 1})
    driver.wait(lambda: 3 in done(core), "the outcome")
    assert all(done(core)[op] is not None for op in (1, 2, 3))
    assert "other" not in driver.files()
    assert client.replies() == []


def halt_stops_the_node_at_once(driver: Driver) -> None:
    """Effects before the halt are done, effects after it are not, and no step follows."""
    core = ScriptedCore(
        script(
            Request=lambda now, event: [
                Trace("halt", {"reason": "tested"}),
                Halt("tested\nhint: none"),
                Reply(event.client, {"id": 1, "status": "ok"}),
                Trace("after", {}),
            ]
        )
    )
    driver.boot(core)
    client = driver.client()
    client.send({"id": 1})
    driver.wait(lambda: driver.exit_reason() == "halt", "the halt")
    steps = len(core.steps)
    driver.elapse(30 * MS)
    assert len(core.steps) == steps
    assert client.replies() == []
    assert [line["event"] for line in driver.traces()] == ["halt"]


STORAGE_SCENARIOS: list[Scenario] = [
    one_files_operations_run_in_emitted_order,
    the_snapshot_dance_replaces_a_file,
    every_operation_is_answered_once,
    operation_numbers_may_come_in_any_order,
    dropped_trace_lines_leave_a_gap_in_the_numbers,
    slow_storage_stops_neither_timers_nor_messages,
    nothing_is_released_before_its_writes_are_durable,
    storage_waits_for_storage,
    a_crash_releases_nothing,
    an_fsync_error_is_reported_once_and_never_retried,
    after_a_failed_fsync_nothing_is_attempted,
    a_failed_append_fails_what_waits_for_it,
    halt_stops_the_node_at_once,
]
