"""Verdicts against every order of a few transactions; a sample here, any number with TRI_FUZZ (histories a kind)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from random import Random

import pytest

from checkers import Verdict

from . import oracle
from .random_txns import Shape, random_history, scattered
from .stories import Txn, judge

COUNT = int(os.environ.get("TRI_FUZZ", "100"))
SERIALIZABLE = ("serializable", "strong-session-serializable", "strict-serializable")
SNAPSHOT = ("snapshot-isolation", "strong-session-snapshot-isolation", "strong-snapshot-isolation")
GUARANTEES = ("read-your-writes", "monotonic-reads", "monotonic-writes", "writes-follow-reads", "PRAM")


def compare(
    name: str,
    level: str | None,
    make: Callable[[Random], Sequence[Txn]],
    holds: Callable[[Sequence[Txn]], bool],
    exact: Callable[[Sequence[Txn]], bool] = lambda txns: True,
) -> None:
    """An invalid history must be one by the oracle too; where the checker is exact, a valid one as well."""
    seen: set[Verdict] = set()
    for number in range(COUNT):
        seed = f"{name}/{level}/{number}"
        txns = make(Random(seed))
        found = judge(name, txns, {"consistency": level} if level else {}).verdict
        seen.add(found)
        if found is Verdict.INVALID:
            assert not holds(txns), f"false alarm, seed {seed}: {txns}"
        if found is Verdict.VALID and exact(txns):
            assert holds(txns), f"missed, seed {seed}: {txns}"
    assert {Verdict.VALID, Verdict.INVALID} <= seen, f"only {seen}: nothing was tried"


def shaped(**fields: object) -> Callable[[Random], Sequence[Txn]]:
    return lambda random: random_history(random, Shape(**fields))  # type: ignore[arg-type]


@pytest.mark.parametrize("level", SERIALIZABLE)
def test_lists_serializable(level: str) -> None:
    compare("list-append", level, shaped(), lambda txns: oracle.serializable(txns, level))


@pytest.mark.parametrize("level", SNAPSHOT)
def test_lists_snapshot_isolated(level: str) -> None:
    compare("list-append", level, shaped(transactions=4, wrong=0.5), lambda txns: oracle.snapshot_isolated(txns, level))


@pytest.mark.parametrize("level", SERIALIZABLE)
def test_registers_never_a_false_alarm(level: str) -> None:
    compare(
        "rw-register", level, shaped(lists=False), lambda txns: oracle.serializable(txns, level), lambda txns: False
    )


@pytest.mark.parametrize("level", ("serializable", "strict-serializable"))
def test_registers_written_after_reading_exactly(level: str) -> None:
    compare(
        "rw-register", level, shaped(lists=False, rmw=True, unknown=0.0), lambda txns: oracle.serializable(txns, level)
    )


@pytest.mark.parametrize("level", ("snapshot-isolation", "strong-snapshot-isolation"))
def test_registers_snapshot_isolated(level: str) -> None:
    make = shaped(lists=False, rmw=True, unknown=0.0, transactions=4)
    compare("rw-register", level, make, lambda txns: oracle.snapshot_isolated(txns, level))


@pytest.mark.parametrize("lists", (False, True))
@pytest.mark.parametrize("level", ("read-committed", "read-atomic", "causal"))
def test_weak_levels(level: str, lists: bool) -> None:
    compare(level, None, shaped(lists=lists, wrong=0.5), lambda txns: oracle.weak(txns, level))


@pytest.mark.parametrize("lists", (False, True))
def test_sequential_keys(lists: bool) -> None:
    compare("sequential-keys", None, shaped(lists=lists, transactions=6, most=2), oracle.sequential_keys)


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_session_guarantees(guarantee: str) -> None:
    # Of what a process read before it wrote, writes-follow-reads takes only the last: never a false alarm, but not all.
    exact = guarantee != "writes-follow-reads"
    compare(
        "session-guarantees",
        guarantee,
        scattered,
        lambda txns: oracle.session_guarantee(txns, guarantee),
        lambda txns: exact,
    )
