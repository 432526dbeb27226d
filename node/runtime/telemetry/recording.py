"""Recorded inputs: every event that a core received, step by step, so that the node can be run again exactly.

A file holds one incarnation: `inputs/events-000003.log`. It is a sequence of records

    | length, 4 bytes | crc32 of the body, 4 bytes | body: JSON |

The first body is a header (`{"format", "version", "node", "core", "config"}`), every other one a step: `{"now_ns", "effects_crc", "events": [...]}`.
`core` is the fingerprint of the core that ran. From the checksum of the effects a replay finds the first step that differs from what the node did. A
torn tail is expected after a crash.

Bound: an incarnation's file stops growing at `MAX_FILE_BYTES` (a replay needs its beginning; the last record is then `{"stopped": ...}`), and the
oldest files are removed when all together exceed `MAX_TOTAL_BYTES`.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

from ...core.interface.effects import Append, Effect, Halt, Reply, Send, Trace, Write
from ...core.interface.events import (
    ClientGone,
    Connected,
    Datagram,
    DialRefused,
    Disconnected,
    Event,
    Received,
    Request,
    Start,
    StorageDone,
    TaskDone,
    TimerFired,
)
from ...core.interface.messages import from_wire, to_wire
from ...core_source import fingerprint
from ...wire import encode_payload

FORMAT = "tribulation-inputs"
VERSION = 1
MAX_FILE_BYTES = 256 * 1024 * 1024
MAX_TOTAL_BYTES = 512 * 1024 * 1024
_RECORD = struct.Struct(">II")


@dataclass(frozen=True, slots=True)
class RecordedStep:
    now_ns: int
    events: tuple[Event, ...]
    effects_crc: int


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording that was read. `ended` is the reason why it has no more steps: None (closed in order), a torn tail, or the bound on its size."""

    header: Mapping[str, Any]
    steps: tuple[RecordedStep, ...]
    ended: str | None


def effect_crc(effect: Effect, payload: bytes | None = None, crc: int = 0) -> int:
    """Add one effect to a checksum. `payload` is the encoded message or reply, if the caller has it already."""
    if isinstance(effect, Send):
        payload = encode_payload(to_wire(effect.message)) if payload is None else payload
        return crc32(payload, crc32(f"Send {effect.peer} {effect.after} ".encode(), crc))
    if isinstance(effect, Reply):
        payload = encode_payload(effect.body) if payload is None else payload
        return crc32(payload, crc32(f"Reply {effect.client} {effect.after} ".encode(), crc))
    if isinstance(effect, (Append, Write)):
        head = f"{type(effect).__name__} {effect.op} {effect.file} {effect.after} "
        return crc32(effect.data, crc32(head.encode(), crc))
    if isinstance(effect, Trace):
        head = f"Trace {effect.event} {effect.after} "
        return crc32(payload or encode_payload(effect.fields), crc32(head.encode(), crc))
    if isinstance(effect, Halt):
        return crc32(f"Halt {effect.reason}".encode(), crc)
    return crc32(repr(effect).encode(), crc)


def effects_crc(effects: Sequence[Effect]) -> int:
    """Return the checksum of a step's effects, as recorded; a replay compares it."""
    crc = 0
    for effect in effects:
        crc = effect_crc(effect, None, crc)
    return crc


def encode_header(node: str, config: Mapping[str, Any]) -> bytes:
    header = {"format": FORMAT, "version": VERSION, "node": node, "core": fingerprint(), "config": config}
    return record(encode_payload(header))


def encode_step(now_ns: int, events: Sequence[tuple[Event, bytes | None]], crc: int) -> bytes:
    """Encode a step's record. Each event comes with the raw JSON of its message or body, where it arrived as bytes."""
    parts = b",".join(_encode_event(event, raw) for event, raw in events)
    return record(b'{"now_ns":%d,"effects_crc":%d,"events":[%s]}' % (now_ns, crc, parts))


