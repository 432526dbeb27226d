"""Checkers `queue`, `stack`, `priority-queue`, `counter`, `mutex`, `fenced-mutex`, `list`: linearizability of one kind of object.

Each checks the objects of its kind in the history, by the same table as `linearizable` (`dispatch`). They are for users who want one kind
by name; `checkers: auto` leaves it to `linearizable`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import ClassVar

import numpy as np

from tribulation.histories import canonical

from ...base.budget import Meter
from ...base.conclusion import of_objects, shown_of
from ...base.findings import KEEP_OBJECTS
from ...base.options import Option, settings_of
from ...base.result import Budget, CheckResult, RunRecord, Verdict
from ...base.selection import Bool
from ...base.wording import show
from .dispatch import INITIAL, PRIORITY, STRUCTURES, Structure, judge, objects, structure_named, structure_of
from .fallback import Judged
from .parts.strange import blank_reads
from .parts.view import View


class StructureChecker:
    """Common base; subclasses name the structure."""

    name: ClassVar[str]
    options: ClassVar[tuple[Option, ...]] = ()

    @property
    def structure(self) -> Structure:
        return STRUCTURES[self.name]

    def applies(self, record: RunRecord) -> bool:
        return any(True for _ in self._mine(record))

    def in_auto(self, record: RunRecord) -> bool:
        """Return false: `linearizable` finds the same violations."""
        return False

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        meter, settings = Meter.of(budget), settings_of(record, self)
        found: dict[str, Judged] = {}
        # The small ones first: the part of the budget that they do not use is left for the large ones.
        todo = sorted(self._mine(record), key=lambda item: len(item[1]))
        for done, ((workload, key), view) in enumerate(todo):
            share = meter.part(max(meter.left_s / (len(todo) - done), 0.001))
            label = show(key) if workload is None else f"{workload}/{show(key)}"
            found[label] = judge(view, self.structure, canonical(key), share, settings)
        return _merged(self.name, found)

    def judged(self, record: RunRecord) -> Bool:
        found = np.zeros(len(record.history.columns), np.bool_)
        for _, view in self._mine(record):
            found[view.rows] = ~blank_reads(view) if self.name == "counter" else True
        return found

    @property
    def operations(self) -> frozenset[str]:
        return self.structure.names

    def _mine(self, record: RunRecord) -> Iterator[tuple[tuple[str | None, Hashable], View]]:
        asked = structure_named(record.options.get("model"))
        for name, view in objects(record.history):
            if not view.ok.any() or not view.names() <= self.structure.names:
                continue
            if asked is self.structure or self._is_mine(view):
                yield name, view

    def _is_mine(self, view: View) -> bool:
        kind = structure_of(view)
        return kind is not None and kind.name == self.name


class QueueChecker(StructureChecker):
    name = "queue"


class StackChecker(StructureChecker):
    name = "stack"


class PriorityQueueChecker(StructureChecker):
    name = "priority-queue"
    options = (PRIORITY,)


class CounterChecker(StructureChecker):
    name = "counter"
    options = (INITIAL,)


class MutexChecker(StructureChecker):
    """Checker of locks, also of those that return tokens."""

    name = "mutex"

    def _is_mine(self, view: View) -> bool:
        kind = structure_of(view)
        return kind is not None and kind.name in ("mutex", "fenced-mutex")


class FencingChecker(StructureChecker):
    name = "fenced-mutex"


class AppendListChecker(StructureChecker):
    name = "list"


def _merged(name: str, found: dict[str, Judged]) -> CheckResult:
    if not found:
        return CheckResult(name, Verdict.UNKNOWN, reason=f"the history has no operations like those of `{name}`")
    by_verdict = {verdict: {key: one for key, one in found.items() if one.verdict is verdict} for verdict in Verdict}
    methods = [one.method for one in found.values()]
    stats: dict[str, object] = {
        "keys": len(found),
        "operations": sum(one.operations for one in found.values()),
        "methods": {method: methods.count(method) for method in sorted(set(methods))},
    }
    anomalies = tuple(one.anomaly for one in found.values() if one.anomaly is not None)[:KEEP_OBJECTS]
    unknown = by_verdict[Verdict.UNKNOWN]
    reason = shown_of(len(by_verdict[Verdict.INVALID]), len(found), len(anomalies))
    if unknown:
        first, example = next(iter(unknown.items()))
        left = f"{len(unknown)} of {len(found)} keys undecided; {first}: {example.reason}"
        reason = left if reason is None else f"{reason}; {left}"
    if by_verdict[Verdict.INVALID] or unknown:
        stats["verdicts"] = of_objects({key: one.verdict for key, one in found.items()})
    verdict = Verdict.INVALID if anomalies else Verdict.UNKNOWN if unknown else Verdict.VALID
    return CheckResult(name, verdict, anomalies, stats, reason)
