"""The scenarios of the suite, each a literal story: what the core asks for, what the world does, what the core must see."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from node.core.effects import (
    Append,
    CancelTimer,
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
from node.core.events import (
    ClientGone,
    Connected,
    Disconnected,
    Event,
    Received,
    Request,
    Start,
    StorageDone,
    TimerFired,
)
from node.core.messages import InstallSnapshot, TimeoutNow

from .suite import MS, NODE, Driver, Scenario, Script, ScriptedCore, needs


def script(**handlers: Callable[..., Sequence[Effect]]) -> Script:
    """A script from one handler a kind of event, by its class's name: `script(Start=lambda now, event: [...])`."""

    def run(now_ns: int, event: Event) -> Sequence[Effect]:
        handler = handlers.get(type(event).__name__)
        return [] if handler is None else handler(now_ns, event)

    return run


def at_start(*effects: Effect, **handlers: Callable[..., Sequence[Effect]]) -> Script:
    return script(Start=lambda now, event: list(effects), **handlers)


def done(core: ScriptedCore) -> dict[int, str | None]:
    return {event.op: event.error for event in core.of(StorageDone)}


# Start and incarnations


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


# Timers


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


# Storage


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


# `after`


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


# Failure


def an_fsync_error_is_told_once_and_never_retried(driver: Driver) -> None:
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


# Peers and clients


def messages_travel_both_ways_between_known_peers(driver: Driver) -> None:
    core = ScriptedCore(script(Received=lambda now, event: [Send(event.peer, TimeoutNow(event.message.term + 1))]))
    driver.boot(core)
    peers = [driver.peer(name) for name in ("n2", "n3")]
    driver.wait(lambda: {event.peer for event in core.of(Connected)} == {"n2", "n3"}, "both connections")
    for peer in peers:
        peer.send(TimeoutNow(1))
    driver.wait(lambda: all(peer.received() == [TimeoutNow(2)] for peer in peers), "both answers")
    assert sorted(event.peer for event in core.of(Received)) == ["n2", "n3"]


def a_send_to_an_absent_peer_is_lost_quietly(driver: Driver) -> None:
    core = ScriptedCore(
        at_start(Send("n3", TimeoutNow(1)), Request=lambda now, e: [Reply(e.client, {"id": e.body["id"]})])
    )
    driver.boot(core)
    client = driver.client()
    client.send({"id": 9})
    driver.wait(lambda: client.replies() == [{"id": 9}], "a reply")
    assert driver.exit_reason() is None


def a_reset_connection_is_told_and_made_again(driver: Driver) -> None:
    core = ScriptedCore(script(Received=lambda now, event: [Send(event.peer, TimeoutNow(event.message.term + 1))]))
    driver.boot(core)
    peer = driver.peer("n2")
    driver.wait(lambda: len(core.of(Connected)) == 1, "the first connection")
    peer.reset()
    driver.wait(lambda: bool(core.of(Disconnected)), "the loss")
    driver.wait(lambda: len(core.of(Connected)) == 2, "the new connection")
    peer.send(TimeoutNow(7))
    driver.wait(lambda: TimeoutNow(8) in peer.received(), "the answer over it")
    changes = [type(event) for event in core.events if isinstance(event, (Connected, Disconnected))]
    assert changes == [Connected, Disconnected, Connected]


@needs("half-open", "pings")
def silence_alone_gives_a_peer_away(driver: Driver) -> None:
    """Nothing is sent to the stalled peer, so no queue fills up and no write fails: that it says nothing must be enough."""
    core = ScriptedCore(script())
    driver.boot(core)
    peer = driver.peer("n2")
    driver.wait(lambda: bool(core.of(Connected)), "the connection")
    driver.elapse(1500 * MS)
    assert core.of(Disconnected) == [], "an idle peer that answers is kept"
    peer.stall()
    driver.wait(lambda: bool(core.of(Disconnected)), "the silent peer given up")
    peer.unstall()
    driver.wait(lambda: len(core.of(Connected)) == 2, "the peer's return")


