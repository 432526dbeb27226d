"""Growth of a figure: the robust slope of the second half of its samples over time, Theil and Sen's median of the slopes of pairs.

A process that warms up grows at first, and one that collects garbage goes up and down; neither is a leak. A leak is a slope that stays: over the
second half of the run it must add more than `share` of the figure, and more than `least`, which is noise for a figure of its kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MOST_POINTS = 600
"""Pairs are as many as its square: a longer series is thinned by medians of stretches."""


@dataclass(frozen=True, slots=True)
class Growth:
    """Growth of one figure. `per_hour` is the slope of the second half; `added` what it adds over that half."""

    first: float
    middle: float
    last: float
    highest: float
    per_hour: float
    added: float
    flat: bool


def growth(times_s: Sequence[float], values: Sequence[float], least: float, share: float = 0.05) -> Growth | None:
    """Return the growth; None for fewer than ten samples in the second half: nothing can be said."""
    times, found = np.asarray(times_s, float), np.asarray(values, float)
    if not len(times):
        return None
    second = times >= (times[0] + times[-1]) / 2
    if second.sum() < 10:
        return None
    per_s = _slope(*_thinned(times[second], found[second]))
    length_s = float(times[second][-1] - times[second][0])
    added, middle = per_s * length_s, float(np.median(found[second]))
    tenth = max(1, len(found) // 10)
    return Growth(
        first=float(np.median(found[:tenth])),
        middle=middle,
        last=float(np.median(found[-tenth:])),
        highest=float(found.max()),
        per_hour=per_s * 3600,
        added=added,
        flat=added <= max(least, share * middle),
    )


def _slope(times: np.ndarray, values: np.ndarray) -> float:
    one, other = np.triu_indices(len(times), 1)
    apart = times[other] - times[one]
    return float(np.median((values[other] - values[one])[apart > 0] / apart[apart > 0]))


def _thinned(times: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    stretches = np.array_split(np.arange(len(times)), min(len(times), MOST_POINTS))
    return np.array([times[part].mean() for part in stretches]), np.array(
        [np.median(values[part]) for part in stretches]
    )
