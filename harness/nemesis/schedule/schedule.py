"""Plan of intents from the campaign's fault specs, over the load time: a pure function of specs, seed and length.

Random numbers are keyed by a spec's content, not by its place in the list, so removing one spec leaves the intents of the others unchanged. For the
same reason nothing is moved to make room. Faults of one kind that could be on together are refused, unless both say `overlap: true`. The refusal
depends on no random number, since it takes every start with its whole `stagger`.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Any

from ...errors import CampaignError
from ...user_files.quantities import format_ns
from ..catalog.timing import Timing
from ..faults.fault import Intent
from ..specs.links import Shaped
from ..specs.specs import FaultSpec, RecoverySpec

Window = tuple[int, int]

MOST_STARTS, MOST_WINDOWS = 100_000, 1_000
"""In a whole campaign: a fault every second of a day. Those that an event sets off count once for each window of time in which they may start."""
MOST_REPORTED = 20


@dataclass(frozen=True, slots=True)
class _Start:
    """One start of a spec. The fault is on somewhere in `window`, whatever the random start; it ends at `load_ns` when it has no end."""

    spec: Timing
    place: int
    label: str
    number: int
    at_ns: int
    window: Window


def expand(specs: Sequence[FaultSpec], *, seed: int | str, load_ns: int) -> list[Intent]:
    """Return every planned fault, by time of start. Raises `CampaignError` that lists all specs that cannot be carried out."""
    quiet = _merged(quiet_windows(specs, load_ns))
    _bounded(specs, len(quiet), load_ns)
    starts: list[_Start] = []
    problems: list[str] = []
    labels: Counter[str] = Counter()
    for place, item in enumerate(specs):
        if isinstance(item.spec, Timing):
            label = _label(item.spec)
            labels[label] += 1
            label = label if labels[label] == 1 else f"{label}-{labels[label]}"
            find = _starts if item.spec.on is None else _set_off
            made, problem = find(item.spec, place, label, load_ns, quiet)
            starts += made
            problems += [problem] if problem else []
    problems += _overlaps(starts, load_ns)
    if problems:
        more = [f"and {len(problems) - MOST_REPORTED} more"] if len(problems) > MOST_REPORTED else []
        raise CampaignError(
            "these faults cannot be scheduled:\n" + "\n".join(f"  {each}" for each in problems[:MOST_REPORTED] + more),
            _HINT,
        )
    intents = [
        _intent(start, seed) if start.spec.on is None else _armed(start, start_windows(start.spec, quiet, load_ns))
        for start in starts
    ]
    return sorted(intents, key=lambda intent: (intent.at_ns, intent.id))


def _bounded(specs: Sequence[FaultSpec], windows: int, load_ns: int) -> None:
    """Count before anything is made: a period of a nanosecond would make as many starts as the load has."""
    most = 0
    for place, item in enumerate(specs):
        if isinstance(item.spec, Timing):
            most += _most_starts(item.spec, load_ns) * (1 if item.spec.on is None else 1 + windows)
        if most > MOST_STARTS:
            raise CampaignError(
                f"faults[{place}]: with it there are more than {MOST_STARTS} starts in {format_ns(load_ns)}", _FEWER
            )


_FEWER = "lengthen `every`, set `times`, or shorten `duration`"


def _most_starts(spec: Timing, load_ns: int) -> int:
    if spec.every is None:
        return spec.times or 1
    periods = max(0, load_ns - spec.first_ns()) // spec.every + 1
    return periods if spec.times is None else min(spec.times, periods)


_HINT = "change after, every, for or recover, lengthen `duration`, or allow faults of one kind together with `overlap: true` on both"


def _label(spec: Timing) -> str:
    """Return a readable name with a digest of the whole spec; the digest keys its random numbers."""
    words = spec.model_dump(mode="json")
    later = spec.later | {"on"}
    words = {
        spec.streams.get(word, word): value for word, value in words.items() if word not in later or value is not None
    }
    said = json.dumps([spec.kind, words], sort_keys=True)
    digest = hashlib.sha256(said.encode()).hexdigest()[:6]
    return spec.name if spec.name is not None else f"{spec.kind}-{spec.variant()}-{digest}"


def quiet_windows(specs: Sequence[FaultSpec], load_ns: int) -> list[Window]:
    """Return windows in which no fault is on. Raises `CampaignError` when there are too many."""
    recoveries = [item.spec for item in specs if isinstance(item.spec, RecoverySpec)]
    if sum(load_ns // spec.every for spec in recoveries) > MOST_WINDOWS:
        raise CampaignError(f"`recovery`: there are more than {MOST_WINDOWS} windows in {format_ns(load_ns)}", _FEWER)
    return [window for spec in recoveries for window in _windows(spec, load_ns)]


def _merged(windows: Sequence[Window]) -> list[Window]:
    """Return the windows sorted by time, with those that touch joined."""
    merged: list[Window] = []
    for start_ns, end_ns in sorted(windows):
        if merged and start_ns <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end_ns, merged[-1][1]))
        else:
            merged.append((start_ns, end_ns))
    return merged


def unquiet(quiet: Sequence[Window], load_ns: int) -> list[Window]:
    """Return the load without the recovery windows."""
    free, at_ns = [], 0
    for start_ns, end_ns in sorted(quiet):
        if start_ns > at_ns:
            free.append((at_ns, min(start_ns, load_ns)))
        at_ns = max(at_ns, end_ns)
    return [*free, (at_ns, load_ns)] if at_ns < load_ns else free


def _windows(spec: RecoverySpec, load_ns: int) -> Iterator[Window]:
    for start_ns in range(spec.every, load_ns, spec.every):
        yield start_ns, start_ns + spec.for_ns


def _starts(
    spec: Timing, place: int, label: str, load_ns: int, quiet: Sequence[Window]
) -> tuple[list[_Start], str | None]:
    """Return its starts, or why a requested number of starts is impossible. Periodic starts that do not fit are left out."""
    made: list[_Start] = []
    asked = spec.times if spec.every is not None else 1
    for number in count():
        if len(made) == asked:
            return made, None
        at_ns = spec.first_ns() + number * (spec.every or 0)
        end_ns = load_ns if spec.for_ns is None else at_ns + spec.stagger + spec.for_ns
        past_load = at_ns + spec.stagger >= load_ns or end_ns > load_ns
        blocked = _blocked(spec, at_ns, end_ns, quiet)
        if past_load or (blocked and spec.every is None):
            break
        if not blocked:
            made.append(_Start(spec, place, label, len(made) + 1, at_ns, (at_ns, end_ns)))
    if asked is not None or not made:
        why = "it would end after the load" if past_load else "it reaches into a recovery window"
        wanted = f"start {len(made) + 1} of {asked}" if asked and asked > 1 else "its start"
        return (
            made,
            f"faults[{place}] ({label}): {wanted} at {format_ns(at_ns)} does not fit into {format_ns(load_ns)}: {why}",
        )
    return made, None


def _set_off(
    spec: Timing, place: int, label: str, load_ns: int, quiet: Sequence[Window]
) -> tuple[list[_Start], str | None]:
    """Return as many starts as events may trigger, at any time: no other fault of its kind may be active unless overlaps are allowed."""
    if not start_windows(spec, quiet, load_ns):
        return (
            [],
            f"faults[{place}] ({label}): it does not fit between the start and end of the load and the recovery windows",
        )
    return [_Start(spec, place, label, 1 + n, 0, (0, load_ns)) for n in range(spec.times or 1)], None


def start_windows(spec: Timing, quiet: Sequence[Window], load_ns: int) -> list[Window]:
    """Return the windows in which an event may start the fault, so that it ends in time. A fault without an end starts after the last quiet window."""
    if spec.stays:
        lasts_ns = 1
    elif spec.for_ns is None:
        last_ns = max((end for _, end in quiet), default=0)
        return [(last_ns, load_ns - 1)] if last_ns < load_ns else []
    else:
        lasts_ns = spec.for_ns
    return [(start, end - lasts_ns) for start, end in unquiet(quiet, load_ns) if end - lasts_ns >= start]


def _armed(start: _Start, windows: Sequence[Window]) -> Intent:
    spec, key = start.spec, f"{start.label}.{start.number}"
    on = {
        "event": spec.on,
        "delay_ns": spec.after or 0,
        "rest_ns": spec.recover,
        "windows": [list(window) for window in windows],
    }
    parameters = parameters_of(spec, start.number)
    return Intent(key, spec.kind, parameters, windows[0][0], spec.for_ns, key, f"on-{start.label}", on)


def _blocked(spec: Timing, at_ns: int, end_ns: int, quiet: Sequence[Window]) -> bool:
    # A change of voters is over once it is made; it only must not start in a quiet window.
    end_ns = at_ns + spec.stagger + 1 if spec.stays else end_ns
    after = bisect_right(quiet, at_ns, key=lambda window: window[1])
    return after < len(quiet) and quiet[after][0] < end_ns


def _overlaps(starts: Sequence[_Start], load_ns: int) -> list[str]:
    """Return pairs of specs of one kind that can be on together without permission, each once, and at most `MOST_REPORTED`."""
    found: dict[tuple[int, int], str] = {}
    for kind in dict.fromkeys(start.spec.kind for start in starts if not start.spec.stays):
        alone: dict[int, _Start] = {}
        shared: dict[int, _Start] = {}
        for second in sorted((each for each in starts if each.spec.kind == kind), key=lambda start: start.at_ns):
            alone = _still_on(alone, second)
            if not second.spec.overlap:
                shared = _still_on(shared, second)
            for first in [*alone.values(), *(() if second.spec.overlap else shared.values())]:
                if first.place == second.place:
                    continue
                pair = (first.place, second.place) if first.place < second.place else (second.place, first.place)
                found.setdefault(
                    pair,
                    f"faults[{pair[0]}] and faults[{pair[1]}], both {kind}, can be active together: {first.label} from "
                    f"{format_ns(first.window[0])} to {format_ns(min(first.window[1], load_ns))}, {second.label} from {format_ns(second.window[0])}",
                )
                if len(found) > MOST_REPORTED:
                    return list(found.values())
            (shared if second.spec.overlap else alone)[second.place] = second
    return list(found.values())


def _still_on(firsts: dict[int, _Start], second: _Start) -> dict[int, _Start]:
    """Return by spec its last start that may be active when `second` starts. A later start of a spec never ends before an earlier one."""
    return {place: first for place, first in firsts.items() if first.window[1] + first.spec.recover > second.window[0]}


def _intent(start: _Start, seed: int | str) -> Intent:
    key = f"{start.label}.{start.number}"
    delay_ns = Random(f"{seed}/{key}/stagger").randint(0, start.spec.stagger)
    lasts_ns = start.spec.for_ns
    lane = "" if start.spec.overlap else start.spec.lane
    parameters = parameters_of(start.spec, start.number)
    return Intent(key, start.spec.kind, parameters, start.at_ns + delay_ns, lasts_ns, key, lane)


def parameters_of(spec: Timing, number: int) -> dict[str, Any]:
    """The parameters of the spec's start with this number."""
    parameters = spec.parameters()
    if isinstance(spec, Shaped):
        parameters["shape"] = spec.shape[(number - 1) % len(spec.shape)].value
    return parameters
