"""Sets that only grow and are read as a whole, as arrays: the method of `tribulation.checkers.sets.order` for tens of millions of elements read.

In a legal order the reads grow: sorted by size they are a chain by inclusion, so each element is in a suffix of them. The order of everything is then
given, and legal exactly if no operation began after a later one had returned. Of several adds of an element the one that began first may be the
effective one; the others need only come after every read that lacks it. Adds of unknown outcome that no read shows are dropped.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tribulation.histories import canonical
from tribulation.histories.model.columns import ABSENT, Int32, Int64

from ....base.wording import show
from ....sets.order import Disorder, WholeSet
from ....sets.witness import anomaly_of_disorder
from ...sparse import csr_matrix
from ..parts.finding import Finding, Strange
from ..parts.intervals import out_of_order
from ..parts.view import Mask, View


@dataclass(frozen=True, slots=True)
class _Reads:
    """Reads by place, by size and then by start (`rank` is the inverse); `shows` are their elements by element: `shows.indices` are reads.
    `twice`: a read and an element that it shows more than once."""

    place: Int64
    size: Int64
    rank: Int64
    shows: Any
    twice: tuple[int, int] | None = None

    def elements(self, read: int) -> Int32:
        """Ids of what a read shows."""
        found: Int32 = self.shows.tocsr()[read].indices
        return found


@dataclass(frozen=True, slots=True)
class _Line:
    """All operations in their only order: groups of adds and reads. Members that are not `bound`, repeated adds, need not come before what follows
    them.
    """

    place: Int64
    group: Int64
    bound: Mask


def check_grow_set(view: View) -> Finding | None:
    reads = _reads(view)
    line = _line(view, reads)
    if isinstance(line, Finding):
        return line
    found = out_of_order(_begins(view, line), view.end[line.place], line.group)
    if found is None and reads.twice is not None:
        read = int(view.start[reads.place[reads.twice[0]]])
        raise Strange(f"the read of history index {read} shows {show(view.value(reads.twice[1]))} more than once")
    return None if found is None else _disorder(view, reads, line, *found)


def grow_set_order(view: View) -> Int64:
    line = _line(view, _reads(view))
    assert isinstance(line, _Line), "only valid histories have an order"
    start = view.start[line.place]
    running = np.maximum.accumulate(_begins(view, line))
    # A member that is not bound to its group takes effect when it began, if that is later.
    at = np.maximum(running, start)
    return line.place[np.lexsort((start, line.group, at))]


def _begins(view: View, line: _Line) -> Int64:
    return np.where(line.bound, view.start[line.place], -1)


def _reads(view: View) -> _Reads:
    """Return the reads and, transposed, what they show. Elements that occur twice in one read count once."""
    place = np.flatnonzero(view.called("read") & view.ok)
    lists = view.columns.lists
    rows = view.columns.result_list[view.rows[place]]
    offsets = np.append(lists.offsets, lists.offsets[-1])
    begin, length = offsets[rows], np.where(rows == ABSENT, 0, offsets[rows + 1] - offsets[rows])
    bounds = np.concatenate([[0], np.cumsum(length)])
    whole = len(rows) == len(lists.offsets) - 1 and bool((rows == np.arange(len(rows))).all())
    items = lists.items if whole else lists.items[np.repeat(begin - bounds[:-1], length) + np.arange(bounds[-1])]
    shape = (len(place), len(view.columns.values))
    shows = csr_matrix((np.ones(len(items), np.int8), items, bounds), shape=shape).tocsc()
    twice = (shows.indices[1:] == shows.indices[:-1]) & _same_column(shows)
    again = None
    if twice.any():
        kept = np.append(True, ~twice)
        at = int(np.flatnonzero(twice)[0])
        again = int(shows.indices[at]), int(np.searchsorted(shows.indptr, at, side="right")) - 1
        column = np.repeat(np.arange(shape[1]), np.diff(shows.indptr))[kept]
        shows = csr_matrix((np.ones(len(column), np.int8), (shows.indices[kept], column)), shape=shape).tocsc()
        length = np.bincount(shows.indices, minlength=len(place))
    by_size = np.lexsort((view.start[place], length))
    rank = np.empty(len(place), np.int64)
    rank[by_size] = np.arange(len(place))
    return _Reads(place, length.astype(np.int64), rank, shows, again)


def _same_column(shows: Any) -> Mask:
    """Return for each entry but the first whether it is of the same element as the one before."""
    same = np.ones(max(len(shows.indices) - 1, 0), np.bool_)
    begins = shows.indptr[1:-1]
    same[begins[(begins > 0) & (begins < len(shows.indices))] - 1] = False
    return same


def _line(view: View, reads: _Reads) -> _Line | Finding:
    adds = np.flatnonzero(view.called("add") & ~view.failed)
    element = view.argument[adds].astype(np.int64)
    count = np.diff(reads.shows.indptr)
    seen = np.flatnonzero(count)
    wrong = seen[~np.isin(seen, element)]
    if len(wrong):
        return _unwritten(view, reads, int(wrong[0]))
    first = np.full(len(count), len(reads.place), np.int64)
    if len(seen):
        first[seen] = np.minimum.reduceat(reads.rank[reads.shows.indices], reads.shows.indptr[seen])
    broken = seen[count[seen] != len(reads.place) - first[seen]]
    if len(broken):
        return _incomparable(view, reads, int(broken[0]), int(first[broken[0]]))
    by_rank = np.argsort(reads.rank)
    size = reads.size[by_rank]
    stage = np.cumsum(np.append(0, size[1:] != size[:-1])) if len(size) else size
    last = int(stage[-1]) + 1 if len(stage) else 0
    kept = (first[element] < len(reads.place)) | view.ok[adds]
    adds, element = adds[kept], element[kept]
    add_stage = np.append(stage, last)[first[element]]
    # `adds` are by start, so the first of each element is the one that began first.
    earliest = np.zeros(len(adds), np.bool_)
    earliest[np.unique(element, return_index=True)[1]] = True
    place = np.concatenate([adds, reads.place[by_rank]])
    group = np.concatenate([2 * add_stage, 2 * stage + 1])
    bound = np.concatenate([earliest, np.ones(len(by_rank), np.bool_)])
    order = np.argsort(group, kind="stable")
    return _Line(place[order], group[order], bound[order])


def _unwritten(view: View, reads: _Reads, element: int) -> Finding:
    read = view.operation(int(reads.place[reads.shows.indices[reads.shows.indptr[element]]]))
    refused = np.flatnonzero(view.called("add") & view.failed & (view.argument == element))
    value = _element(view, element)
    found = WholeSet(failed={value: view.operation(int(refused[0]))} if len(refused) else {})
    return _finding(Disorder("unwritten", read, None, value), found, view)


def _incomparable(view: View, reads: _Reads, element: int, rank: int) -> Finding:
    by_rank = np.argsort(reads.rank)
    column = reads.shows.indices[reads.shows.indptr[element] : reads.shows.indptr[element + 1]]
    lacks = np.setdiff1d(by_rank[rank:], column)
    small, large = int(by_rank[rank]), int(lacks[np.argmin(reads.rank[lacks])])
    other = int(np.setdiff1d(reads.elements(large), reads.elements(small))[0])
    one, two = view.operation(int(reads.place[large])), view.operation(int(reads.place[small]))
    found = WholeSet(adds={_element(view, item): view.operation(_adder(view, item)) for item in (element, other)})
    return _finding(Disorder("incomparable", one, two, _element(view, element), _element(view, other)), found, view)


def _element(view: View, element: int) -> Hashable:
    """Return an element as a key: it may be a list, which Python cannot hash."""
    key: Hashable = canonical(view.value(element))
    return key


def _adder(view: View, element: int) -> int:
    return int(np.flatnonzero(view.called("add") & ~view.failed & (view.argument == element))[0])


def _disorder(view: View, reads: _Reads, line: _Line, late_at: int, early_at: int) -> Finding:
    late, early = int(line.place[late_at]), int(line.place[early_at])
    is_add = view.called("add")
    if is_add[late] or is_add[early]:
        element = int(view.argument[early if is_add[early] else late])
    else:
        numbers = np.searchsorted(reads.place, [early, late])
        element = int(np.setdiff1d(reads.elements(int(numbers[0])), reads.elements(int(numbers[1])))[0])
    value = _element(view, element)
    found = WholeSet(adds={value: view.operation(early if is_add[early] else _adder(view, element))})
    if np.diff(reads.shows.indptr)[element]:
        found.reads.append((view.operation(early), frozenset([value])))
    shown_by = None
    if is_add[late] and is_add[early]:
        # The proof that one came first: a read that has it and lacks the other.
        numbers = np.setdiff1d(_showing(reads, int(view.argument[late])), _showing(reads, element))
        shown_by = view.operation(int(reads.place[numbers[np.argmin(reads.rank[numbers])]]))
    return _finding(
        Disorder("order", view.operation(late), view.operation(early), value, shown_by=shown_by), found, view
    )


def _showing(reads: _Reads, element: int) -> Int32:
    shown: Int32 = reads.shows.indices[reads.shows.indptr[element] : reads.shows.indptr[element + 1]]
    return shown


def _finding(wrong: Disorder, found: WholeSet, view: View) -> Finding:
    """Word it as `checkers.sets` does. Its anomaly names positions; rows are looked up by them."""
    anomaly = anomaly_of_disorder(wrong, found, None)
    rows = np.searchsorted(view.start, np.array(anomaly.ops))
    details = {name: value for name, value in anomaly.details.items() if name != "key"}
    return Finding(anomaly.kind, tuple(int(row) for row in rows), anomaly.explanation, details)
