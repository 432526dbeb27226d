"""The memory's files: any damage is noticed, and costs no more than it must."""

from __future__ import annotations

import time
from collections.abc import Iterator
from random import Random

import pytest

from tests.node.core.disk import Disk as CachedDisk
from tribulation.node.core.interface.outbox import Outbox
from tribulation.node.core.memory.disk.files import BACKUP, SNAPSHOT, Found, recover
from tribulation.node.core.memory.disk.log import encode_frame, read_frame, scan
from tribulation.node.core.memory.disk.writer import Writer
from tribulation.node.core.memory.records.trmm import Trmm, encode
from tribulation.node.core.storage import recovery
from tribulation.node.flaws.switch import Flaws

from .life import KEYS, Ledger, Life, numbers
from .memory_story import STORY, PowerDisk, left

CHANGES = [step for step in STORY if step not in (Life.snapshot, Life.delta)]


def damages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each cut, and each byte flipped: (the first byte that is another, what is left)."""
    for position in range(len(data)):
        yield position, data[:position]
        yield position, data[:position] + bytes([data[position] ^ 1 << position % 8]) + data[position + 1 :]


@pytest.mark.parametrize("name", sorted(left()[0]))
def test_one_damaged_file_is_noticed_and_loses_no_more_than_its_own_frames(name: str) -> None:
    files, ledger = left()
    whole = numbers(recover(files))
    newest = name == "memory-log-00000004.trml"
    there = scan(files[name]).frames if name.endswith(".trml") else []
    ends = {0, *(frame.at for frame in there)}
    for position, damaged in damages(files[name]):
        found = recover({**files, name: damaged})
        got = ledger.honest(found)
        if not newest:
            assert got == whole and (found.whole or there), (position, found)
        for frame in there:
            hit = frame.at <= position < frame.at + 28 + len(frame.payload)
            if not hit and len(damaged) >= frame.at + 28 + len(frame.payload):
                for kind, ident, state in read_frame(frame).records:
                    assert got.get((kind, ident), 0) >= state["n"] or (kind, ident) not in whole, (
                        position,
                        kind,
                        ident,
                    )
        unseen = newest and len(damaged) in ends
        assert found.damaged or found.torn or unseen, position
        assert found.head is None or not (found.damaged or found.torn)


def test_damage_of_many_files_at_once_is_never_believed() -> None:
    """Whatever is cut, flipped, garbled or gone: nothing is raised, the vector stays honest, and `whole` is said only when nothing is missing
    but what no reader can miss: files and frames at the log's end."""
    files, ledger = left()
    whole = numbers(recover(files))
    end = sum(len(files[name]) for name in files if name == "memory-log-00000004.trml")
    for seed in range(1500):
        random, damaged = Random(seed), dict(files)
        for name in random.sample(sorted(files), random.randint(1, len(files))):
            data = bytearray(files[name])
            at = random.randrange(len(data))
            damage = random.choice("cfgs")
            if damage == "c":
                del data[at:]
            elif damage == "f":
                data[at] ^= 1 << random.randrange(8)
            elif damage == "g":
                data[at : at + 30] = random.randbytes(random.randrange(40))
            else:
                other = files[random.choice(sorted(files))]
                data[at : at + 60] = other[:60]
            damaged[name] = bytes(data)
            if random.random() < 0.2 and name != "memory-log-00000004.trml":
                del damaged[name]
        found = recover(damaged)
        got = ledger.honest(found)
        if found.whole and len(damaged["memory-log-00000004.trml"]) == end:
            assert got == whole, (seed, found)


def test_deltas_are_numbered_on_when_there_is_none_left() -> None:
    """Else the next ones would have the numbers of older ones, and be passed over."""
    disk, ledger = PowerDisk(), Ledger()
    life = Life(disk, ledger, "a")
    for step in (Life.snapshot, lambda life: life.put(KEYS[0]), Life.delta, Life.snapshot, Life.snapshot):
        step(life)
        life.settle()
    assert not [name for name in disk.files() if name.endswith(".trmd")]
    life = Life(disk, ledger, "b")
    life.put(KEYS[1])
    life.delta()
    life.settle()
    assert "memory-delta-00000002.trmd" in disk.files() and recover(disk.files()).deltas == 1


def test_the_log_makes_good_what_snapshots_and_deltas_lost() -> None:
    files, ledger = left()
    bad = {name: data[:-1] + b"?" for name, data in files.items() if not name.endswith((".trml", ".bak"))}
    found = recover({**files, **bad})
    assert ledger.judge(found) == ledger.judge(recover(files)) and found.whole
    assert [place.partition(":")[0] for place in found.damaged] == sorted(bad, key=lambda name: name != SNAPSHOT)
    assert found.backup is not None and found.snapshot is None


