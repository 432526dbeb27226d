"""Lists that grow by appends, are put whole, and are read whole, in time linear in all elements read.

With unique elements every list that is read shows after which element each one was appended. States are chains, each rooted in the empty list or in a
put. All that belongs to a chain is contiguous and its order given (`chains`). An acknowledged append that no read shows is a chain of its own; one of
unknown outcome that no read shows is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tribulation.histories.model.columns import ABSENT, NONE_ID, Int64

from ....base.wording import show
from ..parts.chains import Conflict, chain_order, conflict
from ..parts.finding import Finding, Unsuitable
from ..parts.view import Mask, View

_NOWHERE = -1
_INITIAL = -1
"""The chain that begins with the empty list."""


@dataclass(frozen=True, slots=True)
class _Lists:
    """Concatenated lists of reads (and of puts): `owner` is the place, `begin` where it begins, `item` the elements, `at` the place inside."""

    owner: Int64
    begin: Int64
    length: Int64
    item: Int64
    at: Int64

    @property
    def number(self) -> Int64:
        return np.repeat(np.arange(len(self.owner)), self.length)


@dataclass(frozen=True, slots=True)
class _Members:
    """Operations that must have happened, by chain and depth. The virtual beginning has the place -1."""

    place: Int64
    chain: Int64
    group: Int64


def check_append_list(view: View) -> Finding | None:
    members = _members(view)
    if isinstance(members, Finding):
        return members
    found = conflict(members.chain, members.group, *_intervals(view, members))
    return None if found is None else _finding(view, members, found)


def append_list_order(view: View) -> Int64:
    """Return a legal order of the places of a valid list's operations."""
    members = _members(view)
    assert isinstance(members, _Members), "only valid histories have an order"
    order = members.place[chain_order(members.chain, members.group, *_intervals(view, members))]
    kept: Int64 = order[order != _NOWHERE]
    return kept


def _intervals(view: View, members: _Members) -> tuple[Int64, Int64]:
    virtual = members.place == _NOWHERE
    return np.where(virtual, -1, view.start[members.place]), np.where(virtual, -1, view.end[members.place])


def _lists(view: View, places: Int64, rows: Int64) -> _Lists:
    lists = view.columns.lists
    offsets = np.append(lists.offsets, lists.offsets[-1])
    length = np.where(rows == ABSENT, 0, offsets[rows + 1] - offsets[rows])
    bounds = np.append(0, np.cumsum(length))
    at = np.arange(bounds[-1]) - np.repeat(bounds[:-1], length)
    return _Lists(places, bounds[:-1], length, lists.items[np.repeat(offsets[rows], length) + at].astype(np.int64), at)