def record(body: bytes) -> bytes:
    return _RECORD.pack(len(body), crc32(body)) + body


def read_recording(path: Path) -> Recording:
    """Read one incarnation's inputs. Raises `ValueError` with file and offset for anything but a torn tail."""
    bodies, ended = _read_bodies(path)
    if not bodies and (ended is not None or path.stat().st_size == 0):
        return Recording({}, (), "the node was killed before its first records were written")
    if not bodies or bodies[0].get("format") != FORMAT or bodies[0].get("version") != VERSION:
        raise ValueError(
            f"{path}: no inputs recording of version {VERSION}\nhint: give a file inputs/events-*.log of a node"
        )
    if "stopped" in bodies[-1]:
        ended = bodies.pop()["stopped"]
    steps = tuple(
        RecordedStep(body["now_ns"], tuple(decode_event(event) for event in body["events"]), body["effects_crc"])
        for body in bodies[1:]
    )
    return Recording(bodies[0], steps, ended)


def _read_bodies(path: Path) -> tuple[list[dict[str, Any]], str | None]:
    content = path.read_bytes()
    bodies: list[dict[str, Any]] = []
    at = 0
    while at < len(content):
        end = at + _RECORD.size
        length, checksum = _RECORD.unpack_from(content, at) if end <= len(content) else (0, 0)
        body = content[end : end + length]
        if end > len(content) or len(body) < length:
            return bodies, f"torn tail at offset {at}: {len(content) - at} bytes of an incomplete record"
        if crc32(body) != checksum:
            raise ValueError(
                f"{path}: the record at offset {at} has a bad checksum\nhint: the file is damaged; take another copy"
            )
        bodies.append(json.loads(body))
        at = end + length
    return bodies, None


def _encode_event(event: Event, raw: bytes | None) -> bytes:
    if isinstance(event, Received):
        raw = encode_payload(to_wire(event.message)) if raw is None else raw
        return b'{"event":"Received","peer":%s,"wall_ns":%d,"message":%s}' % (_text(event.peer), event.wall_ns, raw)
    if isinstance(event, Request):
        raw = encode_payload(event.body) if raw is None else raw
        return b'{"event":"Request","client":%s,"wall_ns":%d,"body":%s}' % (_text(event.client), event.wall_ns, raw)
    if isinstance(event, Start):
        files = {name: base64.b64encode(data).decode("ascii") for name, data in event.files.items()}
        body = {"incarnation": event.incarnation, "seed": event.seed, "wall_ns": event.wall_ns, "files": files}
        return encode_payload({"event": "Start", **body})
    fields = {name: getattr(event, name) for name in event.__dataclass_fields__}
    if isinstance(event, Datagram):
        fields["data"] = base64.b64encode(event.data).decode("ascii")
    return encode_payload({"event": type(event).__name__, **fields})


_PLAIN = {
    kind.__name__: kind
    for kind in (Connected, DialRefused, Disconnected, TimerFired, StorageDone, ClientGone, TaskDone)
}


def decode_event(body: Mapping[str, Any]) -> Event:
    """Build the event from its JSON form. Raises `ValueError` for an unknown one."""
    fields = dict(body)
    name = fields.pop("event")
    if name == "Received":
        return Received(fields["peer"], from_wire(fields["message"]), fields["wall_ns"])
    if name == "Request":
        return Request(**fields)
    if name == "Start":
        fields["files"] = {file: base64.b64decode(data) for file, data in fields["files"].items()}
        return Start(**fields)
    if name == "Datagram":
        return Datagram(**{**fields, "data": base64.b64decode(fields["data"])})
    if name not in _PLAIN:
        raise ValueError(f"unknown event {name!r} in a recording\nhint: read it with the release that wrote it")
    event: Event = _PLAIN[name](**fields)
    return event


def _text(value: str) -> bytes:
    return json.dumps(value).encode("ascii")
