"""`after`: nothing is performed before every write that it names has succeeded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.node.runtime.loop.gate import Gate


def test_waits_for_all_and_keeps_the_order_of_emission() -> None:
    gate, seen = Gate(), []
    gate.emitted(1, ())
    gate.emitted(2, (1,))
    gate.perform((1, 2), lambda: seen.append("both"))
    gate.perform((2,), lambda: seen.append("second"))
    gate.perform((), lambda: seen.append("free"))
    assert seen == ["free"]
    gate.settle(1, True)
    assert seen == ["free"]
    gate.settle(2, True)
    assert seen == ["free", "both", "second"]
    gate.perform((1, 2), lambda: seen.append("late"))
    assert seen[-1] == "late"


def test_a_failed_write_releases_nothing_now_or_later() -> None:
    gate, seen = Gate(), []
    gate.emitted(1, ())
    gate.emitted(2, ())
    gate.perform((1, 2), lambda: seen.append("held"))
    gate.settle(1, False)
    gate.settle(2, True)
    gate.perform((1,), lambda: seen.append("late"))
    assert seen == []


def test_a_core_that_waits_for_what_it_never_wrote_is_wrong() -> None:
    gate = Gate()
    gate.emitted(5, ())
    with pytest.raises(AssertionError, match="operation 6, which was never emitted"):
        gate.perform((6,), lambda: None)
    with pytest.raises(AssertionError, match="emitted twice"):
        gate.emitted(5, ())


@given(st.integers(1, 8), st.data())
def test_any_order_of_completion(count: int, data: st.DataObject) -> None:
    gate, done, released = Gate(), set(), []
    for op in data.draw(st.permutations(range(count))):
        gate.emitted(op, ())
    waits = data.draw(st.lists(st.sets(st.integers(0, count - 1), max_size=3), max_size=6))

    def release(number: int) -> None:
        assert waits[number] <= done
        released.append(number)

    for number, ops in enumerate(waits):
        gate.perform(tuple(sorted(ops)), lambda number=number: release(number))
    for op in data.draw(st.permutations(range(count))):
        done.add(op)
        gate.settle(op, True)
    assert sorted(released) == list(range(len(waits)))


def test_a_long_life_takes_no_memory() -> None:
    gate = Gate()
    gate.MAX_REMEMBERED = 1000
    for op in range(2, 20_000):  # 1 is skipped for good
        gate.emitted(op, (op - 1,) if op > 2 else ())
        gate.settle(op, True)
    assert len(gate._done) <= 1001
    gate.perform((19_999, 5), lambda: None)
    with pytest.raises(AssertionError, match="never emitted"):
        gate.perform((20_000,), lambda: None)


def test_a_disk_that_stands_still_fills_no_memory() -> None:
    """What is beyond the bound is refused, so that its owner can count it; room comes back with the disk."""
    gate, seen = Gate(limit=2), []
    gate.emitted(1, ())
    gate.emitted(2, ())
    assert gate.perform((1,), lambda: seen.append("a")) and gate.perform((1, 2), lambda: seen.append("b"))
    assert not gate.perform((2,), lambda: seen.append("c"))
    assert gate.perform((), lambda: seen.append("free"))
    gate.settle(1, True)
    assert gate.perform((2,), lambda: seen.append("d"))
    gate.settle(2, True)
    assert seen == ["free", "a", "b", "d"]
