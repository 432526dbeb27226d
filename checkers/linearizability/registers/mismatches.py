"""Failed cas that do not report what they saw: it was not the value that they expected.

Most can be put into the legal order that `order` finds for everything else, at a moment when another value was there. One that was open only while
the expected value certainly was there proves a violation. The rest is in doubt and left to the general search.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tribulation.histories.model.columns import OPEN, Int64

from .broken import VIRTUAL, Broken, firsts
from .order import Order
from .versions import NONE, Versions


@dataclass(slots=True)
class Mismatches:
    """Silent mismatches of the registers. `place`: where each can be put in the order (before that place), or `NONE`. `broken`: by register."""

    register: Int64
    row: Int64
    place: Int64
    broken: dict[int, Broken]

    @property
    def in_doubt(self) -> frozenset[int]:
        return frozenset(self.register[self.place == NONE].tolist()) - frozenset(self.broken)


def mismatches_of(order: Order) -> Mismatches:
    versions = order.zones.chains.versions
    silent = versions.registers.silent
    version = versions.written.find(silent.register, silent.reads)
    held = order.held()
    first, last = 2 * silent.start + 1, 2 * silent.end - 1
    # The expected value was there before the mismatch began: it must be gone before it ends.
    there = (version != NONE) & versions.kept[version] & (held.since[version] < first)
    stuck = np.flatnonzero(there & (held.until[version] > last))
    place = order.after(silent.register, first)
    place = np.where(there, np.maximum(place, held.ended_by[version] + 1), place)
    place[stuck] = NONE
    return Mismatches(silent.register, silent.row, place, _certain(versions, silent.start, silent.end, version, stuck))


def _certain(versions: Versions, start: Int64, end: Int64, version: Int64, stuck: Int64) -> dict[int, Broken]:
    """Return mismatches that were open only while, in any order, the expected value was there: after one operation showed it, and before another did."""
    if not len(stuck):
        return {}
    accesses, silent = versions.accesses, versions.registers.silent
    shown_end, shown_start = np.full(versions.count, OPEN, np.int64), np.full(versions.count, -1, np.int64)
    shown_end[len(versions.written.value) :] = -1
    for shows in (versions.read, versions.made):
        places = np.flatnonzero(shows != NONE)
        np.minimum.at(shown_end, shows[places], accesses.end[places])
        np.maximum.at(shown_start, shows[places], accesses.start[places])
    expected = version[stuck]
    wrong = stuck[(shown_end[expected] < start[stuck]) & (end[stuck] < shown_start[expected])]
    found = {}
    for register, at in firsts(silent.register[wrong]).items():
        one = int(wrong[at])
        _, shows = versions.shows(int(version[one]))
        early, late = shows[np.argmin(accesses.end[shows])], shows[np.argmax(accesses.start[shows])]
        early_row = VIRTUAL if versions.is_initial(int(version[one])) else int(accesses.row[early])
        rows = (early_row, int(silent.row[one]), int(accesses.row[late]))
        found[register] = Broken("impossible-mismatch", rows, (int(silent.reads[one]),))
    return found
