"""Durations as people write them in a campaign (`8s`, `500ms`, `1m30s`) and as the code holds them: integer nanoseconds.

A bare number is refused, since nobody can see whether it meant seconds or milliseconds; only `0` needs no unit. So is what no run could wait for.

>>> parse_ns("1m30s"), parse_ns("1.5ms"), format_ns(90_000_000_000)
(90000000000, 1500000, '1m30s')
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

from ..errors import shown

UNITS_NS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}

MOST_NS = 50 * 8766 * UNITS_NS["h"]
"""Fifty years either way: further back, no clock can be set from today."""
LONGEST_NS = 1000 * UNITS_NS["h"]
"""How long anything in a campaign may take: six weeks."""
LONGEST_TEXT = 64

_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|us|ns)", re.ASCII)
_WHOLE = re.compile(rf"([+-]?)((?:{_PART.pattern})+)", re.ASCII)
_HINT = "write a number with a unit, such as 8s, 500ms, 1.5s or 1m30s (units: h m s ms us ns)"


def parse_ns(text: Any) -> int:
    """The duration in ns, negative when it opens with `-`. Raises `ValueError` that shows the value and what would do."""
    if text == 0 and not isinstance(text, bool):
        return 0
    if not isinstance(text, str):
        raise ValueError(f"{shown(text)} is no duration: {_HINT}")
    if text.strip() == "0":
        return 0
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"{shown(text)} is no duration: {_HINT}")
    match = _WHOLE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no duration: {_HINT}")
    total = sum((Fraction(number) * UNITS_NS[unit] for number, unit in _PART.findall(match[2])), Fraction(0))
    if total.denominator != 1:
        raise ValueError(f"{text!r} is finer than a nanosecond: {_HINT}")
    if total > MOST_NS:
        raise ValueError(f"{text!r} is more than {format_ns(MOST_NS)}, the longest that there is")
    return -int(total) if match[1] == "-" else int(total)


def format_ns(duration_ns: int) -> str:
    """The shortest exact text that `parse_ns` reads back as the same number."""
    if duration_ns == 0:
        return "0s"
    rest, text = abs(duration_ns), ""
    for unit, size_ns in UNITS_NS.items():
        count, rest = divmod(rest, size_ns)
        text += f"{count}{unit}" if count else ""
    return "-" + text if duration_ns < 0 else text


def _passes(duration_ns: int) -> int:
    if duration_ns > LONGEST_NS:
        raise ValueError(f"{format_ns(duration_ns)} is longer than {format_ns(LONGEST_NS)}")
    return duration_ns


def _not_negative(duration_ns: int) -> int:
    if duration_ns < 0:
        raise ValueError(f"{format_ns(duration_ns)} is negative: this duration must be 0s or more")
    return _passes(duration_ns)


def _more_than_none(duration_ns: int) -> int:
    if duration_ns <= 0:
        raise ValueError(f"{format_ns(duration_ns)} is not positive: this duration must be more than 0s")
    return duration_ns


def _positive(duration_ns: int) -> int:
    return _passes(_more_than_none(duration_ns))


_as_text = PlainSerializer(format_ns, return_type=str, when_used="json")
_schema = WithJsonSchema({"type": "string", "description": "a duration, such as 8s or 500ms"})

SignedDuration = Annotated[int, BeforeValidator(parse_ns), _as_text, _schema]
"""A pydantic field in ns that reads `60s` or `-60s`, by which a clock is wrong; it is written back as text in JSON."""

PositiveShift = Annotated[int, BeforeValidator(parse_ns), AfterValidator(_more_than_none), _as_text, _schema]
"""The same, more than zero."""

Duration = Annotated[int, BeforeValidator(parse_ns), AfterValidator(_not_negative), _as_text, _schema]
"""How long something takes, zero or more."""

PositiveDuration = Annotated[int, BeforeValidator(parse_ns), AfterValidator(_positive), _as_text, _schema]
"""The same, more than zero."""