@pytest.mark.parametrize("rest", [{"memory-log-00000004.trml": b""}, {}])
def test_a_log_that_ends_before_what_a_delta_covers_is_doubted(rest: dict[str, bytes]) -> None:
    """What the delta covers is here, but not what came after it."""
    files, ledger = left()
    found = recover({**{name: data for name, data in files.items() if name != "memory-log-00000004.trml"}, **rest})
    assert found.damaged == ["the log ends at frame 11, and frame 12 was in it"]
    assert not found.whole and found.current is None and found.frame == 12
    assert ledger.honest(found)[KEYS[4]] == 12


def test_a_damaged_snapshot_does_not_take_the_place_of_the_one_before() -> None:
    files, ledger = left()
    disk = PowerDisk()
    disk.replace({**files, SNAPSHOT: files[SNAPSHOT][:-1]})
    life = Life(disk, ledger, "b")
    assert life.replica == "a" and life.writer.compacting, (
        "nothing is missing: the replica goes on, with a new snapshot"
    )
    life.settle()
    assert disk.files()[BACKUP] == files[BACKUP] and disk.files()[SNAPSHOT] != files[SNAPSHOT]
    found = recover(disk.files())
    assert found.whole and ledger.judge(found) == life.records


def test_a_gap_in_the_log_leaves_the_vector_before_it_and_keeps_the_records_behind_it() -> None:
    disk, ledger = CachedDisk(), Ledger()
    life = Life(disk, ledger, "a")
    for key in KEYS[:4]:
        life.put(key)
        life.settle()
    name = "memory-log-00000001.trml"
    second = scan(disk.files()[name]).frames[1].at
    data = bytearray(disk.files()[name])
    data[second + 30] ^= 1
    found = recover({name: bytes(data)})
    assert not found.whole and found.torn is None
    assert found.metadata["vector"] == {"a": 1} and numbers(found) == {KEYS[0]: 1, KEYS[2]: 3, KEYS[3]: 4}
    ledger.honest(found)
    assert f"{name}: frame 2 at byte {second} does not fit its checksum" in found.damaged


def test_what_damage_hid_is_of_another_history_when_it_comes_back() -> None:
    """A second life knows the log up to frame 3 without frame 2, and goes on from there; then frame 4 of the first is seen again, whose vector counts on frame 2."""
    disk, ledger = PowerDisk(), Ledger()
    life = Life(disk, ledger, "a")
    for key in KEYS[:4]:
        life.put(key)
        life.settle()
    name = "memory-log-00000001.trml"
    whole = disk.files()
    second, fourth = (scan(whole[name]).frames[number].at for number in (1, 3))
    lost = bytearray(whole[name])
    lost[second + 30] ^= 1
    disk.replace({name: bytes(lost[:fourth]) + bytes(len(lost) - fourth)})
    life = Life(disk, ledger, "b", damaged=True)
    life.put(KEYS[0])
    life.settle()
    assert SNAPSHOT in disk.files() and recover(disk.files()).metadata["vector"] == {"a": 1, "b": 1}
    disk.replace({**disk.files(), name: bytes(lost)})
    found = recover(disk.files())
    assert ledger.honest(found)[KEYS[3]] == 4 and KEYS[1] not in numbers(found)
    assert found.metadata["vector"] == {"a": 1, "b": 1}


def test_no_damage_that_comes_and_goes_makes_a_vector_say_too_much() -> None:
    """Lives on a disk of which each boot sees other parts: what a life wrote is there, and not, and there again."""
    for seed in range(400):
        random = Random(seed)
        disk, ledger = PowerDisk(), Ledger()
        written: dict[str, bytes] = {}
        shown: dict[str, bytes] = {}
        for number in range(8):
            life = Life(disk, ledger, f"life{number}", damaged=True)
            for _ in range(random.randrange(8)):
                random.choice(CHANGES if random.random() < 0.8 else STORY)(life)
            life.settle()
            files = disk.files()
            written = {name: written[name] if data == shown.get(name) else data for name, data in files.items()}
            shown = {name: _perhaps_damaged(random, data) for name, data in written.items()}
            disk.replace(shown)
        ledger.honest(recover(disk.files(), ledger.lives + 1))


def _perhaps_damaged(random: Random, data: bytes) -> bytes:
    if not data or random.random() < 0.4:
        return data
    at = random.randrange(len(data))
    size = min(len(data) - at, random.choice((1, 200, 100_000)))
    return data[:at] + bytes(size) + data[at + size :]


