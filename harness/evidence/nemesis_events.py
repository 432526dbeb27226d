"""Events of the nemesis in a history, if they have the form that a nemesis writes: anyone may have changed the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NotRequired, TypedDict

from tribulation.histories import Event, History

from .documents import DocumentError, typed


class _Reachability(TypedDict, total=False):
    links: list[tuple[str, str, bool | int]]
    sampled_ns: int


class _Seen(TypedDict, total=False):
    disks: dict[str, Any] | None


class _Healed(TypedDict, total=False):
    verified: bool
    observed: _Seen | None


class _Offset(TypedDict):
    wall_offset_ns: int
    error_ns: int
    shown_offset_ns: NotRequired[int]


_SHAPES: dict[str, tuple[Any, Sequence[str]]] = {
    "reachability": (_Reachability, ("links",)),
    "healed": (_Healed, ("verified",)),
    "healed-all": (_Healed, ("verified",)),
    "clock-offsets": (dict[str, _Offset], ()),
}


def well_formed(history: History, *names: str) -> Iterator[Event]:
    """The nemesis's events of these names, in order, without those whose value is of another shape."""
    for event in history.nemesis:
        if event.f in names and _problem(event) is None:
            yield event


def malformed(history: History) -> str | None:
    """Describe the first event that `well_formed` leaves out; None if it leaves out none."""
    for event in history.nemesis:
        wrong = _problem(event) if event.f in _SHAPES else None
        if wrong is not None:
            return f"event {event.index} ({event.f}) is not what the nemesis writes: {wrong}"
    return None


def _problem(event: Event) -> str | None:
    shape, required = _SHAPES[event.f]
    if not isinstance(event.value, dict):
        return f"its value is a {type(event.value).__name__}"
    missing = [name for name in required if name not in event.value]
    try:
        typed(event.value, shape)
    except DocumentError as error:
        return str(error)
    return f"it has no {missing[0]}" if missing else None
