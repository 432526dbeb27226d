"""Generator combinators, each as a short story."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tribulation.harness.systems.base import Op, Outcome
from tribulation.harness.workloads.generators import (
    Context,
    Generator,
    each,
    limit,
    listed,
    mix,
    per_key,
    sequence,
    shared,
    stagger,
    time_limit,
    until_ok,
)


def take(generator: Generator, count: int, outcomes=None, seed: int = 1, now_ns: int = 0):
    emitted = []
    for i in range(count):
        emit, generator = generator.next(Context(seed, "w", 0, 1, i, now_ns))
        if emit is None:
            break
        emitted.append(emit)
        if outcomes:
            generator = generator.update(emit.op, outcomes[i])
    return emitted


reads = each(lambda context: Op("read", "k"))
writes = each(lambda context: Op("write", "k", context.count))


def test_limit_and_sequence_run_one_after_the_other():
    fs = [emit.op.f for emit in take(sequence(limit(2, reads), limit(3, writes)), 10)]
    assert fs == ["read", "read", "write", "write", "write"]


def test_mix_follows_its_weights_and_skips_what_is_exhausted():
    fs = [emit.op.f for emit in take(mix({limit(3, reads): 90, limit(5, writes): 10}), 100)]
    assert sorted(fs) == ["read"] * 3 + ["write"] * 5
    assert "write" not in [emit.op.f for emit in take(mix({reads: 1, writes: 0}), 50)]


@given(st.integers(1, 10**9), st.integers(0, 2**32))
def test_stagger_keeps_order_and_mean(mean_ns: int, seed: int):
    times = [emit.at_ns for emit in take(stagger(mean_ns, reads), 200, seed=seed)]
    assert times == sorted(times)
    assert times[-1] <= 200 * 2 * mean_ns
    assert times[-1] >= 200 * mean_ns * 0.6


def test_time_limit_ends_by_due_time_and_by_asking_time():
    assert all(emit.at_ns < 1000 for emit in take(time_limit(1000, stagger(50, reads)), 100))
    assert take(time_limit(1000, reads), 5, now_ns=1000) == []


def test_until_ok_repeats_what_failed():
    outcomes = [Outcome("fail"), Outcome("info"), Outcome("ok"), Outcome("ok")]
    assert len(take(until_ok(reads), 4, outcomes)) == 3


def test_per_key_visits_each_key_until_it_is_done():
    outcomes = [Outcome("fail"), Outcome("ok"), Outcome("fail"), Outcome("fail"), Outcome("fail")]
    generator = per_key(("a", "b"), lambda key: until_ok(limit(2, each(lambda _: Op("read", key)))))
    assert [emit.op.key for emit in take(generator, 9, outcomes)] == ["a", "a", "b", "b"]


def test_shared_keys_are_each_visited_by_one_client():
    generator = shared(("a", "b", "c", "d", "e"), lambda key: listed([Op("spawn", key)]))
    visited = []
    for client in range(2):
        state: Generator = generator
        while True:
            emit, state = state.next(Context(1, "w", client, 2, len(visited), 0))
            if emit is None:
                break
            visited.append((client, emit.op.key))
    assert visited == [(0, "a"), (0, "c"), (0, "e"), (1, "b"), (1, "d")]


def test_listed_gives_each_once():
    ops = [Op("read", "a"), Op("read", "b")]
    assert [emit.op for emit in take(listed(ops), 9)] == ops
