"""The log's bytes: what was written is read; any damage is seen, and placed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.node.core.interface.entry import make_entry
from tribulation.node.core.storage.recovery import recover, segment_name
from tribulation.node.core.storage.snapshot_file import make_snapshot, parse_snapshot
from tribulation.node.core.storage.wal import Base, Cut, Damage, Doubt, Hard, encode_batch, encode_record, scan
from tribulation.node.errors import CorruptionError

from .disk import Disk
from .solo import Solo

NUMBER = st.integers(0, 2**63)
RECORD = st.one_of(
    st.builds(Base, NUMBER, NUMBER),
    st.builds(Hard, NUMBER, st.text(max_size=8)),
    st.builds(Cut, NUMBER),
    st.builds(Doubt, st.none() | st.integers(0, 2**40)),
    st.builds(lambda i, t, v: make_entry(i, t, ["kv.tx", v]), NUMBER, NUMBER, st.text(max_size=20)),
)
BATCHES = [
    [Base(0, 0), Hard(1, "n1")],
    [make_entry(1, 1, ["noop"]), make_entry(2, 1, ["kv.tx", 1, 1, [["w", "k", "ü\ud800"]]])],
    [Hard(2, ""), Cut(2), make_entry(2, 2, ["noop"])],
]
SEGMENT = b"".join(encode_batch([encode_record(record) for record in batch]) for batch in BATCHES)
ENDS = [sum(len(encode_batch([encode_record(r) for r in b])) for b in BATCHES[: i + 1]) for i in range(3)]


@given(st.lists(st.lists(RECORD, min_size=1, max_size=4), max_size=4))
def test_what_was_written_is_read(batches: list[list[object]]) -> None:
    data = b"".join(encode_batch([encode_record(record) for record in batch]) for batch in batches)  # type: ignore[arg-type]
    found = scan(data)
    assert found.records == [record for batch in batches for record in batch]
    assert (found.size, found.batches, found.damage) == (len(data), len(batches), Damage.NONE)


def test_cut_anywhere_loses_whole_batches_from_the_end_and_is_a_tail() -> None:
    for size in range(len(SEGMENT)):
        found = scan(SEGMENT[:size])
        whole = sum(end <= size for end in ENDS)
        assert found.batches == whole
        assert found.records == [record for batch in BATCHES[:whole] for record in batch]
        assert found.damage is (Damage.NONE if size in (0, *ENDS) else Damage.TAIL), size


def test_a_flipped_bit_is_seen_and_placed() -> None:
    for position in range(len(SEGMENT)):
        for bit in (1, 128):
            damaged = bytearray(SEGMENT)
            damaged[position] ^= bit
            found = scan(bytes(damaged))
            assert found.damage is (Damage.TAIL if position >= ENDS[1] else Damage.MIDDLE), position
            assert found.batches == sum(end <= position for end in ENDS)


def test_recovery_replays_cuts_and_the_latest_vote() -> None:
    state = recover({segment_name(4): SEGMENT})
    assert (state.term, state.vote, state.torn) == (2, "", False)
    assert [(entry.index, entry.term) for entry in state.entries] == [(1, 1), (2, 2)]


def test_a_torn_tail_is_left_out_and_the_node_knows() -> None:
    state = recover({segment_name(1): SEGMENT[:-1]})
    assert (state.torn, state.known, state.term, len(state.entries)) == (True, 2, 1, 2)


def test_doubt_outlives_the_next_crash_until_it_is_lifted() -> None:
    """The tail was torn; the next incarnation began a segment of its own, and that one is intact."""
    begun = encode_batch([encode_record(r) for r in (Base(0, 0), Hard(1, ""), Doubt(2))])
    state = recover({segment_name(1): SEGMENT[:-1], segment_name(2): begun})
    assert (state.torn, state.known) == (True, 2)
    healed = begun + encode_batch([encode_record(Doubt(None))])
    assert not recover({segment_name(2): healed}).torn


def test_a_node_with_a_torn_log_stays_torn_when_it_is_killed_before_it_is_whole() -> None:
    disk = Disk()
    Solo(disk=disk)
    (name,) = disk.names
    disk.names[name].data += SEGMENT[:7]
    for incarnation in (2, 3, 4):
        n1 = Solo(disk=disk, incarnation=incarnation)
        assert n1.core.status()["torn"], incarnation


def test_a_damaged_middle_is_refused_with_place_and_hint() -> None:
    damaged = bytearray(SEGMENT)
    damaged[ENDS[0] + 20] ^= 1
    with pytest.raises(CorruptionError, match=rf"wal-00000001.log: batch at byte {ENDS[0]}") as raised:
        recover({segment_name(1): bytes(damaged)})
    assert "hint: do not repair it by hand" in str(raised.value)


def test_a_segment_that_was_only_begun_gives_way_to_the_one_before() -> None:
    state = recover({segment_name(1): SEGMENT, segment_name(2): SEGMENT[:5]})
    assert (state.term, len(state.entries), state.segment, state.torn) == (2, 2, 2, True)
    assert not recover({segment_name(1): SEGMENT, segment_name(2): b""}).torn


def test_a_torn_segment_and_one_that_was_only_begun_leave_the_node_in_doubt() -> None:
    """Two crashes: the first tore the tail, the second came before the next segment was whole."""
    state = recover({segment_name(1): SEGMENT[:-1], segment_name(2): SEGMENT[:5]})
    assert (state.torn, state.term, len(state.entries)) == (True, 1, 2)


def test_what_was_found_is_made_durable_before_a_new_segment_is_begun() -> None:
    """A killed process left an unsynced tail; then, after a restart, the power went."""
    disk = Disk()
    Solo(disk=disk)
    n1 = Solo(disk=disk, incarnation=2, storing=False)
    assert [type(effect).__name__ for effect in n1.queue] == ["Fsync", "FsyncDir"]
    n1.store()
    assert sorted(disk.names) == [segment_name(2)]


def test_a_leftover_segment_is_ignored() -> None:
    newest = encode_batch([encode_record(r) for r in (Base(0, 0), Hard(9, "n2"))])
    state = recover({segment_name(1): SEGMENT, segment_name(2): newest})
    assert (state.term, state.vote, state.entries) == (9, "n2", [])


@pytest.mark.parametrize(("index", "term", "kept"), [(1, 1, 1), (2, 1, 0), (2, 2, 0), (7, 3, 0)])
def test_the_log_goes_on_after_the_snapshot_only_where_it_holds_its_last_entry(
    index: int, term: int, kept: int
) -> None:
    snapshot = make_snapshot(index, term, {"n1": 1}, "{}", "d")
    state = recover({segment_name(1): SEGMENT, "snapshot": snapshot.text.encode()})
    assert (state.base_index, state.base_term, len(state.entries)) == (index, term, kept)


def test_snapshot_damage_is_seen_everywhere() -> None:
    text = make_snapshot(3, 2, {"n1": 1}, '{"kv":{"a":1}}', "d").text
    assert parse_snapshot(text, "snapshot").text == text
    for position in range(len(text)):
        damaged = text[:position] + chr(ord(text[position]) ^ 1) + text[position + 1 :]
        with pytest.raises(CorruptionError, match="snapshot is damaged"):
            parse_snapshot(damaged, "snapshot")
        with pytest.raises(CorruptionError):
            parse_snapshot(text[:position], "snapshot")


def test_a_log_without_its_snapshot_and_a_snapshot_without_a_log_are_refused() -> None:
    later = encode_batch([encode_record(Base(5, 1)), encode_record(Hard(1, ""))])
    with pytest.raises(CorruptionError, match="begins after index 5 but the snapshot ends at 0"):
        recover({segment_name(1): later})
    with pytest.raises(CorruptionError, match="no intact log segment"):
        recover({"snapshot": make_snapshot(3, 2, {"n1": 1}, "{}", "d").text.encode()})


def test_a_log_whose_only_sector_is_gone_is_no_fresh_one() -> None:
    """A crash in the very first batch leaves no more than that; where there was more, there were votes and entries."""
    first = encode_batch([encode_record(record) for record in (Base(0, 0), Hard(0, ""), Doubt(None))])
    assert not recover({segment_name(1): bytes(len(first))}).torn
    assert not recover({segment_name(1): first[:-1]}).torn
    voted = first + encode_batch([encode_record(Hard(1, "n2"))])
    assert not recover({segment_name(1): voted}).torn
    assert recover({segment_name(1): bytes(len(voted))}).torn