@needs("half-open")
def a_half_open_peer_is_found_out_and_harms_nobody(driver: Driver) -> None:
    """A peer that goes silent without closing is given up; what is sent to it meanwhile is lost, memory is not; others go on."""
    text = "x" * 100_000
    core = ScriptedCore(
        script(
            Start=lambda now, event: [SetTimer("flood", 1, now + 5 * MS)],
            TimerFired=lambda now, event: [
                SetTimer("flood", 1, now + 5 * MS),
                Send("n2", InstallSnapshot(1, 1, 1, 0, 100_000, text)),
            ],
            Received=lambda now, event: [Send(event.peer, TimeoutNow(event.message.term + 1))],
        )
    )
    driver.boot(core)
    stalled, healthy = driver.peer("n2"), driver.peer("n3")
    driver.wait(lambda: {event.peer for event in core.of(Connected)} == {"n2", "n3"}, "both connections")
    stalled.stall()
    driver.wait(lambda: any(event.peer == "n2" for event in core.of(Disconnected)), "the silent peer given up")
    healthy.send(TimeoutNow(1))
    driver.wait(lambda: TimeoutNow(2) in healthy.received(), "the healthy peer's answer")
    before = len([event for event in core.of(Connected) if event.peer == "n2"])
    stalled.unstall()
    driver.wait(lambda: len([e for e in core.of(Connected) if e.peer == "n2"]) > before, "the peer's return")


def a_client_that_leaves_is_reported_and_its_replies_dropped(driver: Driver) -> None:
    core = ScriptedCore(
        script(
            Request=lambda now, event: [] if event.body["id"] == 1 else [Reply(event.client, {"id": event.body["id"]})],
            ClientGone=lambda now, event: [Reply(event.client, {"id": 1, "status": "ok"})],
        )
    )
    driver.boot(core)
    leaver, other = driver.client(), driver.client()
    leaver.send({"id": 1})
    driver.wait(lambda: len(core.of(Request)) == 1, "the request")
    leaver.leave()
    driver.wait(lambda: bool(core.of(ClientGone)), "the departure")
    assert core.of(ClientGone)[0].client == core.of(Request)[0].client
    other.send({"id": 2})
    driver.wait(lambda: other.replies() == [{"id": 2}], "the other's reply")


def requests_of_two_clients_are_told_apart(driver: Driver) -> None:
    core = ScriptedCore(
        script(Request=lambda now, event: [Reply(event.client, {"id": event.body["id"], "node": NODE})])
    )
    driver.boot(core)
    clients = [driver.client() for _ in range(3)]
    for number, client in enumerate(clients):
        for request in range(5):
            client.send({"id": 10 * number + request})
    driver.wait(lambda: all(len(client.replies()) == 5 for client in clients), "all replies")
    for number, client in enumerate(clients):
        assert [reply["id"] for reply in client.replies()] == [10 * number + request for request in range(5)]
    assert len({event.client for event in core.of(Request)}) == 3


SCENARIOS: list[Scenario] = [
    start_carries_files_and_a_durable_incarnation,
    nothing_comes_before_start,
    time_never_runs_backwards,
    a_timer_fires_once_and_not_early,
    timers_fire_in_order_of_their_time,
    a_timer_in_the_past_fires_in_a_later_step,
    setting_a_timer_replaces_it,
    a_cancelled_timer_never_fires_in_a_later_step,
    cancelling_an_unknown_timer_is_harmless,
    one_files_operations_run_in_emitted_order,
    the_snapshot_dance_replaces_a_file,
    every_operation_is_answered_once,
    operation_numbers_may_come_in_any_order,
    slow_storage_stops_neither_timers_nor_messages,
    nothing_is_released_before_its_writes_are_durable,
    storage_waits_for_storage,
    a_crash_releases_nothing,
    an_fsync_error_is_told_once_and_never_retried,
    after_a_failed_fsync_nothing_is_attempted,
    a_failed_append_fails_what_waits_for_it,
    halt_stops_the_node_at_once,
    messages_travel_both_ways_between_known_peers,
    a_send_to_an_absent_peer_is_lost_quietly,
    a_reset_connection_is_told_and_made_again,
    silence_alone_gives_a_peer_away,
    a_half_open_peer_is_found_out_and_harms_nobody,
    a_client_that_leaves_is_reported_and_its_replies_dropped,
    requests_of_two_clients_are_told_apart,
]