def _members(view: View) -> _Members | Finding:
    reads = np.flatnonzero(view.called("read", "get") & view.ok)
    puts = np.flatnonzero(view.called("put", "write") & ~view.failed)
    appends = np.flatnonzero(view.called("append") & ~view.failed)
    columns = view.columns
    read_rows, put_rows = columns.result_list[view.rows[reads]], columns.argument_list[view.rows[puts]]
    if ((read_rows == ABSENT) & (view.result[reads] != NONE_ID)).any() or (put_rows == ABSENT).any():
        raise Unsuitable("not every value that is read or written is a list")
    shown, written = _lists(view, reads, read_rows.astype(np.int64)), _lists(view, puts, put_rows.astype(np.int64))
    element = view.argument[appends].astype(np.int64)
    everything = np.concatenate([element, written.item])
    if (written.length == 0).any() or (everything <= NONE_ID).any() or len(np.unique(everything)) < len(everything):
        raise Unsuitable("elements are not unique, or an empty list was written")
    writer = np.full(len(columns.values), _NOWHERE, np.int64)
    writer[element] = appends
    writer[written.item] = np.repeat(puts, written.length)
    unwritten = np.flatnonzero(writer[shown.item] == _NOWHERE)
    if len(unwritten):
        return _unwritten(view, shown, int(unwritten[0]))
    is_put = np.zeros(len(view) + 1, np.bool_)
    is_put[puts] = True
    # Puts of which an element was read determine their order as well.
    seen = np.zeros(len(columns.values), np.bool_)
    seen[shown.item] = True
    if len(puts):
        read_puts = np.add.reduceat(seen[written.item], written.begin) > 0
        part = _lists(view, puts[read_puts], put_rows[read_puts].astype(np.int64))
    else:
        part, read_puts = written, view.ok[puts]
    depth = _depths(view, shown, part)
    if isinstance(depth, Finding):
        return depth
    root = writer[shown.item[np.minimum(shown.begin, max(len(shown.item) - 1, 0))]] if len(shown.item) else reads
    chain = np.where((shown.length > 0) & is_put[root], root, _INITIAL)
    chain_of = np.full(len(columns.values), _INITIAL, np.int64)
    chain_of[part.item] = part.owner[part.number]
    chain_of[shown.item] = chain[shown.number]
    observed = np.flatnonzero(depth >= 0)
    forked = _forked(view, shown, part, observed, chain_of[observed], depth[observed])
    if forked is not None:
        return forked
    inside = _inside_put(view, shown, written, is_put, writer)
    if inside is not None:
        return inside
    kept = view.ok[appends] | seen[element]
    appends, element = appends[kept], element[kept]
    put_kept = view.ok[puts] | read_puts
    # An append that no read shows is a chain of its own, numbered separately from puts and the beginning.
    own = np.where(seen[element], chain_of[element], appends)
    place = np.concatenate([[_NOWHERE], appends, puts[put_kept], reads])
    member_chain = np.concatenate([[_INITIAL], own, puts[put_kept], chain])
    group = np.concatenate([[0], 2 * (depth[element] + 1), 2 * written.length[put_kept], 2 * shown.length + 1])
    order = np.lexsort((group, member_chain))
    place, member_chain, group = place[order], member_chain[order], group[order]
    if len(member_chain) < 2 or member_chain[1] != _INITIAL:
        place, member_chain, group = place[1:], member_chain[1:], group[1:]
    return _Members(place, member_chain, group)


def _depths(view: View, shown: _Lists, part: _Lists) -> Int64 | Finding:
    """Return the place of each observed element in the lists that have it, or the finding that they disagree about it or about what is before it."""
    depth = np.full(len(view.columns.values), -1, np.int64)
    before = np.full(len(view.columns.values), -1, np.int64)
    item, at = np.concatenate([shown.item, part.item]), np.concatenate([shown.at, part.at])
    previous = np.where(at > 0, np.append(-1, item[:-1])[: len(item)], -1)
    depth[item], before[item] = at, previous
    wrong = np.flatnonzero((depth[item] != at) | (before[item] != previous))
    if not len(wrong):
        return depth
    element = int(item[wrong[0]])
    name = show(view.value(element))
    having = np.sort(shown.number[shown.item == element])
    twice = having[1:][having[1:] == having[:-1]]
    if len(twice):
        place = int(shown.owner[twice[0]])
        text = f"{name} was appended once and is in a list more than once: {view.describe(place)}."
        return Finding("duplicate", (place,), text)
    owner = np.concatenate([shown.owner[shown.number], part.owner[part.number]])
    other = np.flatnonzero((item == element) & (at == depth[element]) & (previous == before[element]))[0]
    rows = tuple(sorted((int(owner[wrong[0]]), int(owner[other]))))
    text = f"two lists have {name} after different elements, so they cannot both have been the list: {view.describe_all(rows)}."
    return Finding("incompatible-order", rows, text)


def _forked(view: View, shown: _Lists, part: _Lists, element: Int64, chain: Int64, depth: Int64) -> Finding | None:
    order = np.lexsort((depth, chain))
    element, chain, depth = element[order], chain[order], depth[order]
    twice = np.flatnonzero((chain[1:] == chain[:-1]) & (depth[1:] == depth[:-1]))
    if not len(twice):
        return None
    both = [int(element[twice[0]]), int(element[twice[0] + 1])]
    item = np.concatenate([shown.item, part.item])
    owner = np.concatenate([shown.owner[shown.number], part.owner[part.number]])
    rows = tuple(sorted(int(owner[np.argmax(item == one)]) for one in both))
    names = " and ".join(show(view.value(one)) for one in both)
    text = f"{names} each follow the same elements, so the list forked: {view.describe_all(rows)}."
    return Finding("incompatible-order", rows, text)


