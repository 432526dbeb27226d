"""Checks of witnesses: the operations that an anomaly names must be without a legal order by themselves, and show what its kind says.

Trying all orders of them (`oracle`) knows nothing of how they were found. That is sound where a witness is whole: what it leaves out neither
makes the rest legal and is not needed for it, so all checkers of single objects promise it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import permutations
from typing import Any

from tribulation.checkers import Anomaly
from tribulation.histories import Operation, Type

from .oracle import linearizable

READS = frozenset({"read", "get", "dequeue", "drain", "pop", "poll", "delete-min", "contains"})


def assert_proves(
    anomaly: Anomaly,
    ops: Sequence[Operation],
    apply: Callable[[Any, Operation], Any],
    initial: Any,
    story: str,
) -> None:
    """`ops` are all operations of the object; `apply` and `initial` are what `oracle` takes."""
    proof = named(anomaly, ops, story)
    assert not linearizable(proof, apply, initial), f"the witness {anomaly.ops} proves nothing by itself: {story}"
    assert_shows(anomaly, proof, ops, story)


def named(anomaly: Anomaly, ops: Iterable[Operation], story: str) -> list[Operation]:
    """The witness. Each of its indices is that of an invocation, and none is there twice."""
    wanted = set(anomaly.ops)
    proof = [op for op in ops if op.invoke_index in wanted]
    assert proof and len(proof) == len(anomaly.ops), f"the witness names {anomaly.ops}: {story}"
    assert anomaly.explanation, story
    return proof


def assert_shows(anomaly: Anomaly, proof: Sequence[Operation], ops: Sequence[Operation], story: str) -> None:
    """That the kind is what the operations show, for kinds of which it can be said in a line."""
    if anomaly.kind in ALONE:
        assert ALONE[anomaly.kind](proof), f"{anomaly.kind} is not what {anomaly.ops} shows: {story}"
    if anomaly.kind in PAIRS:
        pairs = permutations(proof, 2)
        assert any(PAIRS[anomaly.kind](one, other) for one, other in pairs), (
            f"{anomaly.kind} is not what two of {anomaly.ops} show: {story}"
        )
    if anomaly.kind == "thin-air" and any(op.f in ("dequeue", "drain", "pop", "poll") for op in proof):
        (take,) = proof
        put = {value for op in ops if op is not take for value in values(op.argument)}
        assert not set(values(take.result)) <= put, f"{anomaly.ops} took what was put in: {story}"


def values(of: Any) -> list[Any]:
    return list(of) if isinstance(of, (list, tuple)) else [] if of is None else [of]


def before(one: Operation, other: Operation) -> bool:
    return one.complete_index is not None and one.type is not Type.INFO and one.complete_index < other.invoke_index


def _alike(one: Operation, other: Operation) -> bool:
    """Whether both are lists of which one is the beginning of the other."""
    some, more = (values(op.result if op.f in READS else op.argument) for op in (one, other))
    return some[: len(more)] == more[: len(some)]


ALONE: dict[str, Callable[[Sequence[Operation]], bool]] = {
    "aborted-read": lambda proof: any(op.type is Type.FAIL for op in proof) and len(proof) <= 3,
    "false-mismatch": lambda proof: any(op.type is Type.FAIL for op in proof),
    "duplicate": lambda proof: len(proof) <= 3,
    "duplicate-token": lambda proof: len(proof) == 2 and len({op.result for op in proof}) == 1,
    "token-order": lambda proof: len(proof) == 2,
    "double-acquire": lambda proof: sum(op.f == "acquire" for op in proof) >= 2,
    "bad-release": lambda proof: any(op.f == "release" for op in proof),
    "fifo-order": lambda proof: len(proof) == 4,
    "lifo-order": lambda proof: len(proof) >= 3,
    "not-empty": lambda proof: any(not values(op.result) and op.f in READS for op in proof),
    "cas-cycle": lambda proof: all(op.f == "cas" or op.type is Type.OK for op in proof),
    "intermediate-read": lambda proof: len(proof) == 2,
}
"""Kind → what its operations must be."""

PAIRS: dict[str, Callable[[Operation, Operation], bool]] = {
    "future-read": before,
    "fifo-order": before,
    "stale-read": before,
    "lost-write": before,
    "priority-inversion": lambda one, other: one.f not in READS and other.f in READS and one.argument != other.result,
    "token-order": lambda one, other: before(one, other) and one.result > other.result,
    "incompatible-order": lambda one, other: not _alike(one, other),
    "incomparable-reads": lambda one, other: bool(
        set(values(one.result)) - set(values(other.result)) and set(values(other.result)) - set(values(one.result))
    ),
    "read-after-removal": lambda one, other: one.f == "remove" and other.f != "remove" and before(one, other),
}
"""Kind → what two of its operations must be to each other, in one of both orders."""
