"""Syncs between two stores, without nodes: what is asked for, what is reported, and that every cut is made good."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.node.core.interface.cluster_messages import MemoryAsk, MemoryChunk
from tribulation.node.core.memory.records.conflicts import conflicts_of
from tribulation.node.core.memory.records.store import Store
from tribulation.node.core.memory.records.trmm import decode
from tribulation.node.core.memory.sync import (
    QUEUE_BYTES,
    QUEUE_NS,
    UNPACKED_BYTES,
    Cap,
    SyncReceiver,
    SyncSource,
    chunk_bytes_under,
    pack,
    unpack,
)
from tribulation.node.flaws.switch import Flaws

S = 1_000_000_000


def store(replica: str, count: int = 0, size: int = 20) -> Store:
    made = Store(conflicts_of("merge", Flaws()), replica, {})
    for number in range(count):
        made.change("episode", f"{replica}-{number}", {"goal": "g" * size, "agents": [f"a{number}"]}, 0)
    return made


def take(into: Store, chunk: MemoryChunk, sent: dict[tuple[str, str], None] | None = None) -> int:
    trmm = decode(unpack(chunk.packed, chunk.data))
    theirs, sent = trmm.metadata["vector"], {} if sent is None else sent
    assert all(into.problem(item) is None for item in trmm.records)
    for item in trmm.records:
        into.join(*item, theirs)
        sent[item[0], item[1]] = None
    if chunk.last:
        if trmm.metadata["whole"]:
            into.absent(sent, theirs)
        into.advance(theirs)
    return len(trmm.records)


@given(
    count=st.integers(0, 60),
    chunk_bytes=st.integers(300, 4000),
    lost=st.lists(st.booleans(), max_size=40),
    more=st.data(),
)
def test_a_sync_cut_at_any_chunk_goes_on_and_misses_nothing(
    count: int, chunk_bytes: int, lost: list[bool], more: st.DataObject
) -> None:
    """Chunks that do not arrive are asked for again, while the source's memory changes."""
    here, there = store("n1", count), store("n2")
    promised = dict(here.vector)
    source = SyncSource(here, chunk_bytes)
    number, taken = 1, 0
    while True:
        chunk = source.chunk("n2", MemoryAsk(7, number, {}), 0)
        assert chunk is not None
        if lost and lost.pop():
            if count and more.draw(st.booleans()):
                here.change("episode", f"n1-{more.draw(st.integers(0, count - 1))}", {"outcome": "o" * 50}, 0)
            continue
        taken += take(there, chunk)
        number += 1
        if chunk.last:
            break
    assert there.vector == promised
    assert {key for key in here.records if key in there.records} == set(here.records)
    assert taken == count, "no record twice, none left out"


def test_only_what_the_asker_lacks_is_reported() -> None:
    here, there = store("n1", 30), store("n2")
    source = SyncSource(here, 100_000)
    first = source.chunk("n2", MemoryAsk(1, 1, dict(there.vector)), 0)
    assert first is not None and take(there, first) == 30 and there.digest == here.digest
    for number in (3, 7):
        here.change("episode", f"n1-{number}", {"outcome": "new"}, 0)
    second = source.chunk("n2", MemoryAsk(2, 1, dict(there.vector)), 0)
    assert second is not None and take(there, second) == 2 and there.digest == here.digest


def test_a_chunk_that_was_never_begun_and_a_session_that_is_not_known_are_not_answered() -> None:
    source = SyncSource(store("n1", 30), 400)
    assert source.chunk("n2", MemoryAsk(1, 2, {}), 0) is None
    assert source.chunk("n2", MemoryAsk(1, 1, {}), 0) is not None
    assert source.chunk("n2", MemoryAsk(1, 4, {}), 0) is None
    assert source.chunk("n2", MemoryAsk(1, 0, {}), 0) is None


def test_an_ask_that_overtakes_another_is_answered_with_what_its_turn_would_have_brought() -> None:
    in_order, overtaken = SyncSource(store("n1", 30), 600), SyncSource(store("n1", 30), 600)
    chunks = [in_order.chunk("n2", MemoryAsk(1, number, {}), 0) for number in (1, 2, 3)]
    assert [overtaken.chunk("n2", MemoryAsk(1, number, {}), 0) for number in (1, 3, 2)] == [
        chunks[0],
        chunks[2],
        chunks[1],
    ]


def test_an_asker_goes_ahead_once_the_session_is_known_to_be_long() -> None:
    receiver = SyncReceiver("n1", 7, {}, 0)
    assert [ask.chunk for ask in receiver.ask(0)] == [1]
    receiver.chunk = 2
    assert [ask.chunk for ask in receiver.ask(0)] == [2, 3]
    receiver.chunk = 3
    assert [ask.chunk for ask in receiver.ask(0)] == [4]
    assert [ask.chunk for ask in receiver.again(0)] == [3, 4], "both may be lost"


