"""What may lie on a node's disk: the files of its core as it wrote them, damaged in any place, or with right checksums around odd contents.

The records of the log come from their classes, the contents of snapshots and of memory's files from those that a node wrote: so what is new in them is fuzzed without being listed.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Any, get_args
from zlib import crc32

from hypothesis import strategies as st

from tests.node.core.solo import Solo
from tribulation.node.bounded import INTEGER_LIMIT
from tribulation.node.core.interface.entry import Entry, canonical, make_entry
from tribulation.node.core.memory.disk import log as memory_log
from tribulation.node.core.memory.disk.files import BACKUP, SNAPSHOT, delta_name, segment_name
from tribulation.node.core.memory.records import trmm
from tribulation.node.core.storage import wal
from tribulation.node.core.storage.snapshot_file import FILE, _checksum, parse_snapshot

from .frames import ODD
from .values import TEXTS, WIDE_VALUES, Value, around, command

Files = Mapping[str, bytes]
PARTS: dict[str, Any] = {"membership": {"broadcast": False}, "agents": {}, "memory": {}}
UNSIGNED = st.integers(0, 9) | st.sampled_from([n for n in around(INTEGER_LIMIT, 1 << 32, (1 << 64) - 2) if n >= 0])


@lru_cache(maxsize=1)
def written() -> Files:
    """By a node with all parts and some state: a snapshot, two segments of its log, and of memory a snapshot, a delta and a log."""
    solo = Solo(nodes=1, snapshot_threshold=20, **{**PARTS, "memory": {"delta_every": 5}})
    solo.pass_time(3000)
    for number in range(30):
        session = solo.ask(open=True)[0]["session"]
        solo.ask(session=session, seq=1, ops=[["w", "k", number]])
        fields_ = {"concept": f"c{number}"}
        assert solo.ask(memory="change", kind="fact", record=f"r{number}", fields=fields_)[0]["status"] == "ok"
    solo.ask(do="tasks.submit", **{"with": {"task": "t", "type": "code", "handler": "sleep", "payload": {"ms": 1}}})
    solo.ask(do="agents.spawn", **{"with": {"agent": "a", "type": "code"}})
    solo.pass_time(1000)
    found = solo.disk.files()
    assert FILE in found and SNAPSHOT in found, sorted(found)
    return found


def _damage(data: bytes, what: str, at: int, other: bytes) -> bytes:
    at %= len(data) + 1
    if what == "flip" and at < len(data):
        return data[:at] + bytes([data[at] ^ (other[0] or 1)]) + data[at + 1 :]
    if what == "cut":
        return data[:at]
    if what == "insert":
        return data[:at] + other + data[at:]
    if what == "zeros":
        return data[:at] + bytes(len(other)) + data[at + len(other) :]
    return data[at:] + data[:at] if what == "turn" else other


DAMAGES: st.SearchStrategy[Callable[[bytes], bytes]] = st.builds(
    lambda what, at, other: lambda data: _damage(data, what, at, other),
    st.sampled_from(["flip", "flip", "cut", "insert", "zeros", "turn", "whole"]),
    st.integers(0, 1 << 20),
    st.binary(min_size=1, max_size=64),
)


def damaged(files: Files) -> st.SearchStrategy[Files]:
    """One to three places of the files as they were written."""
    change = st.tuples(st.sampled_from(sorted(files)), DAMAGES)
    return st.lists(change, min_size=1, max_size=3).map(lambda changes: _changed(files, changes))


def _changed(files: Files, changes: list[tuple[str, Callable[[bytes], bytes]]]) -> Files:
    found = dict(files)
    for name, change in changes:
        found[name] = change(found[name])
    return found


def _places(value: Value, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in _places(item, (*path, key)))]


def _put(value: Value, path: tuple[Any, ...], odd: Value) -> Value:
    if not path:
        return odd
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _put(value[path[0]], path[1:], odd)
    return copy


def odd_somewhere(value: Value) -> st.SearchStrategy[Value]:
    """The value with another one in some place of it, however deep."""
    return st.builds(lambda path, odd: _put(value, path, odd), st.sampled_from(_places(value)), WIDE_VALUES)


_OF_TYPE: dict[str, st.SearchStrategy[Any]] = {"int": UNSIGNED, "str": TEXTS, "int | None": st.none() | UNSIGNED}


def _record(kind: type[Any]) -> st.SearchStrategy[bytes]:
    if kind is Entry:
        return st.builds(make_entry, UNSIGNED, UNSIGNED, command(WIDE_VALUES)).map(wal.encode_record)
    made = st.builds(kind, **{item.name: _OF_TYPE[str(item.type)] for item in fields(kind)})
    return made.filter(_fits).map(wal.encode_record)


def _fits(record: Any) -> bool:
    try:
        wal.encode_record(record)
    except struct.error:
        return False
    return True


def _raw(letter: str, rest: bytes) -> bytes:
    payload = letter.encode() + rest
    return struct.pack(">II", len(payload), crc32(payload, len(payload))) + payload


_ODD_TEXT = st.builds(
    lambda index, term, text: _raw("E", struct.pack(">QQ", index, term) + text.encode("utf-8", "surrogatepass")),
    UNSIGNED,
    UNSIGNED,
    ODD,
)
RECORDS = st.one_of(
    st.sampled_from(get_args(wal.Record)).flatmap(_record),
    _ODD_TEXT,
    st.builds(_raw, st.sampled_from("BHETDX"), st.binary(max_size=40)),
)
_SEGMENTS = st.builds(
    lambda first, rest: b"".join(wal.encode_batch(batch) for batch in [*first, *rest]),
    st.sampled_from([[], [[wal.encode_record(wal.Base(0, 0)), wal.encode_record(wal.Hard(1, "n1"))]]]),
    st.lists(st.lists(RECORDS, max_size=4), max_size=4),
)
SEGMENTS = st.dictionaries(
    st.sampled_from(["wal-00000001.log", "wal-00000002.log", "wal-x.log", "wal-²3.log", "wal-.log"]),
    _SEGMENTS,
    max_size=3,
)
"""Logs of which all checksums are right."""


def forged_snapshots(files: Files) -> st.SearchStrategy[Files]:
    """The snapshot with an odd value in some place of what it says about itself, and a checksum that is right."""
    line, _, data = files[FILE].decode("ascii").partition("\n")
    about = json.loads(line)
    del about["crc"]

    def made(odd: Value) -> Files:
        try:
            crc = _checksum(odd, data)
        except ValueError:
            crc = 0
        text = canonical({**odd, "crc": crc} if isinstance(odd, dict) else odd) + "\n" + data
        return {**files, FILE: text.encode("ascii")}

    return odd_somewhere(about).map(made)


def forged_states(files: Files) -> st.SearchStrategy[str]:
    """The state in the snapshot with an odd value in some place of it."""
    return odd_somewhere(json.loads(parse_snapshot(files[FILE].decode("ascii"), FILE).data)).map(canonical)


def forged_memory(files: Files) -> st.SearchStrategy[Files]:
    """One of memory's files with odd values in it and checksums that are right."""
    names = [name for name in files if name.endswith((".trmm", ".bak", ".trmd", ".trml"))]
    return st.sampled_from(names).flatmap(lambda name: _forged(files, name))


