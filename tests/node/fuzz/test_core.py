"""Whatever clients, other members and datagrams say, no core raises, its invariants hold, and an honest client is answered."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.node.core.solo import Solo
from tribulation.node.core.interface.datagrams import encode_datagram
from tribulation.node.core.interface.events import Datagram, Received, Request
from tribulation.node.core.interface.messages import from_wire
from tribulation.node.runtime.telemetry.recording import effects_crc
from tribulation.node.wire import Kind, encode

from . import values

FUZZ = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "30")), deadline=None, suppress_health_check=list(HealthCheck)
)
PARTS: dict[str, Any] = {
    "membership": {"broadcast": False},
    "agents": {},
    "memory": {"bandwidth_bps": 64_000, "sync": "continuous"},
}


def a_node(nodes: int) -> Solo:
    """A leader with all parts and some state: members, an agent, tasks, keys and records."""
    solo = Solo(nodes=nodes, **PARTS)
    if nodes == 1:
        solo.pass_time(3000)
    else:
        solo.lead()
    return solo


def honest(solo: Solo) -> None:
    """An honest client is served. Others may hear at the same time of what they wait for."""
    assert solo.halted is None

    def ask(**body: Any) -> dict[str, Any]:
        (answer,) = [reply for reply in solo.ask(**{"id": "honest", **body}) if reply["id"] == "honest"]
        return answer

    status = ask(admin="status")
    assert status["status"] == "ok"
    if status["role"] == "leader" and len(solo.config.peers) == 1:
        session = ask(open=True)["session"]
        assert ask(session=session, seq=1, ops=[["w", "honest", 1]])["status"] == "ok"
    assert solo.core.counters()["commands_failed"] == 0


def carried(solo: Solo, effects: list[Any]) -> None:
    """What the core asks for can be written out, as the runtime does."""
    effects_crc(effects)
    for body in solo.replies:
        assert len(encode(Kind.REPLY, body)) < 1 << 20
    solo.replies = []


@FUZZ
@given(st.lists(values.REQUESTS, min_size=1, max_size=12))
def test_requests(bodies: list[dict[str, Any]]) -> None:
    solo = a_node(1)
    for body in bodies:
        carried(solo, solo.step(Request("c9", body, 1)))
    solo.pass_time(2000)
    honest(solo)


@FUZZ
@given(st.lists(values.MESSAGES_OF_MEMBERS, min_size=1, max_size=10), st.booleans())
def test_messages_of_members(messages: list[Any], leading: bool) -> None:
    solo = a_node(3) if leading else Solo(nodes=3, **PARTS)
    for message in messages:
        solo.step(Received("n2", message, 1))
    solo.pass_time(500)
    honest(solo)


@FUZZ
@given(st.lists(values.WIRES, min_size=1, max_size=20))
def test_what_is_no_message_is_refused_by_its_form(wires: list[list[Any]]) -> None:
    for wire in wires:
        try:
            from_wire(wire)
        except ValueError as error:
            assert len(str(error)) < 1000


@FUZZ
@given(
    st.lists(
        st.tuples(values.notes().filter(values.fits), st.sampled_from(["127.0.0.1", "::1", "10.0.0.9"])),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from(["swim", "heartbeat"]),
)
def test_datagrams(notes: list[Any], detector: str) -> None:
    parts = {**PARTS, "membership": {"broadcast": False, "detector": detector}}
    solo = Solo(nodes=1, **parts)
    solo.pass_time(3000)
    for note, host in notes:
        try:
            data = encode_datagram("test", note)
        except ValueError:
            continue  # It does not fit.
        solo.step(Datagram(host, 9999, data, 1))
        solo.step(Datagram(host, 9999, data[:-1], 1))
        solo.pass_time(100)
    solo.pass_time(3000)
    honest(solo)


@FUZZ
@given(st.lists(values.command(values.WIDE_VALUES), min_size=1, max_size=20))
def test_commands_that_are_in_the_log_already(commands: list[list[Any]]) -> None:
    """As the log of an earlier release, or a lying leader, may have them: each is answered, none raises, and the state comes back from its snapshot."""
    from tests.node.core.hostile import World
    from tribulation.node.core.interface.entry import canonical
    from tribulation.node.core.interface.signals import Restore

    world = World()
    for index, command in enumerate(commands, 1):
        result = world.apply(index, canonical(command))
        superseded = result is not None and result.get("error") == "superseded"
        assert result is None or result["status"] in ("ok", "fail") or (superseded and result["status"] == "info")
    again = World()
    again.application.signals[Restore](0, Restore(len(commands), world.snapshot()))
    assert world.application.failed == 0 and again.application.digest() == world.application.digest()


def test_every_command_of_the_applications_is_fuzzed() -> None:
    from tribulation.node.config.node import NodeConfig
    from tribulation.node.core.application.registry import Applications

    config = NodeConfig.from_json({"node": "n1", "cluster": "c", "peers": {"n1": ["h", 1]}, **PARTS})
    assert {command for app in Applications(config).by_name.values() for command in app.commands} == set(
        values.COMMANDS
    )
