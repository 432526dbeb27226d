"""A queue as columns: which of its elements went in once and came out once, after they went in. Those need no second look, and usually that is all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tribulation.histories.model.columns import ABSENT, FAIL, INFO, NONE_ID, OK, Columns, Int64

from ...base.selection import Part, of


@dataclass(frozen=True, slots=True)
class Flow:
    """One queue. `rows` are those of elements that need a second look, and of all operations that may have found nothing or taken something unseen;
    `suspects` those elements' values.

    `last_in` is the latest position at which an element was acknowledged; the rest are counts, and ns from an acknowledgement to the delivery.
    """

    rows: Int64
    suspects: Int64
    last_in: int
    attempted: int
    acknowledged: int
    dequeued: int
    recovered: int
    delivery_ns: Int64


def unlike(columns: Columns, part: Part) -> str | None:
    """Return the kind of elements that columns cannot distinguish: `lists` from each other, or `null` from an answer of nothing; None if there are none."""
    rows = part.rows
    enqueues, dequeues = of(columns, "enqueue", rows=rows), of(columns, "dequeue", rows=rows)
    lists = np.where(enqueues, columns.argument_list[rows], columns.result_list[rows]) != ABSENT
    if np.any(lists & (enqueues | dequeues)):
        return "lists"
    blank = enqueues & (columns.type[rows] != FAIL) & (columns.argument[rows] <= NONE_ID)
    nothing = dequeues & (columns.type[rows] == OK) & (columns.result[rows] <= NONE_ID)
    return "null" if np.any(blank) and np.any(nothing) else None


def flow(columns: Columns, part: Part) -> Flow:
    rows = part.rows
    enqueues = rows[of(columns, "enqueue", rows=rows)]
    tried = enqueues[columns.type[enqueues] != FAIL]
    out, taker = _out(columns, rows)
    went_in = columns.argument[tried].astype(np.int64)
    elements, where = np.unique(np.concatenate([went_in, out]), return_inverse=True)
    of_in, of_out = where[: len(tried)], where[len(tried) :]
    times_in = np.bincount(of_in, minlength=len(elements))
    times_out = np.bincount(of_out, minlength=len(elements))
    enqueue, dequeue = np.zeros(len(elements), np.int64), np.zeros(len(elements), np.int64)
    enqueue[of_in], dequeue[of_out] = tried, taker
    once = (times_in == 1) & (times_out == 1)
    late = ~once | (columns.complete[dequeue] > columns.invoke[enqueue])
    unsure = (times_in == 1) & (times_out == 0) & (columns.type[enqueue] == INFO)
    clean = (once & late) | unsure
    suspects = elements[~clean]
    acknowledged = tried[columns.type[tried] == OK]
    last_in = int(columns.complete[acknowledged].max()) if len(acknowledged) else -1
    known = once & (columns.type[enqueue] == OK)
    waited = columns.complete_ns[dequeue[known]] - columns.complete_ns[enqueue[known]]
    return Flow(
        rows=_rows(columns, rows, suspects, out, taker, last_in),
        suspects=suspects,
        last_in=last_in,
        attempted=len(enqueues),
        acknowledged=len(acknowledged),
        dequeued=len(out),
        recovered=_recovered(columns, tried, of_in, times_out),
        delivery_ns=np.maximum(waited, 0),
    )


def _out(columns: Columns, rows: Int64) -> tuple[Int64, Int64]:
    """Return what certainly came out, and the row of the operation that took it."""
    dequeues = rows[of(columns, "dequeue", rows=rows)]
    single = dequeues[(columns.type[dequeues] == OK) & (columns.result[dequeues] > NONE_ID)]
    drains = rows[of(columns, "drain", rows=rows)]
    listed = drains[(columns.type[drains] != FAIL) & (columns.result_list[drains] != ABSENT)]
    many = [columns.lists.row(int(columns.result_list[row])).astype(np.int64) for row in listed]
    taker = np.repeat(listed, [len(row) for row in many]) if len(listed) else np.zeros(0, np.int64)
    return np.concatenate([columns.result[single].astype(np.int64), *many]), np.concatenate([single, taker])


def _recovered(columns: Columns, tried: Int64, of_in: Int64, times_out: Int64) -> int:
    """Return how many elements came out of which every enqueue is of unknown outcome."""
    sure = np.zeros(len(times_out), np.bool_)
    sure[of_in[columns.type[tried] == OK]] = True
    maybe = np.zeros(len(times_out), np.bool_)
    maybe[of_in] = True
    return int(np.sum(maybe & ~sure & (times_out > 0)))


def _rows(columns: Columns, rows: Int64, suspects: Int64, out: Int64, taker: Int64, last_in: int) -> Int64:
    enqueues = of(columns, "enqueue", rows=rows)
    suspected = rows[enqueues & np.isin(columns.argument[rows], suspects)]
    took = taker[np.isin(out, suspects)]
    others = rows[~enqueues]
    late = others[columns.invoke[others] > last_in]
    nothing = late[(columns.type[late] == FAIL) | (columns.result[late] <= NONE_ID)]
    unseen = others[columns.type[others] == INFO]
    return np.unique(np.concatenate([suspected, took, nothing, unseen])).astype(np.int64)
