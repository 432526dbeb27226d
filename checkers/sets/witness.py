"""Anomalies of grow-only sets: from a broken rule of `tribulation.checkers.sets.order` to an anomaly with its operations and one paragraph."""

from __future__ import annotations

from collections.abc import Hashable

from tribulation.histories import Operation

from ..base.result import Anomaly
from ..base.wording import describe, indices, ms_between, on_key, show
from .order import Disorder, WholeSet


def anomaly_of_disorder(wrong: Disorder, found: WholeSet, key: Hashable) -> Anomaly:
    if wrong.kind == "unwritten":
        return _unwritten(wrong, found, key)
    if wrong.kind == "incomparable":
        return _incomparable(wrong, found, key)
    late, early, element = wrong.late, wrong.early, wrong.element
    assert early is not None, "an order is between two operations"
    lost = not any(element in elements for _, elements in found.reads)
    if wrong.shown_by is not None:
        text = (
            f"{show(element)} was added before the add of {show(late.argument)} began, but a read has the second and lacks the first: "
            f"{describe(early)}; {describe(late)}; {describe(wrong.shown_by)}."
        )
        kind = "lost-write" if lost else "stale-read"
        return _anomaly(kind, key, (early, late, wrong.shown_by), text, element, ms_between(early, wrong.shown_by))
    if late.f == "add":
        text = f"{show(element)} was read before its add had begun: {describe(early)}; then {describe(late)}."
        return _anomaly("future-read", key, (early, late), text, element)
    stale_ms = ms_between(early, late)
    add = found.adds[element]
    how = (
        f"was added by {describe(early)}"
        if early is add
        else f"was added by {describe(add)} and shown by {describe(early)}"
    )
    story = "no client ever read it" if lost else "others read it"
    text = f"{show(element)} {how}, but {describe(late)}, which began {stale_ms} ms later, lacks it ({story})."
    return _anomaly("lost-write" if lost else "stale-read", key, (add, early, late), text, element, stale_ms)


def _unwritten(wrong: Disorder, found: WholeSet, key: Hashable) -> Anomaly:
    failed = found.failed.get(wrong.element)
    if failed is None:
        text = f"{show(wrong.element)} was read, which no client ever tried to add: {describe(wrong.late)}."
        return _anomaly("thin-air", key, (wrong.late,), text, wrong.element)
    text = (
        f"{show(wrong.element)} was read although its add was refused and so must never take effect: "
        f"{describe(failed)}; {describe(wrong.late)}."
    )
    return _anomaly("aborted-read", key, (failed, wrong.late), text, wrong.element)


def _incomparable(wrong: Disorder, found: WholeSet, key: Hashable) -> Anomaly:
    assert wrong.early is not None, "two reads are compared"
    text = (
        f"two reads each miss what the other has, so neither can have been first: {show(wrong.element)} is only in {describe(wrong.early)}, "
        f"{show(wrong.other)} only in {describe(wrong.late)}."
    )
    ops = (found.adds[wrong.element], found.adds[wrong.other], wrong.early, wrong.late)
    return _anomaly("incomparable-reads", key, ops, text, wrong.element)


def _anomaly(
    kind: str, key: Hashable, ops: tuple[Operation, ...], text: str, element: Hashable, stale_ms: float | None = None
) -> Anomaly:
    details: dict[str, object] = {"key": key, "element": element}
    if stale_ms is not None:
        details["staleness_ms"] = stale_ms
    sentence = on_key(key) + text
    return Anomaly(kind, indices(ops), sentence[0].upper() + sentence[1:], details)
