"""Checker `total-queue`: what goes into a queue comes out, once. The order does not matter here.

Operations are `enqueue`, `dequeue` (null or a refusal when empty) and `drain` (a list). What did not come out is *lost* only when the queue was seen
to be empty after everything had gone in: by a drain, or by a dequeue that found nothing. A dequeue of unknown outcome may have taken one element with
it, and a drain any number; as many missing elements are left in doubt.

With `at_least_once`, the promise of brokers that deliver again what a consumer did not acknowledge, an element may come out again; it is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tribulation.histories import Operation, Type, canonical
from tribulation.histories.model.columns import Columns, Int64

from ...base.conclusion import all_of, conclude, quantiles_ms, sentence
from ...base.findings import Findings
from ...base.options import flag, settings_of
from ...base.result import Budget, CheckResult, RunRecord
from ...base.selection import judges, names, operation, parts
from ...base.wording import describe, indices, on_key, show
from .queue_columns import Flow, flow, unlike

_EMPTY = ("empty", "queue-empty", "exhausted")
_SHOWN = 20


class TotalQueueChecker:
    name = "total-queue"
    operations = judges("enqueue", "dequeue", "drain", having=["enqueue"], whole=True)
    options = (flag("at_least_once", False, "an element may come out more than once: the queue may deliver it again"),)

    def applies(self, record: RunRecord) -> bool:
        found = names(record)
        return "enqueue" in found and bool(found & {"dequeue", "drain"})

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        findings = Findings()
        doubts: list[str] = []
        totals: Counter[str] = Counter()
        delivery_ns: list[Int64] = []
        columns = record.history.columns
        again = bool(settings_of(record, self)["at_least_once"])
        for part in parts(columns, self.operations.rows(columns)):
            strange = unlike(columns, part)
            if strange is not None:
                text = f"{on_key(part.key)}elements are {strange}, which cannot be distinguished here"
                doubts.append(sentence(text).rstrip("."))
                continue
            found = flow(columns, part)
            bag = _bag([operation(record, row) for row in found.rows], found, columns)
            totals.update(_judge(part.key, bag, again, findings, doubts))
            for kind in ("attempted", "acknowledged", "dequeued", "recovered"):
                totals[kind] += getattr(found, kind)
            delivery_ns.append(found.delivery_ns)
        kinds = (
            "attempted",
            "acknowledged",
            "dequeued",
            "lost",
            "unexpected",
            "duplicated",
            "recovered",
            "undelivered",
        )
        stats: dict[str, Any] = {
            **{kind: totals[kind] for kind in kinds},
            "delivery_ms": quantiles_ms(np.concatenate([np.zeros(0, np.int64), *delivery_ns])),
        }
        if not totals["acknowledged"] or not totals["dequeued"]:
            doubts.append(
                f"{totals['acknowledged']} elements went in and {totals['dequeued']} came out: nothing to compare"
            )
        return conclude(self.name, findings, stats, all_of(doubts))


@dataclass(slots=True)
class Bag:
    """The part of a queue that needs a second look. `tried` are enqueues that may have happened; `out` what came out, by element, in order of
    completion.

    `last_in` is the latest position at which any element of the queue was acknowledged.
    """

    last_in: int
    tried: dict[Hashable, list[Operation]] = field(default_factory=dict)
    refused: dict[Hashable, Operation] = field(default_factory=dict)
    out: dict[Hashable, list[Operation]] = field(default_factory=dict)
    empties: list[Operation] = field(default_factory=list)
    unsure: list[Operation] = field(default_factory=list)


def _bag(ops: Sequence[Operation], found: Flow, columns: Columns) -> Bag:
    bag = Bag(last_in=found.last_in)
    suspects = {canonical(columns.values[value]) for value in found.suspects}
    for op in sorted(ops, key=lambda op: (op.complete_index is None, op.complete_index)):
        if op.f == "enqueue":
            element = canonical(op.argument)
            if op.type is Type.FAIL:
                bag.refused.setdefault(element, op)
            else:
                bag.tried.setdefault(element, []).append(op)
            continue
        if op.type is Type.INFO:
            bag.unsure.append(op)
        for element in _taken(op):
            if element in suspects:
                bag.out.setdefault(element, []).append(op)
        if _found_nothing(op):
            bag.empties.append(op)
    return bag


def _taken(op: Operation) -> Iterable[Hashable]:
    """Return what an operation certainly took out; a drain of unknown outcome may report how far it got."""
    if op.f == "drain":
        elements = op.result if op.type is not Type.FAIL and isinstance(op.result, (list, tuple)) else ()
        return [canonical(element) for element in elements]
    return [canonical(op.result)] if op.type is Type.OK and op.result is not None else []


def _found_nothing(op: Operation) -> bool:
    if op.f == "drain":
        return op.type is Type.OK
    return (op.type is Type.OK and op.result is None) or (op.type is Type.FAIL and op.error in _EMPTY)


def _judge(key: Hashable, bag: Bag, again: bool, findings: Findings, doubts: list[str]) -> dict[str, int]:
    missing = [element for element, _ in _missing(bag)]
    lost, why = _lost(bag, missing)
    if why is not None:
        doubts.append(why)
    counts = {"lost": len(missing) if lost else 0, "undelivered": len(missing), "unexpected": 0, "duplicated": 0}
    if lost:
        _report_lost(key, bag, missing, findings)
    for element, taken in bag.out.items():
        tried = sorted(bag.tried.get(element, []), key=lambda op: op.invoke_index)
        early = _early(tried, taken[:1] if again else taken)
        counts["duplicated"] += bool(tried) and (len(taken) > len(tried) or bool(early))
        if not tried:
            counts["unexpected"] += 1
            _report_unexpected(key, bag, element, findings)
        elif len(taken) > len(tried) and not again:
            ops = [*tried[:1], *taken[:2]]
            text = f"{show(element)} went in {_times(len(tried))} and came out {_times(len(taken))}: {'; '.join(map(describe, ops))}"
            _add(findings, "duplicated", key, ops, text, [element])
        elif early == 0:
            text = f"{show(element)} came out before it went in: {describe(taken[0])}; then {describe(tried[0])}"
            _add(findings, "future-read", key, [taken[0], tried[0]], text, [element])
        elif early is not None:
            ops = [*tried[:early], *taken[: early + 1]]
            went_in, came_out = _times(early), _times(early + 1)
            text = f"{show(element)} had gone in {went_in} and come out {came_out}: {'; '.join(map(describe, ops))}; only then {describe(tried[early])}"
            _add(findings, "duplicated", key, [*ops, tried[early]], text, [element])
    return counts


def _early(tried: Sequence[Operation], taken: Sequence[Operation]) -> int | None:
    """Return the first k for which the element came out k + 1 times before its enqueue number k + 1 began: Hall's condition for nested intervals.

    `tried` are in order of invocation, `taken` in order of completion.
    """
    pairs = enumerate(zip(tried, taken, strict=False))
    return next((k for k, (enqueue, take) in pairs if (take.complete_index or 0) < enqueue.invoke_index), None)


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _missing(bag: Bag) -> Iterator[tuple[Hashable, Operation]]:
    """Yield the acknowledged elements that did not come out as often, with an enqueue of each."""
    for element, ops in bag.tried.items():
        acknowledged = [op for op in ops if op.type is Type.OK]
        for op in acknowledged[len(bag.out.get(element, ())) :]:
            yield element, op


def _lost(bag: Bag, missing: Sequence[Hashable]) -> tuple[bool, str | None]:
    """Return whether some of the missing elements are certainly lost, and what stays in doubt."""
    if not missing:
        return False, None
    seen_empty = _seen_empty(bag)
    if seen_empty is None:
        return False, f"{len(missing)} elements did not come out, and the queue was never seen to be empty at the end"
    drains = sum(op.f == "drain" for op in bag.unsure)
    takers = sum(op.f == "dequeue" and op.invoke_index < (seen_empty.complete_index or 0) for op in bag.unsure)
    if drains or len(missing) <= takers:
        text = f"{len(missing)} elements did not come out, and {takers + drains} dequeues and drains of unknown outcome may have taken them"
        return False, text
    return True, None


def _seen_empty(bag: Bag) -> Operation | None:
    """Return the last operation that found nothing (more) and began after every acknowledged enqueue had returned."""
    after = [op for op in bag.empties if op.invoke_index > bag.last_in]
    return max(after, key=lambda op: op.complete_index or 0, default=None)


def _report_lost(key: Hashable, bag: Bag, missing: Sequence[Hashable], findings: Findings) -> None:
    element, enqueue = next(_missing(bag))
    empty = _seen_empty(bag)
    assert empty is not None, "only a queue that was seen empty has lost something"
    takers = sum(op.f == "dequeue" for op in bag.unsure)
    text = f"{show(element)} went in by {describe(enqueue)} and never came out, although {describe(empty)} left the queue empty"
    if takers:
        text += f"; at most {takers} of {len(missing)} missing elements can have gone with dequeues of unknown outcome"
    elif len(missing) > 1:
        text += f"; {len(missing)} elements are lost"
    _add(findings, "lost-write", key, [enqueue, empty], text, missing)


def _report_unexpected(key: Hashable, bag: Bag, element: Hashable, findings: Findings) -> None:
    taken, refused = bag.out[element][0], bag.refused.get(element)
    if refused is None:
        _add(
            findings,
            "thin-air",
            key,
            [taken],
            f"{show(element)} came out, which no client ever tried to put in: {describe(taken)}",
            [element],
        )
        return
    text = f"{show(element)} came out although its enqueue was refused: {describe(refused)}; {describe(taken)}"
    _add(findings, "aborted-read", key, [refused, taken], text, [element])


def _add(
    findings: Findings, kind: str, key: Hashable, ops: Sequence[Operation], text: str, elements: Sequence[Hashable]
) -> None:
    details = {"key": key, "count": len(elements), "elements": list(elements)[:_SHOWN]}
    findings.add(kind, sentence(on_key(key) + text), ops=indices(ops), details=details)
