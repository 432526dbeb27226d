"""A cycle of transactions as a drawing: boxes on a circle, an arrow for each step with its label, and the same in words. Pure.

Coordinates are those of an SVG. Anyone may have written verdict.json: steps of another form make no drawing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import cos, hypot, pi, sin
from typing import Any

from tribulation.checkers.base.wording import show

from .micro_operations import micro_operation

MOST_STEPS = 12
"""Steps of a longer cycle are only listed."""
MOST_LISTED = 40
BOX_WIDTH, BOX_HEIGHT = 92, 40
_MARGIN_X, _MARGIN_Y = 76, 46
_LONGEST_KEY = 18
_ASIDE = 20
"""A label's distance above or below a horizontal arrow."""

RELATIONS: Mapping[str, tuple[str, str]] = {
    "wr": ("read", "the second read what the first wrote"),
    "ww": ("overwrote", "the second wrote over what the first wrote"),
    "rw": ("missed", "the first read a state without the second's write"),
    "process": ("same process", "one process did the first before the second"),
    "realtime": ("real time", "the first completed before the second was invoked"),
}
"""Kind of a step → a word for its arrow, and what it means."""


@dataclass(frozen=True, slots=True)
class Box:
    """A transaction. `x` and `y` are its centre."""

    x: float
    y: float
    name: str
    process: str


@dataclass(frozen=True, slots=True)
class Arrow:
    """A step. `path` is that of its line; the label stands at `x`, `y`."""

    kind: str
    path: str
    x: float
    y: float
    label: str
    key: str


@dataclass(frozen=True, slots=True)
class Step:
    """A step in words: `source`, its relation, `target`, and the reason."""

    source: str
    target: str
    relation: str
    why: str


@dataclass(frozen=True, slots=True)
class Transaction:
    name: str
    process: str
    outcome: str
    operations: Sequence[str]


@dataclass(frozen=True, slots=True)
class Cycle:
    """`boxes` and `arrows` are empty where the cycle is too long to be drawn. `relations` are the kinds that occur, with their meaning."""

    width: int
    height: int
    boxes: Sequence[Box]
    arrows: Sequence[Arrow]
    steps: Sequence[Step]
    hidden: int
    transactions: Sequence[Transaction]
    relations: Sequence[tuple[str, str]]

    @property
    def alternative(self) -> str:
        """What the drawing shows, in one sentence."""
        steps = "; ".join(f"{step.source} before {step.target} by {step.relation}" for step in self.steps)
        return f"A cycle of {len(self.boxes)} transactions: {steps}."


PARTS = frozenset(("cycle", "steps", "transactions"))
"""The fields of an anomaly's details that the drawing shows."""


def cycle_of(details: Mapping[str, Any]) -> Cycle | None:
    """The drawing of an anomaly's `steps`, if each begins where the one before it ends, and the last ends where the first begins."""
    steps = [_step(step) for step in _mappings(details.get("steps"))]
    names = [step.source for step, _, _ in steps]
    ends = [step.target for step, _, _ in steps]
    if len(steps) < 2 or ends != [*names[1:], names[0]] or len(set(names)) != len(names):
        return None
    about = _mappings(details.get("transactions"))
    processes = {str(txn.get("txn")): f"process {show(txn.get('process'))}" for txn in about}
    drawn = len(steps) <= MOST_STEPS
    width, height, places = _circle(len(steps)) if drawn else (0, 0, [])
    kinds = dict.fromkeys(kind for _, kind, _ in steps if kind in RELATIONS)
    return Cycle(
        width=width,
        height=height,
        boxes=[Box(*at, name, processes.get(name, "")) for at, name in zip(places, names, strict=False)],
        arrows=[_arrow(places, at, kind, key) for at, (_, kind, key) in enumerate(steps) if drawn],
        steps=[step for step, _, _ in steps[:MOST_LISTED]],
        hidden=max(0, len(steps) - MOST_LISTED),
        transactions=[_transaction(txn) for txn in about[:MOST_LISTED]],
        relations=[(kind, RELATIONS[kind][1]) for kind in kinds],
    )


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _step(step: Mapping[str, Any]) -> tuple[Step, str, str]:
    """A step in words, its kind, and its key as text."""
    kind = str(step.get("kind") or "")
    key = "" if step.get("key") is None else show(step["key"])
    named = f"{kind} on {key}" if key else kind
    source, target = show(step.get("from")), show(step.get("to"))
    return Step(source, target, named or "order", show_all(step.get("why"))), kind, key


def show_all(value: Any) -> str:
    return value if isinstance(value, str) else show(value)


def _transaction(txn: Mapping[str, Any]) -> Transaction:
    ops = txn.get("ops")
    lines = [micro_operation(op) for op in ops] if isinstance(ops, list) else []
    return Transaction(show(txn.get("txn")), show(txn.get("process")), show(txn.get("outcome")), lines)


def _circle(count: int) -> tuple[int, int, list[tuple[float, float]]]:
    """Width, height, and the centre of each box: two next to each other, more on a circle from the top on, clockwise."""
    if count == 2:
        return 460, 190, [(_MARGIN_X, 95.0), (460 - _MARGIN_X, 95.0)]
    radius_y = max(96, 26 * count)
    radius_x = radius_y + 44
    width, height = 2 * (radius_x + _MARGIN_X), 2 * (radius_y + _MARGIN_Y)
    turns = [2 * pi * at / count for at in range(count)]
    return (
        width,
        height,
        [(round(width / 2 + radius_x * sin(turn), 1), round(height / 2 - radius_y * cos(turn), 1)) for turn in turns],
    )


def _arrow(places: Sequence[tuple[float, float]], at: int, kind: str, key: str) -> Arrow:
    """Draw the arrow from one box to the next, bent to the outside so that two arrows between two boxes stay apart."""
    (x1, y1), (x2, y2) = places[at], places[(at + 1) % len(places)]
    length = hypot(x2 - x1, y2 - y1) or 1.0
    bend = 62.0 if len(places) == 2 else 18.0
    bent_x = (x1 + x2) / 2 + (y2 - y1) / length * bend
    bent_y = (y1 + y2) / 2 - (x2 - x1) / length * bend
    start, end = _at_edge(x1, y1, bent_x, bent_y, 2), _at_edge(x2, y2, bent_x, bent_y, 5)
    path = f"M{start[0]:.1f} {start[1]:.1f}Q{bent_x:.1f} {bent_y:.1f} {end[0]:.1f} {end[1]:.1f}"
    middle_x = (start[0] + 2 * bent_x + end[0]) / 4
    middle_y = (start[1] + 2 * bent_y + end[1]) / 4 - (x2 - x1) / length * _ASIDE
    word = RELATIONS[kind][0] if kind in RELATIONS else ""
    label = f"{kind}: {word}" if word else kind or "before"
    return Arrow(kind, path, round(middle_x, 1), round(middle_y, 1), label, _clipped(key, _LONGEST_KEY))


def _at_edge(x: float, y: float, to_x: float, to_y: float, gap: float) -> tuple[float, float]:
    """Return where a line from a box's centre leaves the box."""
    dx, dy = to_x - x, to_y - y
    half_x, half_y = BOX_WIDTH / 2 + gap, BOX_HEIGHT / 2 + gap
    share = min(half_x / abs(dx) if dx else 1e9, half_y / abs(dy) if dy else 1e9)
    return x + dx * share, y + dy * share


def _clipped(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