def _forged(files: Files, name: str) -> st.SearchStrategy[Files]:
    if name.endswith(".trml"):
        frames = memory_log.scan(files[name]).frames
        payloads = st.sampled_from(frames).flatmap(lambda frame: odd_somewhere(json.loads(frame.payload)))
        numbers = st.sampled_from([frame.number for frame in frames]) | UNSIGNED.filter(lambda n: n < 1 << 64)

        def frame(number: int, previous: int, payload: Value) -> Files:
            text = json.dumps(payload, separators=(",", ":")).encode("ascii")
            return {**files, name: files[name] + memory_log.encode_frame(number, previous, text)[0]}

        return st.builds(frame, numbers, st.sampled_from([frame.checksum for frame in frames]), payloads)
    whole = trmm.decode(files[name])
    parts = {item.name: getattr(whole, item.name) for item in fields(trmm.Trmm)}
    plain = json.loads(json.dumps(parts))

    def encoded(value: Value) -> Files:
        try:
            return {**files, name: trmm.encode(trmm.Trmm(**value))}
        except (AttributeError, KeyError, TypeError, ValueError, struct.error):
            return files

    return odd_somewhere(plain).map(encoded)


MEMORY_NAMES = st.sampled_from([SNAPSHOT, BACKUP, delta_name(1), segment_name(1), segment_name(2), "memory-log-x.trml"])
ANY = st.dictionaries(
    MEMORY_NAMES | st.sampled_from([FILE, "snapshot.tmp", "memory.tmp", "wal-00000001.log", "further"]),
    st.binary(max_size=60)
    | st.sampled_from([wal.MAGIC, memory_log.MAGIC, trmm.MAGIC]).flatmap(
        lambda magic: st.binary(max_size=60).map(magic.__add__)
    ),
    max_size=4,
)
