"""Checker `set`: the fate of every added element.

Per element: *lost* (acknowledged, or once read, and then missing to the end), *stale* (missing for a while), *never read* (no read had the chance),
*duplicated* (twice in one read), *phantom* (read, but never added, or its add was refused), *recovered* (of unknown outcome, and read). Lost,
duplicated and phantom elements are violations. So are reads of level `linearizable` that no order explains. A read of a weaker level may miss
elements while the load runs. It counts as evidence of loss only after the quiet period, when every replica should have them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tribulation.histories import Operation, Type, canonical

from ..base.budget import Meter, OutOfBudget
from ..base.conclusion import shown_of
from ..base.findings import KEEP_OBJECTS
from ..base.result import Anomaly, Budget, CheckResult, RunRecord, Verdict
from ..base.selection import Bool, may_have
from ..base.wording import describe, indices, on_key, show
from .order import WholeSet, disorder, whole_set
from .witness import anomaly_of_disorder

LEVEL = "linearizable"
OPERATIONS = frozenset({"add", "read"})
_SHOWN = 20


class SetChecker:
    name = "set"
    operations = OPERATIONS

    def applies(self, record: RunRecord) -> bool:
        """Return whether elements were added, to keys whose reads are not numbers: those would be counters. Other keys may hold anything."""
        if not may_have(record, "add"):
            return False
        ops = [op for mine in _sets(record).values() for op in mine]
        added = {canonical(op.key) for op in ops if op.f == "add"}
        counted = any(op.f == "read" and isinstance(op.result, int) and canonical(op.key) in added for op in ops)
        return bool(added) and not counted

    def judged(self, record: RunRecord) -> Bool:
        mine = [op.invoke_index for ops in _sets(record).values() for op in ops]
        return np.isin(record.history.columns.invoke, mine)

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        tally = Tally()
        meter = Meter.of(budget)
        quiet_ns = record.phases.get("quiet_end")
        try:
            for key, ops in _sets(record).items():
                judge_set(key, ops, quiet_ns, tally, meter)
        except OutOfBudget as error:
            verdict = Verdict.INVALID if tally.anomalies else Verdict.UNKNOWN
            return CheckResult(self.name, verdict, tuple(tally.anomalies), tally.stats(), str(error))
        if tally.anomalies:
            reason = shown_of(tally.broken, tally.counts["sets"], min(tally.broken, KEEP_OBJECTS))
            return CheckResult(self.name, Verdict.INVALID, tuple(tally.anomalies), tally.stats(), reason)
        if not tally.counts["reads"] or not tally.counts["acknowledged"]:
            reason = f"{tally.counts['acknowledged']} adds were acknowledged and {tally.counts['reads']} reads ended ok: nothing to compare"
            return CheckResult(self.name, Verdict.UNKNOWN, (), tally.stats(), reason)
        return CheckResult(self.name, Verdict.VALID, (), tally.stats())


@dataclass(slots=True)
class Tally:
    """Counts of elements by fate, over all sets."""

    counts: Counter[str] = field(default_factory=Counter)
    anomalies: list[Anomaly] = field(default_factory=list)
    """Those of the first `KEEP_OBJECTS` of the `broken` sets."""
    broken: int = 0
    stale_ms: list[float] = field(default_factory=list)

    def stats(self) -> dict[str, Any]:
        names = (
            "sets",
            "attempted",
            "acknowledged",
            "recovered",
            "reads",
            "lost",
            "stale",
            "never_read",
            "duplicated",
            "phantom",
        )
        found: dict[str, Any] = {name: self.counts[name] for name in names}
        if self.stale_ms:
            found["stale_ms_max"] = max(self.stale_ms)
        return found


def _sets(record: RunRecord) -> dict[tuple[str | None, Hashable], list[Operation]]:
    """Return the objects that only grow, as far as their operations are known: others may take elements away."""
    found: dict[tuple[str | None, Hashable], list[Operation]] = {}
    for op in record.history.operations():
        found.setdefault((op.workload, canonical(op.key)), []).append(op)
    return {name: ops for name, ops in found.items() if "add" in (names := _happened(ops)) and names <= OPERATIONS}


def _happened(ops: Sequence[Operation]) -> set[str]:
    return {op.f for op in ops if op.f in OPERATIONS or op.type is not Type.FAIL}


def judge_set(
    name: tuple[str | None, Hashable], ops: Sequence[Operation], quiet_ns: int | None, tally: Tally, meter: Meter
) -> None:
    key = name[1]
    found = whole_set(ops)
    tally.counts["sets"] += 1
    tally.counts["attempted"] += len(found.adds) + len(found.failed)
    tally.counts["acknowledged"] += sum(op.type is Type.OK for op in found.adds.values())
    tally.counts["reads"] += len(found.reads)
    anomalies = [*_duplicates(found, key, tally), *_phantoms(found, key, tally)]
    anomalies += _missing(found, key, quiet_ns, tally, meter)
    if not anomalies and not found.repeated:
        strong = whole_set([op for op in ops if op.f == "add" or op.level in (None, LEVEL)])
        wrong = disorder(strong)
        if wrong is not None:
            anomalies.append(anomaly_of_disorder(wrong, strong, key))
    if anomalies:
        tally.broken += 1
        tally.anomalies += anomalies if tally.broken <= KEEP_OBJECTS else ()


def _duplicates(found: WholeSet, key: Hashable, tally: Tally) -> Iterator[Anomaly]:
    """Report elements twice in one read, except those that clients added twice."""
    first: dict[Hashable, Operation] = {}
    for read, elements in found.reads:
        if len(read.result or ()) > len(elements):
            counted = Counter(canonical(element) for element in read.result)
            for element, count in counted.items():
                if count > 1 and element not in found.repeated:
                    first.setdefault(element, read)
    tally.counts["duplicated"] += len(first)
    if first:
        element, read = next(iter(first.items()))
        add = found.adds.get(element)
        ops = [read] if add is None else [add, read]
        text = f"{show(element)} was added once and is in one read more than once: {'; '.join(describe(op) for op in ops)}."
        yield _anomaly("duplicated", key, ops, text, first)


def _phantoms(found: WholeSet, key: Hashable, tally: Tally) -> Iterator[Anomaly]:
    first: dict[Hashable, Operation] = {}
    for read, elements in found.reads:
        for element in elements:
            if element not in found.adds:
                first.setdefault(element, read)
    tally.counts["phantom"] += len(first)
    refused = {element: read for element, read in first.items() if element in found.failed}
    unknown = {element: read for element, read in first.items() if element not in found.failed}
    if refused:
        element, read = next(iter(refused.items()))
        failed = found.failed[element]
        text = f"{show(element)} was read although its add was refused: {describe(failed)}; {describe(read)}."
        yield _anomaly("aborted-read", key, [failed, read], text, refused)
    if unknown:
        element, read = next(iter(unknown.items()))
        text = f"{show(element)} was read, which no client ever tried to add: {describe(read)}."
        yield _anomaly("thin-air", key, [read], text, unknown)


@dataclass(frozen=True, slots=True)
class _Known:
    """An element that is certainly in the set since the completion of `by`: its add, or the first read that contains it."""

    element: Hashable
    by: Operation


def _missing(found: WholeSet, key: Hashable, quiet_ns: int | None, tally: Tally, meter: Meter) -> Iterator[Anomaly]:
    known = _knowledge(found)
    reads = sorted(found.reads, key=lambda item: item[0].invoke_index)
    last_seen: dict[Hashable, Operation] = {}
    last_missed: dict[Hashable, Operation] = {}
    certain: dict[Hashable, Operation] = {}
    at = 0
    for read, elements in reads:
        meter.charge(0, read.invoke_index)
        for element in elements:
            last_seen[element] = read
        while at < len(known) and (known[at].by.complete_index or 0) < read.invoke_index:
            certain[known[at].element] = known[at].by
            at += 1
        if _is_evidence(read, quiet_ns):
            for element in certain.keys() - elements:
                last_missed[element] = read
    lost: dict[Hashable, Operation] = {}
    for element, read in last_missed.items():
        if element not in last_seen or last_seen[element].invoke_index < read.invoke_index:
            lost[element] = read
        else:
            tally.stale_ms.append(round((read.invoke_ns - (certain[element].complete_ns or 0)) / 1e6, 3))
    tally.counts["lost"] += len(lost)
    tally.counts["stale"] += len(last_missed) - len(lost)
    tally.counts["never_read"] += sum(
        1
        for element, op in found.adds.items()
        if op.type is Type.OK and element not in last_seen and element not in lost
    )
    tally.counts["recovered"] += sum(
        1 for element, op in found.adds.items() if op.type is Type.INFO and element in last_seen
    )
    if lost:
        yield _lost(lost, certain, last_seen, found, key)


def _knowledge(found: WholeSet) -> list[_Known]:
    """Return what makes each element certain first, in that order."""
    first: dict[Hashable, Operation] = {
        element: op for element, op in found.adds.items() if op.complete_index is not None
    }
    for read, elements in found.reads:
        for element in elements:
            before = first.get(element)
            if before is None or (read.complete_index or 0) < (before.complete_index or 0):
                first[element] = read
    return sorted((_Known(*item) for item in first.items()), key=lambda item: item.by.complete_index or 0)


def _is_evidence(read: Operation, quiet_ns: int | None) -> bool:
    """Return whether missing an element in this read is evidence."""
    return read.level in (None, LEVEL) or (quiet_ns is not None and read.invoke_ns >= quiet_ns)


def _lost(
    lost: dict[Hashable, Operation],
    certain: dict[Hashable, Operation],
    last_seen: dict[Hashable, Operation],
    found: WholeSet,
    key: Hashable,
) -> Anomaly:
    # The example is preferably an acknowledged one, and the one whose loss shows soonest.
    element = min(lost, key=lambda item: (certain[item].f != "add", certain[item].complete_index or 0))
    read, by = lost[element], certain[element]
    add = found.adds.get(element, by)
    seen = last_seen.get(element)
    how = "was acknowledged" if by.f == "add" else f"was there ({describe(by)})"
    last = "no read shows it" if seen is None else f"the last read that shows it is {describe(seen)}"
    more = f" The same holds for {len(lost)} elements of this set." if len(lost) > 1 else ""
    text = f"{show(element)} {how} and is missing later: {describe(add)}; {last}; {describe(read)} lacks it.{more}"
    return _anomaly("lost-write", key, [add, by, read, *([] if seen is None else [seen])], text, lost)


def _anomaly(
    kind: str, key: Hashable, ops: Sequence[Operation], text: str, elements: dict[Hashable, Operation]
) -> Anomaly:
    details = {"key": key, "count": len(elements), "elements": list(elements)[:_SHOWN]}
    sentence = on_key(key) + text
    return Anomaly(kind, indices(ops), sentence[0].upper() + sentence[1:], details)
