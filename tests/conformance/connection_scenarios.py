"""Scenarios of peers and clients: connections that come, break and go silent."""

from __future__ import annotations

from tribulation.node.core.interface.effects import Reply, Send, SetTimer
from tribulation.node.core.interface.events import ClientGone, Connected, DialRefused, Disconnected, Received, Request
from tribulation.node.core.interface.messages import InstallSnapshot, TimeoutNow

from .scripting import at_start, script
from .suite import MS, NODE, Driver, Scenario, ScriptedCore, needs


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


def a_reset_connection_is_reported_and_made_again(driver: Driver) -> None:
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


def a_peer_that_ended_refuses_connections(driver: Driver) -> None:
    """Its end is known at once from two signs: the connection is gone, and another is refused."""
    core = ScriptedCore(script())
    driver.boot(core)
    peer = driver.peer("n2")
    driver.wait(lambda: bool(core.of(Connected)), "the connection")
    before = len(core.events)
    peer.die()
    driver.wait(lambda: DialRefused("n2") in core.events[before:], "the refusal")
    signs = [event for event in core.events[before:] if getattr(event, "peer", None) == "n2"]
    assert signs[:2] == [Disconnected("n2"), DialRefused("n2")]


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
            Start=lambda now, event: [SetTimer("flood", 1, now + 10 * MS)],
            TimerFired=lambda now, event: [
                SetTimer("flood", 1, now + 10 * MS),
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
    # Messages may be lost at any time, also between healthy nodes of a machine that is busy: ask again, as a core would.
    for _ in range(50):
        healthy.send(TimeoutNow(1))
        driver.elapse(100 * MS)
        if TimeoutNow(2) in healthy.received():
            break
    assert TimeoutNow(2) in healthy.received(), "the healthy peer got no answer"
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


def requests_of_two_clients_are_distinguished(driver: Driver) -> None:
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


CONNECTION_SCENARIOS: list[Scenario] = [
    messages_travel_both_ways_between_known_peers,
    a_send_to_an_absent_peer_is_lost_quietly,
    a_reset_connection_is_reported_and_made_again,
    a_peer_that_ended_refuses_connections,
    silence_alone_gives_a_peer_away,
    a_half_open_peer_is_found_out_and_harms_nobody,
    a_client_that_leaves_is_reported_and_its_replies_dropped,
    requests_of_two_clients_are_distinguished,
]
