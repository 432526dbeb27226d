"""Recorded inputs: what was written is what is read; a torn tail is reported; damage is refused; the size is bounded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tribulation.node.core.interface.effects import Append, Effect, Fsync, Halt, Reply, Send, SetTimer, Trace
from tribulation.node.core.interface.events import (
    ClientGone,
    Connected,
    DialRefused,
    Disconnected,
    Event,
    Received,
    Request,
    Start,
    StorageDone,
    TimerFired,
)
from tribulation.node.core.interface.messages import AppendEntries, TimeoutNow, to_wire
from tribulation.node.runtime.loop.inputs import InputsWriter, make_room
from tribulation.node.runtime.telemetry.recording import (
    RecordedStep,
    effect_crc,
    effects_crc,
    encode_header,
    encode_step,
    read_recording,
)
from tribulation.node.wire import encode_payload

EVENTS: tuple[Event, ...] = (
    Start(3, 7, {"log": b"\x00\xff binary", "snapshot": b""}, 1),
    Connected("n2"),
    Disconnected("n2"),
    DialRefused("n2"),
    Received("n2", AppendEntries(1, 0, 0, (), 0), 5),
    TimerFired("election", 4, 6),
    StorageDone(1),
    StorageDone(2, "Input/output error"),
    Request("c1", {"id": 1, "ops": [["w", "ключ", "☃"]]}, 7),
    ClientGone("c1"),
)
EFFECTS: list[Effect] = [
    Append(1, "log", b"x"),
    Fsync(2, "log"),
    Send("n2", TimeoutNow(1), after=(2,)),
    Reply("c1", {"id": 1}, after=(2,)),
    SetTimer("t", 1, 5),
    Trace("append", {"entries": []}),
    Halt("why"),
]


def write(path: Path, *steps: bytes) -> Path:
    path.write_bytes(encode_header("n1", {"cluster": "demo"}) + b"".join(steps))
    return path


def test_every_event_comes_back_as_it_was(tmp_path: Path) -> None:
    steps = [encode_step(10 * i, [(event, None)], i) for i, event in enumerate(EVENTS)]
    recording = read_recording(write(tmp_path / "events.log", *steps))
    assert recording.header["node"] == "n1"
    assert recording.ended is None
    assert recording.steps == tuple(RecordedStep(10 * i, (event,), i) for i, event in enumerate(EVENTS))


def test_raw_bytes_are_recorded_as_they_arrived(tmp_path: Path) -> None:
    raw = b' ["raft.timeout-now" , 3]'
    recording = read_recording(
        write(tmp_path / "events.log", encode_step(1, [(Received("n2", TimeoutNow(3), 9), raw)], 0))
    )
    assert recording.steps[0].events == (Received("n2", TimeoutNow(3), 9),)


def test_the_checksum_reports_effects_apart() -> None:
    """Also with the payload that the runtime has encoded already."""
    payloads = {Send: encode_payload(to_wire(TimeoutNow(1))), Reply: encode_payload({"id": 1})}
    crc = 0
    for effect in EFFECTS:
        crc = effect_crc(effect, payloads.get(type(effect)), crc)
    assert crc == effects_crc(EFFECTS)
    checksums = {effects_crc([effect]) for effect in EFFECTS} | {effects_crc(EFFECTS), effects_crc(EFFECTS[::-1])}
    assert len(checksums) == len(EFFECTS) + 2
    assert effects_crc([Send("n2", TimeoutNow(1), after=(2,))]) != effects_crc([Send("n2", TimeoutNow(1))])


def test_a_torn_tail_ends_the_recording(tmp_path: Path) -> None:
    whole = write(
        tmp_path / "whole", encode_step(1, [(Connected("n2"), None)], 1), encode_step(2, [(Connected("n3"), None)], 2)
    )
    content = whole.read_bytes()
    lengths = set()
    for cut in range(len(encode_header("n1", {"cluster": "demo"})), len(content)):
        (tmp_path / "torn").write_bytes(content[:cut])
        recording = read_recording(tmp_path / "torn")
        lengths.add(len(recording.steps))
        complete = cut in (
            len(encode_header("n1", {"cluster": "demo"})),
            len(content) - len(encode_step(2, [(Connected("n3"), None)], 2)),
        )
        assert (recording.ended is None) == complete
    assert lengths == {0, 1}


def test_a_node_killed_at_once_recorded_nothing(tmp_path: Path) -> None:
    for content in (b"", encode_header("n1", {})[:-1]):
        (tmp_path / "events.log").write_bytes(content)
        recording = read_recording(tmp_path / "events.log")
        assert recording.steps == ()
        assert recording.ended is not None and "killed before" in recording.ended


def test_damage_is_refused_with_its_place(tmp_path: Path) -> None:
    path = write(tmp_path / "events.log", encode_step(1, [(Connected("n2"), None)], 1))
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"events.log: the record at offset \d+ has a bad checksum"):
        read_recording(path)


def test_the_bound_keeps_the_beginning_and_says_so(tmp_path: Path) -> None:
    complaints: list[str] = []
    writer = InputsWriter(tmp_path, 1, complaints.append, max_bytes=400)
    writer.add(encode_header("n1", {}))
    for number in range(20):
        writer.add(encode_step(number, [(Connected("n2"), None)], 0))
    writer.close()
    recording = read_recording(tmp_path / "events-000001.log")
    assert [step.now_ns for step in recording.steps] == list(range(len(recording.steps)))
    assert 0 < len(recording.steps) < 20
    assert recording.ended == complaints[0]
    assert len(complaints) == 1


def test_the_oldest_recordings_make_room(tmp_path: Path) -> None:
    for incarnation in range(1, 5):
        (tmp_path / f"events-{incarnation:06d}.log").write_bytes(b"x" * 100)
    make_room(tmp_path, 250)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events-000003.log", "events-000004.log"]