def test_a_removal_that_was_read_counts_even_when_the_log_before_it_is_lost() -> None:
    """The record is in the backup, its removal behind a gap: it must not come back, for no peer would report its removal again."""
    files, ledger = left()
    bad = {name: data[:-1] + b"?" for name, data in files.items() if name == SNAPSHOT or name.endswith(".trmd")}
    name = "memory-log-00000003.trml"
    data = bytearray(files[name])
    data[30] ^= 1
    found = recover({**files, **bad, name: bytes(data)})
    assert not found.whole
    assert KEYS[3] not in ledger.honest(found) and KEYS[3] in found.removed


def frames(*payloads: str, number: int = 1, previous: int = 0) -> tuple[bytes, int]:
    """A segment of frames with these payloads, and the last one's checksum."""
    data = b""
    for position, payload in enumerate(payloads):
        frame, previous = encode_frame(number + position, previous, payload.encode())
        data += frame
    return data, previous


def test_a_frame_of_another_past_proves_nothing() -> None:
    """Its number fits, but what its vector counts on is a frame that is not the one before it: old files came back."""
    here, checksum = frames('{"v":{"a":1}}', '{"v":{"a":2}}')
    _, other = frames('{"v":{"a":1}}', '{"v":{"b":7}}')
    for previous, vector, whole in ((checksum, {"a": 2, "b": 8}, True), (other, {"a": 2}, False)):
        later, _ = frames('{"v":{"b":8}}', number=3, previous=previous)
        found = recover({"memory-log-00000001.trml": here, "memory-log-00000002.trml": later})
        assert (found.metadata["vector"], found.whole, bool(found.damaged)) == (vector, whole, not whole)


def test_a_record_that_came_back_after_its_removal_is_kept_by_the_file_that_reports_so() -> None:
    """The delta covers the frame with the removal, and its record is younger; the delta's base is lost."""
    log, last = frames('{"r":[["fact","f",{"n":1}]]}', '{"x":[["fact","f"]]}')
    metadata = {"files": [2, last, 1, 1]}
    delta = encode(Trmm(True, 0, 7, [("fact", "f", {"n": 2})], [("fact", "f")], metadata))
    found = recover({"memory-log-00000001.trml": log, "memory-delta-00000001.trmd": delta})
    assert found.records == [("fact", "f", {"n": 2})] and found.removed == []


def test_deltas_that_lost_their_base_give_their_records_alone() -> None:
    files, _ = left()
    alone = {name: data for name, data in files.items() if name == "memory-delta-00000004.trmd"}
    found = recover(alone)
    assert numbers(found) == {KEYS[4]: 12} and found.metadata["vector"] == {} and found.head is None
    assert found.damaged == ["memory-delta-00000004.trmd: the file that it follows is not here"]


def test_other_files_are_left_alone_by_either_recovery() -> None:
    files, _ = left()
    raft = {"wal-00000001.log": b"", "snapshot": b"torn", "snapshot.tmp": b""}
    assert recover({**files, **raft, "memory-log-x.trml": b"?"}) == recover(files)
    assert recovery.recover({"wal-00000001.log": b"", **files}) == recovery.recover({"wal-00000001.log": b""})
    flaws = Flaws.from_names(["snapshot-torn-install"])
    assert recovery.recover({**files, **raft}, flaws).stale == sorted(raft)


def test_ten_thousand_episodes_are_recovered_in_a_moment() -> None:
    """Half of them in the snapshot, half in the log."""
    records = [("episode", f"e{n}", {"c": {"a": n}, "t": {"goal": [["a", n, "goal " * 20]]}}) for n in range(10_000)]
    out = Outbox()
    disk = CachedDisk()
    writer = Writer(out, Found())
    for n in range(0, 10_000, 100):
        writer.stage(records[n : n + 100], {"a": n + 100}, ())
        writer.flush()
        if n == 5000:
            writer.write_snapshot(records[: n + 100], {"vector": {"a": n + 100}}, 0)
        for effect in out.take():
            disk.apply(effect)  # type: ignore[arg-type]
            writer.done(effect.op)  # type: ignore[union-attr]
    files = disk.files()
    begun = time.process_time()
    found = recover(files)
    assert time.process_time() - begun < 2
    assert found.whole and len(found.records) == 10_000 and found.metadata["vector"] == {"a": 10_000}


def test_a_file_of_records_that_no_writer_of_files_made_is_reported() -> None:
    for metadata in ({}, {"files": [1, 2]}, {"files": ["1", 2, 3, 1]}, {"files": [1, 2, 3, 1], "vector": {"a": "1"}}):
        found = recover({SNAPSHOT: encode(Trmm(False, 0, None, [("fact", "f", {})], [], metadata))})
        assert len(found.damaged) == 1 and found.records == [] and found.snapshot is None, metadata
