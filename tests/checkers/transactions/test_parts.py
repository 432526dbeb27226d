"""Pieces of the transaction checkers that only large or unlucky histories reach, each against its plain definition."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

from tribulation.checkers import Verdict
from tribulation.checkers.transactions.graph.zone_order import _smallest
from tribulation.checkers.transactions.table.table import transactions
from tribulation.checkers.transactions.weak import weak_levels
from tribulation.histories import Event, History, Type

from .random_txns import Shape, random_history
from .stories import history, judge, kinds, parse


@pytest.mark.parametrize("seed", range(30))
def test_the_smallest_of_many_slices(seed: int) -> None:
    random = Random(seed)
    count = random.randint(1, 40)
    values = [random.randint(0, 9) for _ in range(count)]
    slices = [(begin, random.randint(1, count - begin)) for begin in random.choices(range(count), k=15)]
    start, size = (np.array(column, np.int64) for column in zip(*slices, strict=True))
    found = _smallest(np.array(values, np.int64), start, size)
    for place, (begin, length) in zip(found.tolist(), slices, strict=True):
        assert begin <= place < begin + length and values[place] == min(values[begin : begin + length])


def test_many_versions_that_a_stale_reader_jumps_over_are_reported_by_the_first() -> None:
    """Twelve writes, one after the other, and as many readers of the first that come after all of them."""
    text = "\n".join([*(f"p0 wx{number}" for number in range(1, 13)), *(f"p{number} rx1" for number in range(1, 13))])
    result = judge("rw-register", text, {"consistency": "strict-serializable"})
    assert result.verdict is Verdict.INVALID
    assert set(kinds(result)) <= {"G-single-realtime", "G-single-process"}, kinds(result)


@pytest.mark.parametrize("seed", range(12))
def test_an_order_of_transactions_does_not_rest_on_how_components_are_numbered(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    txns = random_history(Random(seed), Shape(lists=False, transactions=8, wrong=0.3))
    before = judge("causal", txns)
    numbered = weak_levels.labels
    monkeypatch.setattr(weak_levels, "labels", lambda *given: -numbered(*given))
    after = judge("causal", txns)
    assert (after.verdict, kinds(after)) == (before.verdict, kinds(before))


def test_violations_of_a_guarantee_are_all_counted_though_few_are_reported() -> None:
    text = "\n".join(f"p{number} w{key}1\np{number} r{key}_" for number, key in enumerate("abcdefghijklmnop"))
    result = judge("session-guarantees", text, {"consistency": "read-your-writes"})
    assert result.stats["anomalies"]["read-your-writes"] == 16 > len(result.anomalies)


def test_what_is_no_transaction_is_none() -> None:
    txns = list(history(parse("p0 ax1\np1 rx[1]")))
    reads = [Event(4, 4, 9, Type.INVOKE, "read", None, "k"), Event(5, 5, 9, Type.OK, "read", 7, "k")]
    result = judge("list-append", History([*txns, *reads]))
    assert (result.verdict, result.stats["transactions"]) == (Verdict.VALID, 2)


ELEMENTS = [[5], [], [None], [[5]], {"a": [5]}, frozenset({5})]


def _txns(*parts: Any) -> History:
    """Transactions of one part, one after the other, each of a process of its own: (asked, done)."""
    events = []
    for number, (asked, done) in enumerate(parts):
        events += [
            Event(2 * number, 2 * number, number, Type.INVOKE, "txn", [asked]),
            Event(2 * number + 1, 2 * number + 1, number, Type.OK, "txn", [done]),
        ]
    return History(events)


@pytest.mark.parametrize("level", ["strict-serializable", "causal", "read-atomic", "read-committed"])
@pytest.mark.parametrize("element", ELEMENTS, ids=repr)
def test_lists_are_values_like_others(element: Any, level: str) -> None:
    """What was appended or written is found in what was read, also where it is itself a list."""
    options = {"consistency": level}
    append, read = ["append", "x", element], ["r", "x", None]
    seen = _txns((append, append), (read, ["r", "x", [element]]))
    assert judge("list-append", seen, options).verdict is Verdict.VALID
    never = _txns((append, append), (read, ["r", "x", [element, [7]]]))
    assert "thin-air-read" in kinds(judge("list-append", never, options))
    write = ["w", "x", element]
    seen = _txns((write, write), (read, ["r", "x", element]))
    assert judge("rw-register", seen, options).verdict is Verdict.VALID
    never = _txns((write, write), (read, ["r", "x", [7]]))
    assert "thin-air-read" in kinds(judge("rw-register", never, options))


def test_a_stale_read_of_a_list_is_found() -> None:
    one, two, read = ["w", "x", [1]], ["w", "x", [2]], ["r", "x", None]
    history = _txns((one, one), (two, two), (read, ["r", "x", [1]]))
    assert judge("rw-register", history).verdict is Verdict.INVALID


def test_the_pair_of_a_cas_that_no_register_knows_is_not_a_value_that_was_written() -> None:
    """Two unknown transactions have the same pair: taken for a value, it was written twice, and correct histories had cycles."""

    def txn(process: int, at: int, kind: Type, *mops: list[Any]) -> Event:
        return Event(at, at, process, kind, "txn", [list(mop) for mop in mops])

    cas = ["cas", "x", -1, -1]
    events = [
        txn(0, 0, Type.INVOKE, ["w", "x", 1]),
        txn(0, 1, Type.OK, ["w", "x", 1]),
        txn(1, 2, Type.INVOKE, ["w", "y", 5], cas),
        txn(1, 3, Type.INFO, ["w", "y", 5], cas),
        txn(2, 4, Type.INVOKE, ["w", "y", 6], cas),
        txn(2, 5, Type.INFO, ["w", "y", 6], cas),
        txn(0, 6, Type.INVOKE, ["r", "x", None], ["r", "y", None]),
        txn(0, 7, Type.OK, ["r", "x", 1], ["r", "y", 5]),
    ]
    columns = History(events).columns
    table = transactions(columns)
    assert not any(
        columns.values[value] == [-1, -1] for value in table.value.tolist() if 0 <= value < len(columns.values)
    )
    assert all(value < len(columns.values) for value in table.value.tolist())
