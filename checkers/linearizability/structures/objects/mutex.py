"""Locks without tokens, in O(n log n).

Where every owner (the one that operations name, else the process) acquires and releases by turns, the k-th acquire and the k-th release of an owner
are one *session*. Sessions are chains: no other owner may act between the two. An acquire of unknown outcome that was not released is dropped. The
release of unknown outcome that ends a session may have happened at any time since. Other uses are left to the general search.
"""

from __future__ import annotations

import numpy as np

from tribulation.histories.model.columns import NONE_ID, OPEN, Int64

from ....models.operation_names import ACQUIRES, RELEASES
from ..parts.chains import Conflict, chain_order, conflict
from ..parts.finding import Finding, Unsuitable
from ..parts.view import View


def check_mutex(view: View) -> Finding | None:
    places, session, group = _sessions(view)
    found = conflict(session, group, *_intervals(view, places))
    return None if found is None else _finding(view, found, places, session)


def mutex_order(view: View) -> Int64:
    """Return a legal order of the places of a valid lock's operations."""
    places, session, group = _sessions(view)
    order = chain_order(session, group, *_intervals(view, places))
    kept: Int64 = places[order]
    return kept[kept >= 0]


def _sessions(view: View) -> tuple[Int64, Int64, Int64]:
    """Return places, sessions (numbered) and 0 for an acquire, 1 for its release, sorted so. A session that was never released has the place -1 there."""
    acquire, release = view.called(*ACQUIRES), view.called(*RELEASES)
    places = np.flatnonzero((acquire | release) & ~view.failed)
    owner = _owners(view, places)
    order = np.argsort(owner, kind="stable")
    places, owner = places[order], owner[order]
    lock = acquire[places]
    # An acquire of unknown outcome that its owner did not release: another acquire follows, of any owner, or nothing.
    optional = lock & view.info[places] & np.append(lock[1:], True)[: len(lock)]
    places, owner, lock = places[~optional], owner[~optional], lock[~optional]
    if not len(places):
        return places, places, places
    first = np.append(True, owner[1:] != owner[:-1])
    if (lock[1:] == lock[:-1])[~first[1:]].any() or not lock[first].all():
        raise Unsuitable("an owner acquires twice, or releases what it did not acquire")
    overlap = view.end[places[:-1]] > view.start[places[1:]]
    if (overlap & ~first[1:] & view.ok[places[:-1]]).any():
        raise Unsuitable("an owner acts before its own operation has returned")
    session = np.cumsum(lock) - 1
    open_ = np.flatnonzero(np.append(lock[1:], True) & lock)
    all_places = np.concatenate([places, np.full(len(open_), -1)])
    all_sessions = np.concatenate([session, session[open_]])
    group = np.concatenate([(~lock).astype(np.int64), np.ones(len(open_), np.int64)])
    ordered = np.lexsort((group, all_sessions))
    return all_places[ordered], all_sessions[ordered], group[ordered]


def _owners(view: View, places: Int64) -> Int64:
    named = view.argument[places]
    return (named if len(named) and (named > NONE_ID).all() else view.process[places]).astype(np.int64)


def _intervals(view: View, places: Int64) -> tuple[Int64, Int64]:
    """Return the intervals of the places; a release that never came begins after everything."""
    missing = places < 0
    behind = int(max(view.start.max(initial=0), np.where(view.end < OPEN, view.end, 0).max(initial=0))) + 1
    return np.where(missing, behind, view.start[places]), np.where(missing, OPEN, view.end[places])


def _finding(view: View, found: Conflict, places: Int64, session: Int64) -> Finding:
    if found.kind == "inside":
        late, early = (int(places[member]) for member in found.members)
        text = f"a lock was released before its acquire had begun: {view.describe(early)}; then {view.describe(late)}."
        return Finding("bad-release", (early, late), text)
    both = np.isin(session, session[list(found.members)])
    rows = sorted(int(place) for place in places[both] if place >= 0)
    text = f"two held the lock at the same time: {view.describe_all(rows)}."
    return Finding("double-acquire", tuple(rows), text)
