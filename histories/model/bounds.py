"""Bounds of a history in any format. Real histories are far below them, and all code here works within them.

Without them, Python's recursion limit and number conversion would decide. A history beyond a bound is refused with its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .errors import HistoryError

DEPTH = 64
"""Nesting depth of lists, sets and maps in one value."""
INTEGER_DIGITS = 300
"""Decimal digits of an integer: what a float of 64 bits holds, so that no arithmetic overflows."""
POSITION_LIMIT = 1 << 62
"""`index` is between 0 and this, `time` (ns) between this and its negative, so that sums of two fit into 64 bits."""
NAME_CHARACTERS = 1024
"""Characters of `f`, `process`, `workload`, `level` and `node`."""
LINE_BYTES = 64 << 20
TEXT_BYTES = 1 << 30
"""Bytes of a file in a format that is read as a whole."""

HINT = f"values are at most {DEPTH} deep, integers have at most {INTEGER_DIGITS} digits, floats are finite, texts are valid Unicode"
_BEYOND = 10**INTEGER_DIGITS
_TOO_DEEP = f"a value is nested more than {DEPTH} deep"
_INNER = (list, tuple, dict, set, frozenset, Mapping)
_LONG_DIGITS = re.compile(rb"[0-9]{%d}" % (INTEGER_DIGITS + 1))
_LONG_ZEROS = b"0" * (INTEGER_DIGITS + 1)
_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_JSON_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)


def problem(fields: Mapping[Any, Any]) -> str | None:
    """Return what is out of bounds in the fields of an event. Works level by level, so that depth costs no stack."""
    level: list[Any] = [fields]
    for _ in range(DEPTH + 1):
        below: list[Any] = []
        for items in level:
            if isinstance(items, Mapping):
                wrong = _problem_here(items, below) or _problem_here(items.values(), below)
            else:
                wrong = _problem_here(items, below)
            if wrong is not None:
                return wrong
        if not below:
            return None
        level = below
    return _TOO_DEEP


def _problem_here(items: Any, below: list[Any]) -> str | None:
    for item in items:
        if isinstance(item, str):
            if not item.isascii() and not is_unicode(item):
                return "a text has half of a surrogate pair"
        elif isinstance(item, int):
            if not -_BEYOND < item < _BEYOND:
                return f"an integer has more than {INTEGER_DIGITS} digits"
        elif isinstance(item, float):
            if item - item != 0.0:
                return f"a number is {item}"
        elif isinstance(item, _INNER):
            below.append(item)
    return None


def is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def may_exceed(line: bytes) -> bool:
    """Return whether a line of JSON may hold a value out of bounds; a cheap test for lines that are decoded many at a time."""
    if len(line) <= 2 * DEPTH:
        return False
    deep = line.count(b"[") + line.count(b"{") > DEPTH and _depth(line) > DEPTH + 1
    return deep or (len(line) > INTEGER_DIGITS and _LONG_DIGITS.search(line) is not None)


def any_may_exceed(content: bytes) -> bool:
    """Return whether any of many whole lines may hold a value out of bounds, in one test of all of them."""
    if _LONG_ZEROS in content.translate(_ZEROS):
        return True
    import numpy as np

    codes = np.frombuffer(content, np.uint8)
    opening = (codes == ord("[")) | (codes == ord("{"))
    ends = np.flatnonzero(codes == ord("\n"))
    before = np.cumsum(opening, dtype=np.int32)[ends]
    return bool((np.diff(before, prepend=0) > DEPTH).any())


def _depth(line: bytes) -> int:
    import numpy as np

    text = np.frombuffer(_JSON_STRING.sub(b"", line), np.uint8)
    steps = np.isin(text, list(b"[{")).astype(np.int32) - np.isin(text, list(b"]}"))
    return int(np.cumsum(steps).max(initial=0))


def integer(text: str) -> int:
    """Parse a decimal integer. Raises `ValueError` for anything else, and beyond the bounds."""
    if len(text) > INTEGER_DIGITS + 1:
        raise ValueError(f"an integer has more than {INTEGER_DIGITS} digits")
    return int(text)


def position_problem(name: str, value: int) -> str | None:
    """Return what is wrong with an `index` or a `time`."""
    if name == "index" and value < 0:
        return f"index is {value}; it must count from 0"
    return None if -POSITION_LIMIT <= value <= POSITION_LIMIT else f"{name} is {_brief(value)}, beyond 2^62"


def name_problem(name: str, value: Any) -> str | None:
    """Return what is wrong with the name of an operation, process, workload, level or node."""
    if value is None or type(value) is int:
        return None
    if not isinstance(value, str):
        return f"{name} is {_brief(value)}, not a text"
    return f"{name} has {len(value)} characters" if len(value) > NAME_CHARACTERS else None


def refuse(wrong: str | None, place: str = "") -> None:
    if wrong is not None:
        raise HistoryError(f"{place}{wrong}", HINT)


def _brief(value: Any) -> str:
    if isinstance(value, int) and not -_BEYOND < value < _BEYOND:
        return f"an integer of more than {INTEGER_DIGITS} digits"
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:119]}…"
