"""Quantities as fields of models: durations, chances and rates, checked where they are read. `quantities` is their text alone, and imports no pydantic."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

from .quantities import (
    LEAST_BPS,
    LEAST_PPM,
    LONGEST_NS,
    MOST_BPS,
    MOST_PPM,
    format_bps,
    format_ns,
    format_ppm,
    parse_bps,
    parse_ns,
    parse_ppm,
)


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


def _observable_chance(ppm: int) -> int:
    if not LEAST_PPM <= ppm <= MOST_PPM:
        raise ValueError(
            f"{format_ppm(ppm)} is not between {format_ppm(LEAST_PPM)} and {format_ppm(MOST_PPM)}: "
            "less cannot be distinguished from chance by probes, and more is a partition"
        )
    return ppm


def _observable_rate(bps: int) -> int:
    if not LEAST_BPS <= bps <= MOST_BPS:
        raise ValueError(
            f"{format_bps(bps)} is not between {format_bps(LEAST_BPS)} and {format_bps(MOST_BPS)}: "
            "less is a partition to most systems, and more cannot be distinguished from a busy machine"
        )
    return bps


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

Chance = Annotated[
    int,
    BeforeValidator(parse_ppm),
    AfterValidator(_observable_chance),
    PlainSerializer(format_ppm, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "description": "a chance, such as 5%"}),
]
"""A pydantic field in parts per million that reads `5%`; it is written back as text in JSON."""

Rate = Annotated[
    int,
    BeforeValidator(parse_bps),
    AfterValidator(_observable_rate),
    PlainSerializer(format_bps, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "description": "bits per second, such as 10mbit"}),
]
"""A pydantic field in bits per second that reads `10mbit`; it is written back as text in JSON."""
