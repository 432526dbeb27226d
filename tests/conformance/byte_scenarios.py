"""Scenarios for drivers whose frames are real bytes: partial reads, oversized, foreign and malformed frames."""

from __future__ import annotations

from tribulation.node.core.interface.effects import Reply
from tribulation.node.core.interface.events import ClientGone, Request
from tribulation.node.wire import HEADER, MAX_PAYLOAD, Kind, encode

from .scripting import script
from .suite import Driver, Scenario, ScriptedCore, needs


def echo_core() -> ScriptedCore:
    return ScriptedCore(
        script(Request=lambda now, event: [Reply(event.client, {"id": event.body["id"], "status": "ok"})])
    )


@needs("bytes")
def a_request_may_arrive_byte_by_byte_or_with_others(driver: Driver) -> None:
    driver.boot(echo_core())
    client = driver.client()
    for byte in encode(Kind.REQUEST, {"id": 1}):
        client.send_bytes(bytes([byte]))
    driver.wait(lambda: len(client.replies()) == 1, "the reply to the trickled request")
    client.send_bytes(b"".join(encode(Kind.REQUEST, {"id": i}) for i in range(2, 50)))
    driver.wait(lambda: len(client.replies()) == 49, "the replies to the crowd")
    assert [reply["id"] for reply in client.replies()] == list(range(1, 50))


@needs("bytes")
def the_largest_request_passes_and_a_larger_is_refused(driver: Driver) -> None:
    core = echo_core()
    driver.boot(core)
    client = driver.client()
    head = b'{"id":1,"pad":"'
    payload = head + b"x" * (MAX_PAYLOAD - len(head) - 2) + b'"}'
    client.send_bytes(HEADER.pack(b"TR", 1, Kind.REQUEST, len(payload)) + payload)
    driver.wait(lambda: len(client.replies()) == 1, "the reply to a request of exactly 1 MiB")
    client.send_bytes(HEADER.pack(b"TR", 1, Kind.REQUEST, MAX_PAYLOAD + 1))
    driver.wait(client.closed, "the end of the connection")
    assert [error["error"] for error in client.errors()] == ["too-large"]
    assert len(core.of(Request)) == 1


BAD_FRAMES = {
    "bad-magic": b"GET / HTTP/1.1\r\n\r\n",
    "bad-version": HEADER.pack(b"TR", 2, Kind.REQUEST, 2) + b"{}",
    "bad-kind": HEADER.pack(b"TR", 1, 99, 2) + b"{}",
    "not-json": HEADER.pack(b"TR", 1, Kind.REQUEST, 5) + b'{"id"',
    "bad-shape": HEADER.pack(b"TR", 1, Kind.REQUEST, 2) + b"[]",
    "unexpected-kind": encode(Kind.REPLY, {"id": 1}),
}


@needs("bytes")
def a_bad_frame_closes_its_own_connection_only(driver: Driver) -> None:
    core = echo_core()
    driver.boot(core)
    bystander = driver.client()
    for reason, data in BAD_FRAMES.items():
        offender = driver.client()
        offender.send_bytes(data)
        driver.wait(offender.closed, f"the end of the connection that sent {reason}")
        (error,) = offender.errors()
        assert error["error"] == reason
        assert error["message"] and error["hint"]
    driver.wait(lambda: len(core.of(ClientGone)) == len(BAD_FRAMES), "the departures")
    bystander.send({"id": 1})
    driver.wait(lambda: bystander.replies() == [{"id": 1, "status": "ok"}], "the bystander's reply")


BYTE_SCENARIOS: list[Scenario] = [
    a_request_may_arrive_byte_by_byte_or_with_others,
    the_largest_request_passes_and_a_larger_is_refused,
    a_bad_frame_closes_its_own_connection_only,
]
