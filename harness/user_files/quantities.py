"""Quantities as people write them in a campaign, and as the code holds them: always an integer of the smallest unit.

| written | held as | bounds |
|---|---|---|
| `8s`, `500ms`, `1m30s` | ns | `MOST_NS`; what takes time, `LONGEST_NS` |
| `64MiB` | bytes | `MOST_BYTES` |
| `5%`, `0.5%` | parts per million | a chance of a packet, 1 % to 90 % |
| `1mbit`, `500kbit` | bits per second | `LEAST_BPS` to `MOST_BPS` |

A bare number is refused, because its unit would be a guess; only a duration of `0` needs none. Each `parse_…` raises `ValueError` that shows the value and
the valid form; each `format_…` gives the shortest exact text that is read back as the same number.

>>> parse_ns("1m30s"), parse_ns("1.5ms"), format_ns(90_000_000_000)
(90000000000, 1500000, '1m30s')
>>> parse_bytes("64MiB"), parse_ppm("2.5%"), parse_bps("1.5mbit")
(67108864, 25000, 1500000)
>>> format_bytes(1536), format_ppm(25_000), format_bps(500_000)
('1536B', '2.5%', '500kbit')
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from ..errors import shown

UNITS_NS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
MOST_NS = 50 * 8766 * UNITS_NS["h"]
"""Fifty years either way: further back, no clock can be set from today."""
LONGEST_NS = 1000 * UNITS_NS["h"]
"""How long anything in a campaign may take: six weeks."""

UNITS_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
MOST_BYTES = 1 << 44

PER_PERCENT = 10_000
LEAST_PPM, MOST_PPM = 1 * PER_PERCENT, 90 * PER_PERCENT

UNITS_BPS = {"mbit": 10**6, "kbit": 10**3, "bit": 1}
LEAST_BPS, MOST_BPS = 100_000, 50_000_000

LONGEST_TEXT = 64

_NUMBER = r"(\d+(?:\.\d+)?)"
_PART = re.compile(rf"{_NUMBER}(h|ms|m|s|us|ns)", re.ASCII)
_DURATION = re.compile(rf"([+-]?)((?:{_PART.pattern})+)", re.ASCII)
_SIZE = re.compile(r"(\d+)\s*(B|KiB|MiB|GiB)", re.ASCII)
_PERCENT = re.compile(rf"{_NUMBER}\s*(%)", re.ASCII)
_RATE = re.compile(rf"{_NUMBER}\s*(mbit|kbit|bit)", re.ASCII)

_DURATION_HINT = "write a number with a unit, such as 8s, 500ms, 1.5s or 1m30s (units: h m s ms us ns)"
_SIZE_HINT = "write a whole number with one of B, KiB, MiB, GiB, such as 64MiB"
_PERCENT_HINT = "write a number with a percent sign, such as 5% or 2.5%"
_RATE_HINT = "write a number with a unit of bits per second, such as 500kbit or 10mbit"


def parse_ns(text: Any) -> int:
    """The duration in ns, negative when it opens with `-`."""
    if text == 0 and not isinstance(text, bool):
        return 0
    match = _matched(_DURATION, text)
    if match is None:
        if isinstance(text, str) and text.strip() == "0":
            return 0
        raise ValueError(f"{shown(text)} is not a valid duration: {_DURATION_HINT}")
    total = sum((Fraction(number) * UNITS_NS[unit] for number, unit in _PART.findall(match[2])), Fraction(0))
    if total.denominator != 1:
        raise ValueError(f"{text!r} is finer than a nanosecond: {_DURATION_HINT}")
    if total > MOST_NS:
        raise ValueError(f"{text!r} is more than {format_ns(MOST_NS)}, the longest that there is")
    return -int(total) if match[1] == "-" else int(total)


def format_ns(duration_ns: int) -> str:
    if duration_ns == 0:
        return "0s"
    rest, text = abs(duration_ns), ""
    for unit, size_ns in UNITS_NS.items():
        count, rest = divmod(rest, size_ns)
        text += f"{count}{unit}" if count else ""
    return "-" + text if duration_ns < 0 else text


def parse_bytes(text: Any) -> int:
    amount = _amount(text, _SIZE, UNITS_BYTES, "number of bytes", "a byte", _SIZE_HINT)
    if amount > MOST_BYTES:
        raise ValueError(f"{text!r} is more than {format_bytes(MOST_BYTES)}")
    return amount


def format_bytes(amount: int) -> str:
    return _in_largest_unit(amount, dict(reversed(UNITS_BYTES.items())))


def parse_ppm(text: Any) -> int:
    return _amount(text, _PERCENT, {"%": PER_PERCENT}, "probability", "one in a million", _PERCENT_HINT)


def format_ppm(ppm: int) -> str:
    whole, rest = divmod(ppm, PER_PERCENT)
    return f"{whole}.{rest:04d}".rstrip("0").rstrip(".") + "%"


def parse_bps(text: Any) -> int:
    return _amount(text, _RATE, UNITS_BPS, "rate", "one bit per second", _RATE_HINT)


def format_bps(bps: int) -> str:
    return _in_largest_unit(bps, UNITS_BPS)


def _matched(pattern: re.Pattern[str], text: Any) -> re.Match[str] | None:
    return pattern.fullmatch(text.strip()) if isinstance(text, str) and len(text) <= LONGEST_TEXT else None


def _amount(text: Any, pattern: re.Pattern[str], units: Mapping[str, int], what: str, finest: str, hint: str) -> int:
    """One number with one unit."""
    match = _matched(pattern, text)
    if match is None:
        raise ValueError(f"{shown(text)} is not a {what}: {hint}")
    amount = Fraction(match[1]) * units[match[2]]
    if amount.denominator != 1:
        raise ValueError(f"{text!r} is finer than {finest}: {hint}")
    return int(amount)


def _in_largest_unit(amount: int, units: Mapping[str, int]) -> str:
    """`units` begin with the largest."""
    unit = next(unit for unit, size in units.items() if amount % size == 0)
    return f"{amount // units[unit]}{unit}"
