"""An explanation as lines of text."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tribulation.histories.model.operation import Operation

from ..compare.differences import shown
from .explained import Answer, Explained
from .onset import Onset

SHOWN_FILES = 6
BAR = 20
MOST_ITEMS = 8


def describe_explained(explained: Explained) -> list[str]:
    lines = [
        f"failure: {explained.wanted.checker}/{explained.wanted.kind}, complete at {explained.seen_ns / 1e9:.6f} s of the run",
        f"  {explained.explanation}",
    ]
    lines += _describe_neighbour(explained)
    if explained.onset is not None:
        lines += _describe_onset(explained.onset)
    return lines


def _describe_neighbour(explained: Explained) -> list[str]:
    neighbour = explained.neighbour
    if neighbour.change is None and neighbour.cut:
        return [
            f"nearest passing plan: the time ended after {neighbour.tried} similar plans, none of which passes (--time)"
        ]
    if neighbour.change is None:
        return [f"nearest passing plan: none of {neighbour.tried} similar plans pass (--tries tries more)"]
    lines = [
        f"nearest passing plan: {neighbour.change.what} ({neighbour.tried} tried, {neighbour.failing} failed in the same way)"
    ]
    if explained.differences:
        lines.append("  where the two runs differ, ignoring times:")
    for difference in explained.differences[:SHOWN_FILES]:
        lines += [f"    {line}" for line in difference.described("failing", "passing")]
    if explained.answers:
        lines.append(f"  {explained.apart}; the first of them:")
        lines += [f"    {describe_answer(answer)}" for answer in explained.answers]
    return lines


def describe_answer(answer: Answer) -> str:
    op, other = answer.failing, answer.passing
    asked = f"{op.f} {op.key}" + ("" if op.argument is None else f" {shown(op.argument)}")
    head = f"{op.invoke_ns / 1e9:.6f} s  {asked}"
    if other is not None and isinstance(op.result, list) and isinstance(other.result, list) and op.type is other.type:
        return f"{head}: {op.type.value} both, {_lists(op.result, other.result)}"
    return f"{head}: failing {_outcome(op)} · passing {'not tried' if other is None else _outcome(other)}"


def _lists(failing: list[Any], passing: list[Any]) -> str:
    """The elements of each list that the other lacks; long lists are mostly equal."""
    ours, theirs = (Counter(json.dumps(item, default=repr) for item in items) for items in (failing, passing))
    more, less = sorted((ours - theirs).elements()), sorted((theirs - ours).elements())
    if not more and not less:
        return "in another order"
    sides = (("failing", more), ("passing", less))
    text = [
        f"only {who} {', '.join(items[:MOST_ITEMS])}{' …' * (len(items) > MOST_ITEMS)}" for who, items in sides if items
    ]
    return " · ".join(text)


def _outcome(op: Operation) -> str:
    return op.type.value if op.result is None and op.f != "read" else f"{op.type.value} {shown(op.result)}"


def _describe_onset(onset: Onset) -> list[str]:
    lines = [
        "rate of failures when everything before a moment is kept and everything after it is drawn again: (before 0 the cluster boots)"
    ]
    lines += _table(onset)
    if onset.jump is None:
        first = onset.points[0].rate if onset.points else 0.0
        why = (
            "the operations and faults alone make the failure likely"
            if first >= 0.5
            else "the failure depends on chance up to its end"
        )
        return [*lines, f"biggest jump: none that is larger than chance in so few runs; {why}"]
    before, after = onset.jump
    lines.append(
        f"biggest jump: from {100 * before.rate:.0f} % to {100 * after.rate:.0f} % between {before.at_ns / 1e9:.6f} s and "
        f"{after.at_ns / 1e9:.6f} s, where this happened:"
    )
    return [*lines, *(f"  {event}" for event in onset.events or ("nothing but operations",))]


def _table(onset: Onset) -> Sequence[str]:
    return [
        f"  {point.at_ns / 1e9:>10.6f} s  {100 * point.rate:3.0f} %  {'█' * round(BAR * point.rate):<{BAR}}  {point.fails} of {point.salts}"
        + (f", {point.otherwise} fail otherwise" if point.otherwise else "")
        for point in onset.points
    ]
