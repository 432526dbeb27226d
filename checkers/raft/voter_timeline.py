"""Possible active configurations at a time: the traced ones, else the ones the run was started with.

Every answer errs on the side of too many, so that "under none of them" is proof. None means unknown.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from ..base.quorum_weights import Weights, weights_of
from ..base.result import RunRecord
from ..faults.kinds import changes_voters
from ..traces.traces import FOREVER_NS, NEVER_NS
from .facts import Commits, Survey
from .structures.rows import Int64, forms_of

_NONE = np.zeros(0, np.int64), np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class _Config:
    """A configuration, adopted at `index` (0: at the start) and not before `since_ns`; a later one was certainly active from `until_ns` on.

    One that was never certainly `committed` may have been truncated: others may have been active at later indices.
    """

    index: int
    weights: Weights
    since_ns: int
    until_ns: int
    committed: bool = True


class VoterTimeline:
    """All configurations of a run, by index and by time."""

    def __init__(self, configs: Sequence[_Config], unknown_from_ns: int) -> None:
        self._configs = sorted(configs, key=lambda config: (config.index, config.since_ns))
        self._unknown_from_ns = unknown_from_ns
        self._indices = [config.index for config in self._configs]
        self._since_ns = sorted(config.since_ns for config in self._configs)
        self._for_entries: dict[tuple[int, int], list[Weights] | None] = {}

    @property
    def all(self) -> list[Weights]:
        return list(dict.fromkeys(config.weights for config in self._configs))

    def during(self, start_ns: int, end_ns: int) -> list[Weights] | None:
        """Return the weights that may have been active at some moment of `start_ns` .. `end_ns`; None if unknown."""
        if end_ns >= self._unknown_from_ns or not self._configs:
            return None
        possible = [c.weights for c in self._configs if c.since_ns <= end_ns and c.until_ns >= start_ns]
        return list(dict.fromkeys(possible)) or None

    def for_entry(self, index: int, until_ns: int) -> list[Weights] | None:
        """Return the weights by which entry `index` could have been committed before `until_ns`; None if unknown.

        These are the last but one configuration that was certainly committed up to that index, and all later ones that were adopted up to that index
        or time.
        """
        if until_ns >= self._unknown_from_ns or not self._configs:
            return None
        # Only these two places count, and there are few.
        places = bisect_right(self._indices, index), bisect_right(self._since_ns, until_ns)
        if places not in self._for_entries:
            self._for_entries[places] = self._look_for_entry(index, until_ns)
        return self._for_entries[places]

    def for_entries(self, index: Int64, until_ns: Int64) -> list[tuple[Int64, list[Weights]]]:
        """Return `for_entry` of many entries: the places of those with the same weights, and the weights. Unknown ones are left out."""
        since = np.array(self._since_ns, np.int64), np.array(self._indices, np.int64)
        places = np.searchsorted(since[1], index, "right"), np.searchsorted(since[0], until_ns, "right")
        forms = forms_of(*places)
        whole = until_ns < self._unknown_from_ns
        found = []
        for number in range(len(forms.values)):
            which = np.flatnonzero((forms.which == number) & whole)
            weights = self.for_entry(int(index[which[0]]), int(until_ns[which[0]])) if len(which) else None
            if weights is not None:
                found.append((which, weights))
        return found

    def _look_for_entry(self, index: int, until_ns: int) -> list[Weights] | None:
        before = sorted({config.index for config in self._configs if config.index <= index and config.committed})
        floor = before[-2] if len(before) > 1 else 0
        possible = [
            c.weights for c in self._configs if c.index >= floor and (c.index <= index or c.since_ns <= until_ns)
        ]
        return list(dict.fromkeys(possible)) or None


def voter_timeline(record: RunRecord, survey: Survey | None) -> VoterTimeline:
    traced = [] if survey is None else _traced(survey)
    initial = _initial(record, survey)
    changes = [fault.start_ns for fault in record.faults if changes_voters(fault)]
    if not traced:
        unknown_from_ns = min(changes, default=FOREVER_NS + 1)
        return VoterTimeline([_Config(0, w, NEVER_NS, FOREVER_NS) for w in initial], unknown_from_ns)
    superseded = _Superseded(survey)
    base = [_Config(0, w, NEVER_NS, superseded.until_ns(0)) for w in initial]
    return VoterTimeline([*base, *traced], FOREVER_NS + 1)


def _initial(record: RunRecord, survey: Survey | None) -> list[Weights]:
    if record.voters:
        return [weights_of(record.voters)]
    if survey is None:
        return []
    starts = [incarnations[0].start for incarnations in survey.traces.incarnations.values()]
    return list(dict.fromkeys(weights_of(start["voters"]) for start in starts if start is not None))


def _traced(survey: Survey) -> list[_Config]:
    superseded = _Superseded(survey)
    return [
        _Config(index, weights, since_ns, superseded.until_ns(index), superseded.committed(index, weights))
        for (index, weights), since_ns in superseded.since_ns.items()
    ]


class _Superseded:
    """Times at which a later configuration was certainly committed: a leader committed its entry or a later one, counting by it."""

    def __init__(self, survey: Survey | None) -> None:
        self.since_ns: dict[tuple[int, Weights], int] = {}
        for line, moment in () if survey is None else survey.configs:
            key = (line["index"], weights_of(line["voters"]))
            self.since_ns[key] = min(self.since_ns.get(key, FOREVER_NS), moment.at.low_ns)
        self._configs = sorted(self.since_ns)
        self._counted = {} if survey is None else _counted(survey.commits)
        ends_ns = [self._committed_ns(*config) for config in self._configs]
        self._ends_ns = list(accumulate(reversed(ends_ns), min, initial=FOREVER_NS))

    def committed(self, index: int, weights: Weights) -> bool:
        """Return whether a leader certainly committed it: it counted by it, before any later configuration began. Its entry may be truncated otherwise."""
        later = self._later(index)
        end = self._configs[later][0] if later < len(self._configs) else FOREVER_NS
        indices, _ = self._counted.get(weights, _NONE)
        at = int(np.searchsorted(indices, index))
        return at < len(indices) and bool(indices[at] < end)

    def until_ns(self, index: int) -> int:
        return self._ends_ns[len(self._configs) - self._later(index)]

    def _later(self, index: int) -> int:
        return bisect_right(self._configs, index, key=lambda config: config[0])

    def _committed_ns(self, index: int, weights: Weights) -> int:
        """Return when the configuration was certainly committed. An earlier one may have the same weights: what was counted before this one was adopted
        was counted by that.
        """
        indices, earliest = self._counted.get(weights, _NONE)
        at = int(np.searchsorted(indices, index))
        return max(int(earliest[at]), self.since_ns[index, weights]) if at < len(indices) else FOREVER_NS


def _counted(commits: Commits) -> dict[Weights, tuple[Int64, Int64]]:
    """Return by weights the indices that leaders committed by them, sorted, and for each the earliest time among it and all higher ones."""
    index, high_ns, claimed = (commits.column(name) for name in ("index", "high_ns", "claimed"))
    found = {}
    for code in np.unique(claimed).tolist():
        rows = np.flatnonzero(claimed == code)
        rows = rows[np.lexsort((high_ns[rows], index[rows]))]
        earliest = np.minimum.accumulate(high_ns[rows][::-1])[::-1]
        found[commits.weights.values[code]] = index[rows], earliest
    return found
