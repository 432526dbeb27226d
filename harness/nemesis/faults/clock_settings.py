"""Effect of a clock fault on each wall clock, and whether a process saw it: pure, over readings of (monotonic time, offset, error) in ns.

A *setting* has `offset_ns`, or `drift_ppm`, or `strobe_ns` with `period_ns`; an empty one is true time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Setting = Mapping[str, int]
Reading = Sequence[int]

TRUE: Setting = {}

TOLERANCE_NS = 1_000_000
DRIFT_LOOK_NS = 1_000_000_000
DRIFT_TOLERANCE_PPM = 5
STROBE_READINGS = 24
"""Over one and a half periods, so that each half of one has at least seven."""


def settings_of(what: Mapping[str, Any]) -> dict[str, Setting]:
    """Return the settings by node, from a resolved clock fault."""
    if "drift_ppm" in what:
        return {node: {"drift_ppm": int(ppm)} for node, ppm in what["drift_ppm"].items()}
    if "strobe_ns" in what:
        period_ns = int(what["period_ns"])
        return {node: {"strobe_ns": int(ns), "period_ns": period_ns} for node, ns in what["strobe_ns"].items()}
    return {node: {"offset_ns": int(ns)} for node, ns in what["offsets_ns"].items()}


@dataclass(frozen=True, slots=True)
class Look:
    """Measurement that shows a setting, or the absence of one: `readings` spread over `over_ns`."""

    over_ns: int = 0
    readings: int = 1

    def request(self) -> dict[str, object]:
        return {"do": "look", "part": "clock", "over_ns": self.over_ns, "readings": self.readings}


def look_for(*settings: Setting) -> Look:
    """Return a measurement that distinguishes these settings from each other."""
    looks = [Look()]
    for setting in settings:
        if setting.get("drift_ppm"):
            looks.append(Look(DRIFT_LOOK_NS, 2))
        if setting.get("strobe_ns"):
            looks.append(Look(3 * setting["period_ns"] // 2, STROBE_READINGS))
    return Look(max(look.over_ns for look in looks), max(look.readings for look in looks))


def is_as_set(setting: Setting, readings: Sequence[Reading], least_ns: int = TOLERANCE_NS) -> bool:
    """Return whether the readings show this setting. Readings with too large an error are ignored; if none are left, it is not shown. `least_ns`: the
    largest deviation that is allowed (`tolerance_of`).
    """
    tolerance_ns = tolerance_of(setting, least_ns)
    exact = [(at_ns, offset_ns) for at_ns, offset_ns, error_ns in readings if error_ns <= tolerance_ns]
    if not exact:
        return False
    offset_ns, strobe_ns = setting.get("offset_ns", 0), setting.get("strobe_ns", 0)
    if setting.get("drift_ppm"):
        return _runs_at(setting["drift_ppm"], readings)
    if strobe_ns:
        high = [abs(seen_ns - offset_ns - strobe_ns) <= tolerance_ns for _, seen_ns in exact]
        low = [abs(seen_ns - offset_ns) <= tolerance_ns for _, seen_ns in exact]
        return any(high) and any(low) and all(one or other for one, other in zip(high, low, strict=True))
    steady = readings[-1][0] - readings[0][0] < DRIFT_LOOK_NS // 2 or _runs_at(0, readings)
    return steady and all(abs(seen_ns - offset_ns) <= tolerance_ns for _, seen_ns in exact)


def _runs_at(drift_ppm: int, readings: Sequence[Reading]) -> bool:
    seen_ppm = rate_ppm(readings)
    if seen_ppm is None:
        return False
    tolerance_ppm = (min(DRIFT_TOLERANCE_PPM, abs(drift_ppm) / 4) if drift_ppm else DRIFT_TOLERANCE_PPM) + seen_ppm[1]
    # One that the error could hide was not seen.
    return abs(seen_ppm[0] - drift_ppm) <= tolerance_ppm and (not drift_ppm or tolerance_ppm < abs(drift_ppm))


def tolerance_of(setting: Setting, least_ns: int = TOLERANCE_NS) -> int:
    """Return `least_ns`, or a quarter of the expected deviation if that is less, so that a strobe of 1 ms is not seen where there is none."""
    amounts = [abs(setting[name]) // 4 for name in ("offset_ns", "strobe_ns") if setting.get(name)]
    return min([least_ns, *amounts])


def rate_ppm(readings: Sequence[Reading]) -> tuple[float, float] | None:
    """Return how much too fast it runs between the first reading and the last, and the error of that, in ppm; None when that is one moment."""
    (began_ns, first_ns, first_error_ns), (ended_ns, last_ns, last_error_ns) = readings[0], readings[-1]
    if ended_ns <= began_ns:
        return None
    span_ns = ended_ns - began_ns
    return (last_ns - first_ns) * 1e6 / span_ns, (first_error_ns + last_error_ns) * 1e6 / span_ns
