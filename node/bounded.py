"""JSON from other nodes and clients, read with the same bounds on every Python: depth, integers and floats.

What `json` alone accepts depends on the interpreter: on its recursion limit, and on how many digits it converts. Nodes of one cluster must agree
about every value. So these bounds are fixed, and far below the limits of any interpreter. `STRICT` is for what clients send. `WIDE` is for what
another node sends or the log holds: a release without these bounds may have taken it from a client.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

INTEGER_LIMIT = 1 << 63
REACHABLE = 1 << 60
"""No log gets this long and no cluster this many terms. A greater number is invalid, and must not overflow in later arithmetic."""
ID_CHARACTERS = 64
_LONG = re.compile("[0-9]{19}")
"""A text without that many digits in a row has no integer of more than 63 bits."""
_dumps_utf8 = json.JSONEncoder(ensure_ascii=False).encode


class OutOfBounds(ValueError):
    """Valid JSON beyond the bounds."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """`depth` of nested lists and objects; `digits` of an integer, at most; `low` and `high`: its range, too."""

    depth: int
    digits: int
    low: int | None = None
    high: int | None = None

    def integer(self, text: str) -> int:
        if len(text) <= self.digits + text.startswith("-"):
            value = int(text)
            if self.holds(value):
                return value
        raise OutOfBounds(f"an integer of {len(text.lstrip('-'))} digits is out of range")

    def holds(self, value: int) -> bool:
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


STRICT = Bounds(depth=64, digits=19, low=-INTEGER_LIMIT, high=INTEGER_LIMIT - 1)
WIDE = Bounds(depth=512, digits=4300)
"""Every interpreter from Python 3.10 on reads and writes values within these bounds."""


def read_json(text: str, bounds: Bounds = STRICT) -> Any:
    """Parse a JSON text. Raises `OutOfBounds` beyond the bounds, another ValueError for text that is not JSON, and never anything else."""
    try:
        value = (_LONGER[bounds] if _LONG.search(text) else _SHORT).decode(text)
    except RecursionError:
        raise _too_deep(bounds) from None
    if text.count("[") + text.count("{") > bounds.depth and deeper(value, bounds.depth):
        raise _too_deep(bounds)
    return value


def refuse_surrogates(text: str, value: Any) -> None:
    """Raise `OutOfBounds` if `value`, parsed from `text`, holds a lone surrogate. It decodes, but cannot be stored or hashed as UTF-8 later."""
    if "\\u" in text:
        try:
            _dumps_utf8(value).encode("utf-8")
        except UnicodeEncodeError as error:
            raise OutOfBounds(str(error)) from None


def deeper(value: Any, limit: int) -> bool:
    """Return whether lists and objects are nested more than `limit` deep. It works level by level without recursion, so no limit of the interpreter
    applies.
    """
    return _level(value, limit, _containers) is not None


def within(value: Any, bounds: Bounds = STRICT) -> bool:
    """Return whether a value in memory is within the bounds."""
    return _level([value], bounds.depth + 1, lambda items: _checked(items, bounds)) is None


def reply_id(body: Any) -> int | str | None:
    """Return the id of a request for its reply: None when there is none, or when it is too long to be repeated."""
    found = body.get("id") if isinstance(body, Mapping) else None
    return found if id_problem(found) is None else None


def id_problem(value: Any) -> str | None:
    """Return why this cannot be the id of a request: it is repeated in every reply, whose size has a bound."""
    if type(value) is int and STRICT.holds(value):
        return None
    if type(value) is str and len(value) <= ID_CHARACTERS:
        return None
    shown = repr(value) if value is None or type(value) is bool else f"a {type(value).__name__}"
    return f"id is {shown}, not an integer of 64 bits or a string of at most {ID_CHARACTERS} characters"


def _level(value: Any, limit: int, inner: Callable[[Any], list[Any] | None]) -> Any:
    """Return what is nested deeper than `limit`; None when nothing is."""
    level = [value] if isinstance(value, (list, tuple, dict)) else []
    for _ in range(limit):
        if not level:
            return None
        below: list[Any] = []
        for items in level:
            found = inner(items.values() if isinstance(items, dict) else items)
            if found is None:
                return items
            below += found
        level = below
    return level or None


def _containers(items: Any) -> list[Any]:
    return [item for item in items if isinstance(item, (list, tuple, dict))]


def _checked(items: Any, bounds: Bounds) -> list[Any] | None:
    for item in items:
        if (type(item) is int and not bounds.holds(item)) or (type(item) is float and item - item != 0.0):
            return None
    return _containers(items)


def _float(text: str) -> float:
    # "1e999" is a JSON number and becomes an infinity, which JSON does not have.
    value = float(text)
    if value - value != 0.0:
        raise OutOfBounds(f"{text[:40]} is out of range")
    return value


def _constant(name: str) -> NoReturn:
    raise OutOfBounds(f"{name} is not JSON")


def _too_deep(bounds: Bounds) -> OutOfBounds:
    return OutOfBounds(f"it is nested too deeply: there are more than {bounds.depth} lists and objects in each other")


_SHORT = json.JSONDecoder(parse_constant=_constant, parse_float=_float)
"""For a text without a long integer. Kept: to make a decoder for each text costs more than to read the text."""
_LONGER = {
    bounds: json.JSONDecoder(parse_constant=_constant, parse_float=_float, parse_int=bounds.integer)
    for bounds in (STRICT, WIDE)
}