@given(st.integers(1, 10**9), st.lists(st.integers(1, 10**6), min_size=1, max_size=30))
def test_a_cap_lets_through_no_more_than_its_rate(bits: int, sizes: list[int]) -> None:
    cap = Cap(bits)
    for position, size in enumerate(sizes):
        cap.put(5 * S, "n2", position, size)
    kept = [message for _, _, message, _ in cap.queue]
    now, sent, order = 5 * S, 0, []
    while cap.queue:
        for _, position in cap.due(now):
            sent += sizes[position]
            order.append(position)
        assert sent * 8 * S <= bits * (now - 5 * S + len(sizes))
        now = cap.next_ns or now
    assert order == kept == sorted(kept) and len(kept) + cap.dropped == len(sizes) and cap.bytes == 0


def test_what_waits_under_a_cap_is_bounded_in_time_and_bytes() -> None:
    """A peer that asks again and again, or many changes to push, do not fill memory and not the minutes to come."""
    slow = Cap(8_000)
    for number in range(10_000):
        slow.put(0, "n2", number, 1000)
    assert [message for _, _, message, _ in slow.queue] == list(range(60)) and slow.dropped == 9940
    assert slow.free_ns <= QUEUE_NS
    slow.due(30 * S)
    slow.put(30 * S, "n2", "next", 1000)
    assert slow.queue[-1][2] == "next", "there is room again"
    fast = Cap(10**12)
    for number in range(100):
        fast.put(0, "n2", number, 1 << 20)
    assert fast.bytes == QUEUE_BYTES and fast.dropped == 100 - 32
    alone = Cap(8)
    alone.put(0, "n2", "large", 1 << 20)
    assert len(alone.queue) == 1, "one message goes, however long it takes"


def test_without_a_cap_nothing_waits() -> None:
    cap = Cap(0)
    cap.put(3 * S, "n2", "m", 10**9)
    assert cap.due(3 * S) == [("n2", "m")] and cap.next_ns is None


def test_with_a_cap_a_chunk_takes_half_a_second_at_most() -> None:
    assert chunk_bytes_under(0, 256 << 10) == 256 << 10
    assert chunk_bytes_under(64_000, 256 << 10) == 3000
    assert chunk_bytes_under(100, 256 << 10) == 512


@given(st.binary(max_size=2000), st.integers(0, 2))
def test_what_is_packed_is_unpacked(data: bytes, times: int) -> None:
    data = data * (1 + times * 700)
    assert unpack(*pack(data)) == data


@pytest.mark.parametrize(("packed", "text"), [(False, "&"), (True, "AAAA"), (True, "")])
def test_what_is_no_chunk_is_refused(packed: bool, text: str) -> None:
    with pytest.raises(ValueError):
        unpack(packed, text)


def test_a_chunk_that_would_swell_beyond_reason_is_refused() -> None:
    packed, text = pack(b"\0" * (UNPACKED_BYTES + 1))
    assert packed
    with pytest.raises(ValueError, match="more than"):
        unpack(packed, text)


def test_what_a_node_holds_beyond_its_own_vector_is_reported_too() -> None:
    """After a gap in a damaged log a record is there, and the vector does not say so."""
    other, here, there = store("n1", 3), store("n2"), store("n3")
    here.restore("episode", "n1-2", other.records["episode", "n1-2"])
    assert here.vector == {} and list(here.beyond({})) == [("episode", "n1-2")]
    chunk = SyncSource(here, 1000).chunk("n3", MemoryAsk(1, 1, dict(there.vector)), 0)
    assert chunk is not None and take(there, chunk) == 1
    here.advance(other.vector)
    assert list(here.beyond(other.vector)) == []


def test_a_memory_that_went_back_hears_of_a_deletion_that_was_collected() -> None:
    here, there = store("n1", 3), store("n2")
    old = dict(here.records)
    chunk = SyncSource(here, 10_000).chunk("n2", MemoryAsk(1, 1, {}), 0)
    assert chunk is not None and take(there, chunk) == 3
    here.delete("episode", "n1-1", 0)
    chunk = SyncSource(here, 10_000).chunk("n2", MemoryAsk(2, 1, dict(there.vector)), 0)
    assert chunk is not None and take(there, chunk) == 1
    assert here.collectable([there.vector]) == [("episode", "n1-1")]
    here.collect(("episode", "n1-1"))
    back = store("n3")
    for key, state in old.items():
        back.restore(*key, state)
    back.advance({"n1": 3})
    mine = back.change("episode", "n3-own", {"goal": "mine"}, 0)
    chunk = SyncSource(here, 10_000).chunk("n3", MemoryAsk(1, 1, dict(back.vector)), 0)
    assert chunk is not None
    take(back, chunk)
    assert sorted(back.records) == [("episode", "n1-0"), ("episode", "n1-2"), ("episode", "n3-own")]
    assert back.records["episode", "n3-own"] == mine, "no node there had heard of it"
    back.check()


def test_what_is_left_of_an_earlier_life_is_all_there_will_be_of_it() -> None:
    old, now, other = store("n1.1.aa", 2), store("n1.2.bb"), store("n11.1.cc", 1)
    for key, state in [*list(old.records.items())[1:], *other.records.items()]:
        now.restore(*key, state)
    assert now.close("n1") == {"n1.1.aa": 2}
    assert now.vector == {"n1.1.aa": 2}
