"""Chances as people write them in a campaign (`5%`, `0.5%`) and as the code holds them: integer parts per million.

>>> parse_ppm("2.5%"), format_ppm(25_000)
(25000, '2.5%')
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

from ...errors import shown

PER_PERCENT = 10_000

_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%", re.ASCII)
_HINT = "write a number with a percent sign, such as 5% or 2.5%"


def parse_ppm(text: Any) -> int:
    """Raises `ValueError` that shows the value and what would do."""
    match = _PERCENT.fullmatch(text.strip()) if isinstance(text, str) and len(text) <= 32 else None
    if match is None:
        raise ValueError(f"{shown(text)} is no chance: {_HINT}")
    ppm = Fraction(match[1]) * PER_PERCENT
    if ppm.denominator != 1:
        raise ValueError(f"{text!r} is finer than one in a million: {_HINT}")
    return int(ppm)


def format_ppm(ppm: int) -> str:
    """The shortest exact text that `parse_ppm` reads back as the same number."""
    whole, rest = divmod(ppm, PER_PERCENT)
    return f"{whole}.{rest:04d}".rstrip("0").rstrip(".") + "%"


def _observable(ppm: int) -> int:
    if not PER_PERCENT <= ppm <= 90 * PER_PERCENT:
        raise ValueError(
            f"{format_ppm(ppm)} is not between 1% and 90%: less cannot be told from luck by probes, and more is a partition"
        )
    return ppm


Chance = Annotated[
    int,
    BeforeValidator(parse_ppm),
    AfterValidator(_observable),
    PlainSerializer(format_ppm, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "description": "a chance, such as 5%"}),
]
"""A pydantic field in parts per million that reads `5%`, between 1 % and 90 %; it is written back as text in JSON."""
