"""Schema of agent memory: kinds, fields, their types and limits, and what is wrong with a change.

The type of a field determines how two concurrent changes of it are merged (docs/concepts/memory.md). Text, integer and hypervector are *written*: a
change replaces the value. Counts and scores are *increased*: a change adds to them. Sets are added to.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Mapping
from typing import Any

from ....printable import printable
from .trits import strange

TEXT, INTEGER, TRITS = WRITTEN = ("text", "integer", "hypervector")
COUNT, SCORE, SET = ("count", "score", "set")

FIELDS: Mapping[str, Mapping[str, str]] = {
    "episode": {
        "goal": TEXT,
        "outcome": TEXT,
        "strategy": TEXT,
        "duration_ms": INTEGER,
        "timestamp_ms": INTEGER,
        "hypervector": TRITS,
        "quality": SCORE,
        "agents": SET,
        "modalities_in": SET,
        "modalities_out": SET,
    },
    "fact": {
        "concept": TEXT,
        "knowledge": TEXT,
        "times_used": COUNT,
        "times_helpful": COUNT,
        "confidence": SCORE,
        "sources": SET,
    },
    "profile": {"attempts": COUNT, "successes": COUNT, "score": SCORE},
}
"""By kind: its fields, each with its type, in the order in which they are shown."""
KINDS = ("episode", "fact", "profile")
LIMITS: Mapping[str, int] = {"episode": 10_000, "fact": 5_000, "profile": 30}
"""By kind: records allowed on a node when one is inserted."""

NAME_CHARACTERS = 128
TEXT_CHARACTERS = 4096
ELEMENT_CHARACTERS = 64
ELEMENTS_A_CHANGE = 64
ELEMENTS_LIMIT = 256
"""Elements of one set after an addition, at most. With it the record that one node writes stays below 800 KiB of JSON, whatever its characters."""
INTEGER_LIMIT = 1 << 53
COUNT_LIMIT = 1 << 40
TRITS_LIMIT = 10_000


def change_problem(kind: Any, record: Any, fields: Any) -> str | None:
    """Return the error in a change, with the field, the value and the values allowed; None when the change is valid."""
    return record_problem(kind, record) or fields_problem(kind, fields)


def record_problem(kind: Any, record: Any) -> str | None:
    """Return why the name of a record is invalid; None when it is valid."""
    if not isinstance(kind, str) or kind not in FIELDS:
        return f"the kind {short(kind)} is none of {', '.join(KINDS)}"
    if not isinstance(record, str) or not 1 <= len(record) <= NAME_CHARACTERS or not printable(record):
        return f"the record {short(record)} is not a name of 1-{NAME_CHARACTERS} printable characters"
    return None


def fields_problem(kind: str, fields: Any) -> str | None:
    types = FIELDS[kind]
    if not isinstance(fields, Mapping) or not fields:
        return f"fields are {short(fields)}, not an object with one or more of {', '.join(types)}"
    for name, value in fields.items():
        if name not in types:
            return f"{short(name)} is not a field of kind {kind}; its fields are {', '.join(types)}"
        problem = _CHECKS[types[name]](value)
        if problem is not None:
            return f"{name} is {short(value)}, {problem}"
    return None


def thousandths(score: float) -> int:
    """Return a score in its stored form: the nearest whole number of thousandths."""
    return round(score * 1000)


def written_problem(type_: str, value: Any) -> str | None:
    """Return why a value is invalid for one of the types in `WRITTEN`; None when it is valid."""
    return _CHECKS[type_](value)


def element_problem(value: Any) -> str | None:
    if not isinstance(value, str) or not 1 <= len(value) <= ELEMENT_CHARACTERS or _surrogate(value):
        return f"not a text of 1-{ELEMENT_CHARACTERS} characters"
    return None


def short(value: Any) -> str:
    """Shorten a value for messages: the beginning of a text, a number, or null; otherwise its type. Takes a bounded time, whatever it is."""
    if isinstance(value, str):
        return repr(value[:80]) + ("…" if len(value) > 80 else "")
    if isinstance(value, int) and value.bit_length() > 200:
        return f"an integer of {value.bit_length()} bits"
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    size = f" of {len(value)}" if hasattr(value, "__len__") else ""
    return f"a {type(value).__name__}{size}"


def _text(value: Any) -> str | None:
    if not isinstance(value, str) or len(value) > TEXT_CHARACTERS:
        size = f" (it has {len(value)})" if isinstance(value, str) else ""
        return f"not a text of at most {TEXT_CHARACTERS} characters{size}"
    return "which has half of a surrogate pair; texts are whole Unicode characters" if _surrogate(value) else None


def _integer(value: Any) -> str | None:
    good = type(value) is int and 0 <= value <= INTEGER_LIMIT
    return None if good else f"not an integer 0..{INTEGER_LIMIT}"


def _trits(value: Any) -> str | None:
    """Validate as `trits.from_text` would, without unpacking. Other texts for the same trits are refused, so that equal hypervectors are equal texts."""
    wanted = f"not 1-{TRITS_LIMIT} trits, two a byte, in base64 without line ends (see trits.py)"
    if not isinstance(value, str) or not 1 <= len(value) <= TRITS_LIMIT or not value.isascii():
        return wanted
    try:
        packed = binascii.a2b_base64(value)
    except ValueError:
        return wanted
    if strange(packed) or 2 * len(packed) > TRITS_LIMIT:
        return wanted
    return None if binascii.b2a_base64(packed, newline=False).decode("ascii") == value else wanted


def _count(value: Any) -> str | None:
    good = type(value) is int and 1 <= value < COUNT_LIMIT
    return None if good else f"not an integer 1..{COUNT_LIMIT - 1}: how many more there are"


def _score(value: Any) -> str | None:
    good = type(value) in (int, float) and 0 <= value <= 1
    return None if good else "not a number 0..1"


def _set(value: Any) -> str | None:
    if not isinstance(value, (list, tuple)) or not 1 <= len(value) <= ELEMENTS_A_CHANGE:
        return f"not a list of 1-{ELEMENTS_A_CHANGE} elements to add"
    for element in value:
        problem = element_problem(element)
        if problem is not None:
            return f"in which {short(element)} is {problem}"
    return None


def _surrogate(value: str) -> bool:
    if value.isascii():
        return False
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


_CHECKS: Mapping[str, Callable[[Any], str | None]] = {
    TEXT: _text,
    INTEGER: _integer,
    TRITS: _trits,
    COUNT: _count,
    SCORE: _score,
    SET: _set,
}
