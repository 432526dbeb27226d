"""Values as a history holds them: JSON's own types, within its bounds. What users' code makes may be anything else. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tribulation.histories.files.codec import encode_fields
from tribulation.histories.model.bounds import INTEGER_DIGITS, LINE_BYTES, name_problem

from ..errors import shown

DEEPEST = 50
BEYOND = 10**INTEGER_DIGITS
FIELDS = frozenset(
    {"index", "time", "time_ns", "process", "type", "f", "value", "key", "workload", "level", "node", "error", "effect"}
)
"""Fields of every history line, so that no `extra` may have such a name."""
MOST_BYTES = LINE_BYTES // 2 - (1 << 20)
"""JSON of an operation or of an answer: a line of the history has both, and names."""


def refuse_names(whose: str, **names: Any) -> None:
    """Raise `ValueError` for a name that is too long, or is no text and no number."""
    for name, value in names.items():
        if (wrong := name_problem(name, value)) is not None:
            raise ValueError(f"{whose} {wrong}")


def refuse_large(values: Any, what: str) -> None:
    """Raise `ValueError` for more than a line of the history holds, and `TypeError` as the recorder would, but not in the run's own thread."""
    if (size := len(encode_fields(values))) > MOST_BYTES:
        raise ValueError(f"{what} has {size >> 20} MiB; at most {MOST_BYTES >> 20} MiB are recorded")


def refuse_taken(extra: Mapping[str, Any], whose: str) -> None:
    """Raise `ValueError` for an `extra` with the name of a field."""
    if taken := sorted(FIELDS.intersection(extra)):
        raise ValueError(f"{whose} {taken[0]!r}, which is a field of every history line")


def plain(value: Any, place: str, depth: int = 0, many: tuple[type[Any], ...] = (list, tuple, set, frozenset)) -> Any:
    """Return a copy in exact types. `place` begins the sentence of a mistake: "invoke answered an Outcome whose value"; `many` are the kinds of lists.

    Raises `TypeError` or `ValueError` for what JSON would change, since bytes written as text, or NaN as null, would be judged as another value, and
    for what is beyond the bounds of a history: a line that cannot be read again would cost all the others.
    """
    if depth > DEEPEST:
        raise ValueError(f"{place} is nested more than {DEEPEST} deep")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str | int | float):
        same = exact(value)
        if isinstance(same, str):
            same.encode()
        elif isinstance(same, float) and not math.isfinite(same):
            raise ValueError(f"{place} holds {same}, which JSON lacks")
        elif isinstance(same, int) and abs(same) >= BEYOND:
            raise ValueError(f"{place} holds an integer of more than {INTEGER_DIGITS} digits")
        return same
    if isinstance(value, Mapping):
        return _mapping(value, place, depth, many)
    for kind in many:
        if isinstance(value, kind):
            return kind(plain(one, place, depth + 1, many) for one in value)
    hint = ": decode it" if isinstance(value, bytes | bytearray) else ""
    raise TypeError(f"{place} holds {shown(value)} of type {type(value).__name__}, which JSON lacks{hint}")


def _mapping(value: Mapping[Any, Any], place: str, depth: int, many: tuple[type[Any], ...]) -> dict[Any, Any]:
    copy: dict[Any, Any] = {}
    for name, one in value.items():
        if not isinstance(name, str | int) or isinstance(name, bool):
            raise TypeError(f"{place} holds the key {shown(name)}, which is not a text")
        copy[plain(name, place)] = plain(one, place, depth + 1, many)
    if len({str(name) for name in copy}) < len(value):
        raise ValueError(f"{place} holds two keys of one text: {shown(value)}")
    return copy


def exact(value: Any) -> Any:
    """The same text or number, without what a subclass redefines."""
    if isinstance(value, str):
        return str.__str__(value)
    return int.__index__(value) if isinstance(value, int) else float.__float__(value)
