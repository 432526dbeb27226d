"""Check that an ok completion answers its invocation: the reported action is the requested one.

A completion may omit the value. Where it repeats one, a write (or cas, enqueue, push) of another value, or a transaction of other parts, is not an
answer. A checker of such a history would check something that did not happen. What reads return is not restricted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .canonical import same
from .columns import ABSENT, NONE_ID, OK, READ, Columns, Int64
from .ragged import KINDS

REPEATED = frozenset({"write", "cas", "enqueue", "push"})
"""Operations whose ok completion can only repeat the value, or omit it."""


def answers(f: str, argument: Any, result: Any) -> bool:
    """Return whether `result`, of an ok completion, can be that of `f` with `argument`."""
    if argument is None or result is None:
        return True
    if f == "txn" and isinstance(argument, Sequence) and isinstance(result, Sequence):
        return len(argument) == len(result) and all(map(_same_part, argument, result))
    return f not in REPEATED or same(argument, result)


def _same_part(asked: Any, done: Any) -> bool:
    if len(asked) < 3 or len(done) < 3:
        return True  # refused elsewhere, because it is not a part of a transaction
    kind = KINDS.get(asked[0])
    if kind != KINDS.get(done[0]) or not same(asked[1], done[1]):
        return False
    return kind == READ or same(_operand(asked), _operand(done))


def _operand(part: Sequence[Any]) -> Any:
    """Return the operand. A cas may have its two values separately."""
    return part[2] if len(part) == 3 else list(part[2:])


def unanswered(columns: Columns) -> Int64:
    """The rows whose ok completion does not answer the invocation, in order."""
    repeated = [code for code, name in enumerate(columns.f_names) if name in REPEATED]
    answered = (columns.type == OK) & np.isin(columns.f, repeated)
    lists = answered & (columns.argument_list != ABSENT)
    scalars = answered & (columns.argument != ABSENT) & (columns.argument != NONE_ID)
    listed = columns.result_list != ABSENT
    said = (columns.result != ABSENT) & (columns.result != NONE_ID)
    wrong = (scalars & (listed | (said & (columns.argument != columns.result)))) | (lists & said)
    rows = np.flatnonzero(lists & listed)
    wrong[rows] |= _unlike_lists(columns, columns.argument_list[rows], columns.result_list[rows])
    if columns.txns is not None:
        rows = np.flatnonzero((columns.type == OK) & (columns.argument_txn != ABSENT) & (columns.result_txn != ABSENT))
        wrong[rows] |= _unlike_txns(columns, columns.argument_txn[rows], columns.result_txn[rows])
    return np.flatnonzero(wrong)


def _unlike_lists(columns: Columns, asked: npt.NDArray[Any], done: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return which pairs of rows of `Lists` differ."""
    items = columns.lists.items
    return _unlike(columns.lists.offsets, asked, done, lambda here, there: items[here] != items[there])


def _unlike_txns(columns: Columns, asked: npt.NDArray[Any], done: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return which pairs of rows of `Txns` differ in the kinds or keys of their parts, or in values other than reads."""
    txns = columns.txns
    assert txns is not None

    def unlike(here: Int64, there: Int64) -> npt.NDArray[np.bool_]:
        wrong: npt.NDArray[np.bool_] = (txns.kind[here] != txns.kind[there]) | (txns.key[here] != txns.key[there])
        written = ~wrong & (txns.kind[here] != READ)
        wrong |= written & (txns.value[here] != txns.value[there])
        listed = np.flatnonzero(written & (txns.list[here] != ABSENT) & (txns.list[there] != ABSENT))
        wrong[listed] |= _unlike_lists(columns, txns.list[here][listed], txns.list[there][listed])
        return wrong

    return _unlike(txns.offsets, asked, done, unlike)


def _unlike(
    offsets: Int64,
    asked: npt.NDArray[Any],
    done: npt.NDArray[Any],
    unlike: Callable[[Int64, Int64], npt.NDArray[np.bool_]],
) -> npt.NDArray[np.bool_]:
    """Return which pairs of ragged rows have different lengths, or a place at which `unlike(places, places)` holds."""
    lengths = offsets[asked + 1] - offsets[asked]
    wrong: npt.NDArray[np.bool_] = lengths != offsets[done + 1] - offsets[done]
    same = np.flatnonzero(~wrong)
    counts = lengths[same]
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    pair = np.repeat(same, counts)
    wrong[pair[unlike(offsets[asked][pair] + within, offsets[done][pair] + within)]] = True
    return wrong
