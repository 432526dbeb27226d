"""Scenarios of datagrams: they come from anybody, go to anybody, and nothing depends on them."""

from __future__ import annotations

from tribulation.node.core.interface.effects import Broadcast, Reply, SendDatagram
from tribulation.node.core.interface.events import Datagram

from .scripting import at_start, script
from .suite import Driver, Scenario, ScriptedCore


def a_datagram_comes_with_its_sender_who_can_be_answered(driver: Driver) -> None:
    core = ScriptedCore(script(Datagram=lambda now, e: [SendDatagram(e.host, e.port, b"you said " + e.data)]))
    driver.boot(core)
    station = driver.station()
    station.send(b"hello")
    driver.wait(lambda: station.received() == [b"you said hello"], "the answer")
    (heard,) = core.of(Datagram)
    assert (heard.host, heard.port, heard.data) == (*station.place, b"hello")
    assert heard.wall_ns > 0


def nothing_waits_for_a_datagram_that_goes_nowhere(driver: Driver) -> None:
    nowhere = [SendDatagram("127.0.0.1", 9, b"x"), SendDatagram("not.a.number", 9, b"x"), Broadcast(9, b"x")]
    core = ScriptedCore(at_start(*nowhere, Request=lambda now, e: [Reply(e.client, {"id": e.body["id"]})]))
    driver.boot(core)
    client = driver.client()
    client.send({"id": 7})
    driver.wait(lambda: client.replies() == [{"id": 7}], "a reply")
    assert driver.exit_reason() is None


DATAGRAM_SCENARIOS: list[Scenario] = [
    a_datagram_comes_with_its_sender_who_can_be_answered,
    nothing_waits_for_a_datagram_that_goes_nowhere,
]
