"""Nested values as an outline of names and texts: what a checker adds to an anomaly, and its figures, without JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tribulation.checkers.base.wording import show

MOST_ENTRIES = 60
"""Shown of one list or mapping."""
MOST_DEEP = 4
_LONGEST = 160
_MOST_ITEMS = 12


@dataclass(frozen=True, slots=True)
class Entry:
    """`text` is its value where that fits into a line; otherwise it has `inner` entries."""

    name: str
    text: str = ""
    inner: Sequence[Entry] = ()


def outline(value: Mapping[str, Any], deep: int = 0) -> list[Entry]:
    """An entry for each field, in order; what exceeds the bound is counted."""
    return _bounded(((str(name), one) for name, one in value.items()), len(value), deep)


def _bounded(pairs: Iterable[tuple[str, Any]], count: int, deep: int) -> list[Entry]:
    shown = [_entry(name, one, deep) for (name, one), _ in zip(pairs, range(MOST_ENTRIES), strict=False)]
    return [*shown, Entry("…", f"{count - MOST_ENTRIES} more in verdict.json")] if count > MOST_ENTRIES else shown


def _entry(name: str, value: Any, deep: int) -> Entry:
    called, text = name.replace("_", " "), line(value)
    if name.endswith("_ns") and type(value) is int:
        return Entry(called.removesuffix(" ns"), _duration(value))
    if text is not None or deep >= MOST_DEEP:
        return Entry(called, f"{len(value)} entries in verdict.json" if text is None else text)
    if isinstance(value, Mapping):
        return Entry(called, inner=outline(value, deep + 1))
    return Entry(called, inner=_bounded(((str(at + 1), one) for at, one in enumerate(value)), len(value), deep + 1))


def line(value: Any) -> str | None:
    """The value on one line, None where it does not fit."""
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, Mapping):
        text = ", ".join(f"{str(name).replace('_', ' ')} {_scalar(one)}" for name, one in value.items())
        fits = len(text) <= _LONGEST and all(_is_flat(one) for one in value.values())
        return (text or "none") if fits else None
    if isinstance(value, list):
        if not all(_is_scalar(one) for one in value):
            return None
        more = f", … {len(value)} in all" if len(value) > _MOST_ITEMS else ""
        return ", ".join(_scalar(one) for one in value[:_MOST_ITEMS]) + more or "none"
    return _scalar(value)


def _is_scalar(value: Any) -> bool:
    return not isinstance(value, Mapping | list)


def _is_flat(value: Any) -> bool:
    """Fits into a line with others: a scalar, or a short list of them."""
    return _is_scalar(value) or (isinstance(value, list) and len(value) <= 4 and all(map(_is_scalar, value)))


def _scalar(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, list):
        return "[" + " ".join(map(_scalar, value)) + "]"
    return show(value)


def _duration(time_ns: int) -> str:
    for unit_ns, unit in ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs")):
        if abs(time_ns) >= unit_ns:
            return f"{time_ns / unit_ns:,.6g} {unit}"
    return f"{time_ns} ns"


def _float(value: float) -> str:
    """Four digits, or a whole number: never an exponent for what is above a thousand."""
    return f"{value:.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.4g}"