def _inside_put(view: View, shown: _Lists, written: _Lists, is_put: Mask, writer: Int64) -> Finding | None:
    full = np.flatnonzero(shown.length > 0)
    last = shown.item[shown.begin[full] + shown.length[full] - 1]
    length = np.zeros(len(view) + 1, np.int64)
    length[written.owner] = written.length
    wrong = np.flatnonzero(is_put[writer[last]] & (shown.length[full] < length[writer[last]]))
    if not len(wrong):
        return None
    rows = int(writer[last[wrong[0]]]), int(shown.owner[full[wrong[0]]])
    return Finding("intermediate-read", rows, f"a part of what was put at once was read: {view.describe_all(rows)}.")


def _unwritten(view: View, shown: _Lists, at: int) -> Finding:
    element, read = int(shown.item[at]), int(shown.owner[shown.number[at]])
    name = show(view.value(element))
    refused = np.flatnonzero(view.called("append") & view.failed & (view.argument == element))
    if len(refused):
        rows = int(refused[0]), read
        text = (
            f"{name} was read although its append was refused and so must never take effect: {view.describe_all(rows)}."
        )
        return Finding("aborted-read", rows, text)
    return Finding("thin-air", (read,), f"{name} was read, which no client tried to append: {view.describe(read)}.")


def _finding(view: View, members: _Members, found: Conflict) -> Finding:
    places = [int(members.place[member]) for member in found.members]
    if found.kind == "inside":
        late, early = places
        rows: tuple[int, ...] = (early, late)
        is_write = not view.called("read", "get")[late]
        ms = view.ms_between(early, late)
        if is_write and view.called("append")[early]:
            rows = (*rows, *_shows(view, rows))
            text = f"a list has them in the reverse order of how they happened: {view.describe_all(rows)}."
            return Finding("future-read", rows, text)
        if is_write:
            text = f"a list was seen before what made it had begun: {view.describe(early)}; then {view.describe(late)}."
            return Finding("future-read", rows, text)
        text = f"{view.describe(late)}, which began {ms} ms after {view.describe(early)} had returned, lacks what that one has."
        return Finding("stale-read", rows, text, {"staleness_ms": ms})
    proof = tuple(sorted({place for place in places if place != _NOWHERE} | _roots(members, found)))
    proof = tuple(sorted({*proof, *_shows(view, proof)}))
    alone = view.called("append")[places[2]] and places[2] == places[3]
    if alone:
        text = f"an acknowledged append is in none of the lists that were read after it: {view.describe_all(proof)}."
        return Finding("lost-write", proof, text)
    text = (
        f"the list would have to be one thing and then another, and then the first again: {view.describe_all(proof)}."
    )
    return Finding("non-monotonic-read", proof, text)


def _shows(view: View, proof: Sequence[int]) -> list[int]:
    """Return for each append of the proof the first read of a list that has its element, unless the proof has one or there is none."""
    lists, rows = view.columns.lists, view.columns.result_list[view.rows]
    reads = np.flatnonzero(view.called("read", "get") & view.ok & (rows != ABSENT))
    shown = {int(read): lists.row(int(rows[read])) for read in reads}
    found: list[int] = []
    for append in (place for place in proof if view.called("append")[place]):
        showing = [read for read, items in shown.items() if view.argument[append] in items]
        if not {*proof, *found} & set(showing):
            found += showing[:1]
    return found


def _roots(members: _Members, found: Conflict) -> set[int]:
    """Return the puts that the two chains begin with."""
    chains = {int(members.chain[member]) for member in found.members}
    return {chain for chain in chains if chain != _INITIAL}
