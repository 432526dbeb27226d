"""Snapshots of a large state are made and written in parts, and hold the state of one index whatever is written meanwhile."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.node.core.application.kv import KeyValue
from tribulation.node.core.interface.entry import make_entry
from tribulation.node.core.interface.events import StorageDone
from tribulation.node.core.raft import snapshotting
from tribulation.node.core.storage.crc import combined
from tribulation.node.core.storage.memory_log import Log
from tribulation.node.core.storage.recovery import recover
from tribulation.node.core.storage.snapshot_file import FILE, make_snapshot, parse_snapshot
from tribulation.node.flaws.switch import Flaws
from tribulation.node.snapshot_text import SnapshotText

from .solo import Solo

KEYS = st.sampled_from([f"k{i}" for i in range(6)])


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_checksums_are_combined(first: bytes, second: bytes) -> None:
    assert combined(zlib.crc32(first), zlib.crc32(second), len(second)) == zlib.crc32(first + second)


@given(st.lists(st.text("ab", max_size=5), max_size=6), st.integers(0, 40), st.integers(1, 40))
def test_a_snapshot_is_cut_anywhere(parts: list[str], offset: int, size: int) -> None:
    snapshot = make_snapshot(3, 2, {"n1": 1}, SnapshotText(*parts), "d")
    assert snapshot == make_snapshot(3, 2, {"n1": 1}, SnapshotText(*parts), "d")
    assert snapshot.cut(offset, size) == snapshot.text.encode()[offset : offset + size]
    assert snapshot.text == make_snapshot(3, 2, {"n1": 1}, "".join(parts), "d").text
    pieces = [snapshot.cut(at, size) for at in range(0, snapshot.size, size)]
    again = parse_snapshot(pieces, "here")
    assert (again.data, again.text, again.index) == ("".join(parts), snapshot.text, 3)


@given(
    st.dictionaries(KEYS, st.integers(), max_size=6),
    st.lists(st.lists(st.tuples(KEYS, st.integers()), max_size=3), max_size=8),
)
def test_what_is_frozen_stays_as_it_was(data: dict[str, int], meanwhile: list[list[tuple[str, int]]]) -> None:
    store = KeyValue(Flaws())
    store.restore(data)
    texts: list[str] = []
    frozen = store.freeze().texts()
    for writes in meanwhile:
        texts += [text for text in [next(frozen, None)] if text is not None]
        store.transact([["w", key, value] for key, value in writes])
    texts += frozen
    assert json.loads("{" + "".join(texts) + "}") == data


def filled(part: int, flaws: list[str], **config: Any) -> Solo:
    """A leader alone with ten keys, of which each step of a snapshot takes one if `part` is 1; nothing is due yet."""
    solo = Solo(nodes=1, flaws=flaws, snapshot_part=part, snapshot_threshold=20, **config)
    solo.pass_time(3000)
    (opened,) = solo.ask(open=True)
    for seq in range(1, 11):
        solo.ask(session=opened["session"], seq=seq, ops=[["w", f"k{seq}", "x" * 20]])
    return solo


def write(solo: Solo, seq: int, key: str, value: str) -> None:
    (reply,) = solo.ask(session=2, seq=seq, ops=[["w", key, value]])
    assert reply["status"] == "ok"


@pytest.mark.parametrize("flaw", [None, "snapshot-misses-late-write"])
def test_a_snapshot_of_many_steps_holds_the_state_of_its_index(flaw: str | None) -> None:
    solo = filled(1, [flaw] if flaw else [])
    seq = 10
    while not solo.traced("snapshot"):
        seq += 1
        write(solo, seq, f"k{seq % 10 + 1}", f"new{seq}")
        solo.pass_time(1)
        assert seq < 100
    (traced,) = solo.traced("snapshot")
    assert (traced["index"] == 20) is (flaw is None)
    again = Solo(nodes=1, disk=solo.disk, incarnation=2, snapshot_threshold=1000)
    again.pass_time(3000)
    for answer in (again.ask(admin="digest"), solo.ask(admin="digest")):
        assert answer[0]["status"] == "ok"
    reads = [[["r", f"k{i}"]] for i in range(1, 11)]
    same = all(again.ask(ops=ops)[0]["results"] == solo.ask(ops=ops)[0]["results"] for ops in reads)
    assert same is (flaw is None)


def test_a_small_state_is_one_part_in_the_step_in_which_it_is_due() -> None:
    solo = filled(1 << 20, [])
    for seq in range(11, 19):
        write(solo, seq, "k1", "y")
    (traced,) = solo.traced("snapshot")
    found = recover(solo.disk.files())
    assert found.snapshot is not None and found.snapshot.index == traced["index"] == 20
    assert found.snapshot.data == json.dumps(json.loads(found.snapshot.data), sort_keys=True, separators=(",", ":"))


def test_a_large_snapshot_is_synced_in_pieces_and_named_when_it_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshotting, "WRITE_BYTES", 100)
    solo = filled(1 << 20, [])
    solo.slow = True
    for seq in range(11, 19):
        solo.ask(session=2, seq=seq, ops=[["w", "k1", "y"]])
        solo.slow = seq >= 17
        if not solo.slow:
            solo.store()
    kinds: list[str] = []
    while solo.queue:
        effect = solo.queue[0]
        if getattr(effect, "file", "").startswith("snapshot"):
            kinds.append(type(effect).__name__)
            assert FILE not in solo.disk.names
        solo.queue.pop(0)
        solo.disk.apply(effect)
        solo.done.add(effect.op)
        solo.step(StorageDone(effect.op))
        if kinds and kinds[-1] == "Rename":
            break
    writes = kinds.count("Append")
    assert writes > 3
    assert kinds == ["Write", "Fsync", *["Append", "Fsync"] * writes, "Rename"]
    solo.slow = False
    solo.store()
    found = recover(solo.disk.files())
    assert found.snapshot is not None and found.snapshot.index == 20 and json.loads(found.snapshot.data)["kv"]["k2"]


def test_entries_that_a_snapshot_covers_are_freed_a_few_at_a_time() -> None:
    log = Log()
    entries = [make_entry(index, 1, ["noop"]) for index in range(1, 20_001)]
    log.append(entries)
    log.compact(15_000)
    assert (log.base_index, log.last_index, log.term(15_001), log.term(14_999)) == (15_000, 20_000, 1, None)
    log.check()
    for index in range(20_001, 20_051):
        log.append([make_entry(index, 1, ["noop"])])
        log.check()
        assert log.slice(15_001, 15_002) == entries[15_000:15_002]
        assert [entry.index for entry in log.tail()] == list(range(15_001, index + 1))
    assert not log._covered
    log.cut(15_001)
    assert (log.last_index, log.tail()) == (15_000, [])


def test_a_large_state_is_not_written_again_for_a_few_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    from tribulation.node.core.application import state_machine

    monkeypatch.setattr(state_machine, "SORTED_KEYS", 8)
    solo = filled(1 << 20, [])
    seq = 10

    def snapshots_after(entries: int, size: int = 1) -> int:
        nonlocal seq
        for _ in range(entries):
            seq += 1
            write(solo, seq, f"k{seq % 40}", "x" * size)
        return len(solo.traced("snapshot"))

    assert snapshots_after(7) == 0 and snapshots_after(1) == 1, "10 keys: as soon as the threshold is reached"
    for number in range(200):
        solo.ask(session=2, seq=1000 + number, ops=[["w", f"more{number}-{i}", 1] for i in range(10)])
    seq = 2000
    taken = len(solo.traced("snapshot"))
    assert snapshots_after(250) == taken, "2000 keys: not before 500 entries, of which these are 450"
    monkeypatch.setattr(state_machine, "LITTLE_CHARACTERS", 10_000)
    assert snapshots_after(10, 10_000) == taken + 1, "large commands make a large log"
