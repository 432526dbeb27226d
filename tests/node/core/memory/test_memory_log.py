"""The memory's log: what was written is read; damage is placed, and what follows it is read all the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tribulation.node.core.interface.entry import canonical
from tribulation.node.core.memory.disk.log import Batch, Change, encode_frame, read_frame, scan

Key = tuple[str, str]


def segment(*batches: Batch) -> tuple[bytes, list[int]]:
    """The bytes, and where each frame ends."""
    data, ends, previous = b"", [], 0
    for number, batch in enumerate(batches, 1):
        frame, previous = encode_frame(number, previous, batch.payload())
        data += frame
        ends.append(len(data))
    return data, ends


def batch(number: int) -> Batch:
    made = Batch()
    made.add([(("fact", "f\udc00ü"), canonical({"n": number}))], {"n1": number}, [("episode", "e")], {})
    return made


SEGMENT, ENDS = segment(*map(batch, range(1, 5)))
KEY = st.tuples(st.sampled_from(["episode", "fact", "profile"]), st.text(max_size=3))


@given(st.lists(st.tuples(st.dictionaries(KEY, st.integers(), max_size=3), st.lists(KEY, max_size=2)), max_size=4))
def test_of_what_was_staged_the_last_state_of_each_record_is_read(
    staged: list[tuple[dict[Key, int], list[Key]]],
) -> None:
    made, now, removed = Batch(), {}, {}
    for records, keys in staged:
        made.add(
            [(key, canonical({"n": n})) for key, n in records.items()], {"n1": 1 + len(records)}, keys, {"replica": "r"}
        )
        now = {key: n for key, n in now.items() if key not in keys} | records
        removed.update(dict.fromkeys(keys))
    (frame,) = scan(encode_frame(7, 9, made.payload())[0]).frames
    assert (frame.number, frame.previous) == (7, 9)
    change = read_frame(frame)
    assert {(kind, ident): state["n"] for kind, ident, state in change.records} == now
    assert change.removed == list(removed)
    assert (change.vector, change.metadata) == (
        ({"n1": 1 + len(staged[-1][0])}, {"replica": "r"}) if staged else ({}, {})
    )


def test_a_cut_loses_whole_frames_from_the_end_and_tears_the_last() -> None:
    for size in range(len(SEGMENT)):
        found = scan(SEGMENT[:size])
        assert len(found.frames) == sum(end <= size for end in ENDS)
        assert found.torn == bool(found.damage) == (size not in (0, *ENDS)), size


def test_a_flipped_bit_costs_its_own_frame_alone() -> None:
    whole = scan(SEGMENT).frames
    assert [frame.number for frame in whole] == [1, 2, 3, 4]
    assert [frame.previous for frame in whole] == [0, *(frame.checksum for frame in whole[:-1])]
    for position in range(len(SEGMENT)):
        for bit in (1, 128):
            damaged = bytearray(SEGMENT)
            damaged[position] ^= bit
            found = scan(bytes(damaged))
            hit = sum(end <= position for end in ENDS)
            assert found.frames == whole[:hit] + whole[hit + 1 :], position
            assert len(found.damage) == 1 and found.torn == (hit == 3), position


@given(st.binary(max_size=60), st.binary(max_size=20))
def test_garbage_before_and_between_frames_is_one_damage_each(before: bytes, between: bytes) -> None:
    found = scan(before + SEGMENT[: ENDS[0]] + between + SEGMENT[ENDS[0] :])
    assert [frame.number for frame in found.frames] == [1, 2, 3, 4]
    assert len(found.damage) == bool(before) + bool(between) and not found.torn


@given(st.binary(max_size=120))
def test_reading_is_total(data: bytes) -> None:
    scan(data)
    scan(SEGMENT[:40] + data)
    (frame,) = scan(encode_frame(1, 0, data)[0]).frames
    try:
        assert isinstance(read_frame(frame), Change)
    except ValueError as error:
        assert "frame 1 at byte 0 has another shape" in str(error)


def test_a_payload_of_another_shape_is_refused() -> None:
    for payload in (
        b"[]",
        b'{"r":[["fact","f"]]}',
        b'{"r":[["x","f",{}]]}',
        b'{"v":{"n1":"2"}}',
        b'{"x":[[1,2]]}',
        b"[" * 9999,
    ):
        (frame,) = scan(encode_frame(1, 0, payload)[0]).frames
        try:
            read_frame(frame)
        except ValueError:
            continue
        raise AssertionError(payload)
