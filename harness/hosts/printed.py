"""Parsing of what a command on a host printed. A host may print anything: an answer of the wrong shape is the host's error, never a bug here.

with understood(host.name, text, "a file's size"):
    size = whole(text)
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from ..errors import HostError

SHOWN = 120
DIGITS = 20
"""Most digits of a whole number: every number of 64 bits fits."""
HINT = "does the login print something of its own? commands without a terminal must not; or is the program there another one?"
_WRONG = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    msgspec.ValidationError,
)


@contextmanager
def understood(host: str, text: str, what: str) -> Iterator[None]:
    """Guards code that parses `text`, and nothing else. Raises `HostError` that names the host and shows the text."""
    try:
        yield
    except _WRONG:
        shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text)} characters)"
        raise HostError(f"{host}: printed {shown!r} where {what} was asked for", hint=HINT) from None


def whole(text: str, base: int = 10) -> int:
    """Parse a whole number. Raises `ValueError` for anything else, and for more than `DIGITS` digits."""
    if len(text.strip()) > DIGITS:
        raise ValueError("a number of too many digits")
    return int(text, base)


def parsed_json(text: str) -> Any:
    """Parse JSON. Raises `ValueError`, also for a whole number of more than `DIGITS` digits and for one that is not finite."""
    try:
        return json.loads(text, parse_int=whole, parse_float=_finite, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def object_in(text: str) -> dict[str, Any]:
    found = parsed_json(text)
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")
    return found


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError("a number that is not finite")
    return number


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not a number")
