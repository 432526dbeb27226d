"""Rates as people write them in a campaign (`1mbit`, `500kbit`) and as the code holds them: bits per second.

>>> parse_bps("1.5mbit"), format_bps(500_000)
(1500000, '500kbit')
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

from ...errors import shown

UNITS = {"mbit": 10**6, "kbit": 10**3, "bit": 1}
LEAST_BPS, MOST_BPS = 100_000, 50_000_000

_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*(mbit|kbit|bit)", re.ASCII)
_HINT = "write a number with a unit of bits per second, such as 500kbit or 10mbit"


def parse_bps(text: Any) -> int:
    """Raises `ValueError` that shows the value and what would do."""
    match = _RATE.fullmatch(text.strip()) if isinstance(text, str) and len(text) <= 32 else None
    if match is None:
        raise ValueError(f"{shown(text)} is no rate: {_HINT}")
    bps = Fraction(match[1]) * UNITS[match[2]]
    if bps.denominator != 1:
        raise ValueError(f"{text!r} is finer than one bit per second: {_HINT}")
    return int(bps)


def format_bps(bps: int) -> str:
    """The shortest exact text that `parse_bps` reads back as the same number."""
    unit = next(unit for unit, size in UNITS.items() if bps % size == 0)
    return f"{bps // UNITS[unit]}{unit}"


def _observable(bps: int) -> int:
    if not LEAST_BPS <= bps <= MOST_BPS:
        raise ValueError(
            f"{format_bps(bps)} is not between {format_bps(LEAST_BPS)} and {format_bps(MOST_BPS)}: "
            "less is a partition to most systems, and more cannot be told from a busy machine"
        )
    return bps


Rate = Annotated[
    int,
    BeforeValidator(parse_bps),
    AfterValidator(_observable),
    PlainSerializer(format_bps, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "description": "bits per second, such as 10mbit"}),
]
"""A pydantic field in bits per second that reads `10mbit`; it is written back as text in JSON."""
