"""Chains of states: operations that must follow each other without an operation of another chain between them, as intervals.

The zone of a chain lies between its first return f and its last invocation s. If f < s it is *forward*: the chain holds the object during all of [f,
s]. Otherwise all its operations are open during (s, f), and it may be placed at any moment of that. A legal order exists exactly if each chain is in
order inside, no two forward zones overlap, and no other zone lies inside a forward one (Gibbons and Korach, "Testing shared memories", 1997).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tribulation.histories.model.columns import Int64

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Conflict:
    """`kind` is `inside` (late, early: both of one chain), or `overlap` or `within` (first return and last invocation of the one and of the other)."""

    kind: str
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Zones:
    """Zone of each chain: the members (places in the arrays given) that return first and that begin last, and whether the zone is forward."""

    first: Int64
    last: Int64
    forward: Mask


def conflict(chain: Int64, group: Int64, start: Int64, end: Int64) -> Conflict | None:
    """Return why these operations have no legal order; None if they have one. They must be sorted by (chain, group); inside a group any order is
    allowed.
    """
    if not len(chain):
        return None
    return _inside(chain, group, start, end) or _crossing(zones(chain, start, end), start, end)


def _inside(chain: Int64, group: Int64, start: Int64, end: Int64) -> Conflict | None:
    """Check the order inside each chain, as `out_of_order` does: positions are separated by chain, so that one accumulation serves all."""
    # Ends after all starts are equivalent, so they need no room of their own.
    most = int(start.max(initial=0)) + 2
    number = np.cumsum(np.append(0, chain[1:] != chain[:-1])) * most
    before = np.maximum.accumulate(start + number)
    after = np.minimum.accumulate((np.minimum(end, most - 1) + number)[::-1])[::-1]
    border = np.flatnonzero((chain[1:] == chain[:-1]) & (group[1:] != group[:-1])) + 1
    broken = border[before[border - 1] > after[border]]
    if not len(broken):
        return None
    at = int(broken[0])
    begin, finish = np.searchsorted(chain, chain[at]), np.searchsorted(chain, chain[at], side="right")
    return Conflict("inside", (int(begin + np.argmax(start[begin:at])), at + int(np.argmin(end[at:finish]))))


def zones(chain: Int64, start: Int64, end: Int64) -> Zones:
    begin = np.flatnonzero(np.append(True, chain[1:] != chain[:-1]))
    first = _where_extreme(chain, begin, end, np.minimum)
    last = _where_extreme(chain, begin, start, np.maximum)
    return Zones(first, last, end[first] < start[last])


def _where_extreme(chain: Int64, begin: Int64, values: Int64, which: np.ufunc) -> Int64:
    extreme = which.reduceat(values, begin)
    number = np.cumsum(np.append(0, chain[1:] != chain[:-1]))
    hits = np.flatnonzero(values == extreme[number])
    return hits[np.searchsorted(number[hits], np.arange(len(begin)))]


def _crossing(found: Zones, start: Int64, end: Int64) -> Conflict | None:
    forward = np.flatnonzero(found.forward)
    forward = forward[np.argsort(end[found.first[forward]], kind="stable")]
    begin, finish = end[found.first[forward]], start[found.last[forward]]
    overlap = np.flatnonzero(begin[1:] < finish[:-1])
    if len(overlap):
        one, other = forward[overlap[0]], forward[overlap[0] + 1]
        return Conflict("overlap", _four(found, int(one), int(other)))
    rest = np.flatnonzero(~found.forward)
    before = np.searchsorted(begin, start[found.last[rest]]) - 1
    within = np.flatnonzero((before >= 0) & (np.append(finish, -1)[before] > end[found.first[rest]]))
    if len(within):
        return Conflict("within", _four(found, int(forward[before[within[0]]]), int(rest[within[0]])))
    return None


def _four(found: Zones, one: int, other: int) -> tuple[int, ...]:
    return tuple(int(place) for place in (found.first[one], found.last[one], found.first[other], found.last[other]))


def chain_order(chain: Int64, group: Int64, start: Int64, end: Int64) -> Int64:
    """Return a legal order of the members, given that there is no conflict: forward chains by their zones, the others in the room between them."""
    if not len(chain):
        return chain
    found = zones(chain, start, end)
    fences_begin = np.sort(end[found.first[found.forward]])
    number = np.cumsum(np.append(0, chain[1:] != chain[:-1]))
    forward = found.forward[number]
    at = np.where(forward, end[found.first[number]], _room(found, start, end, fences_begin)[number])
    inner = np.lexsort((start, group, number))
    # Chains do not mix: by the moment of the chain, and the forward chain that ends there before those placed after it.
    moment = at[np.searchsorted(number, np.arange(number[-1] + 1))] if len(number) else at
    chains = np.lexsort((~found.forward, moment))
    rank = np.empty(len(chains), np.int64)
    rank[chains] = np.arange(len(chains))
    found_order: Int64 = inner[np.argsort(rank[number[inner]], kind="stable")]
    return found_order


def _room(found: Zones, start: Int64, end: Int64, begins: Int64) -> Int64:
    """Return for each chain that is not forward a moment of its zone that is in no forward zone."""
    forward = np.flatnonzero(found.forward)
    forward = forward[np.argsort(end[found.first[forward]], kind="stable")]
    finish = start[found.last[forward]]
    begin = start[found.last]
    before = np.searchsorted(begins, begin) - 1
    moment: Int64 = np.maximum(begin, np.append(finish, -1)[before])
    return moment
