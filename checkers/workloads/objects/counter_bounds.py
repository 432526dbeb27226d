"""Checker `counter-bounds`: every read of a counter lies between what had certainly been added and what can have been.

    lowest  = initial + positive adds acknowledged before the read began + negative adds begun before it returned
    highest = initial + negative adds acknowledged before the read began + positive adds begun before it returned

Adds of unknown outcome count only where they widen the bounds; refused ones never. The bounds are sound for any mix of increments and decrements, and
exact for a single read. Two reads that contradict each other are found only in a counter that never falls: its reads must not fall either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tribulation.histories.model.columns import ABSENT, FAIL, OK, Columns, Int64

from ...base.conclusion import all_of, conclude, sentence
from ...base.findings import Findings
from ...base.options import settings_of, whole
from ...base.result import Budget, CheckResult, RunRecord
from ...base.selection import Bool, Part, conclusive, judges, names, of, operation, parts
from ...base.wording import describe, indices, ms_between, on_key, show

UP = ("add", "increment", "inc")
DOWN = ("decrement", "dec")


LIMIT = 1 << 62
"""Sums are of 64 bits."""


class CounterBoundsChecker:
    name = "counter-bounds"
    operations = judges(*UP, *DOWN, "read", having=[*UP, *DOWN], in_workload=True, whole=True)
    options = (whole("initial", 0, "the sum at the beginning", shared=True),)

    def applies(self, record: RunRecord) -> bool:
        found = names(record)
        if "read" not in found or not found & {*UP, *DOWN}:
            return False
        columns = record.history.columns
        read = columns.result[_of_counters(columns) & of(columns, "read") & (columns.type == OK)]
        return (
            bool(len(read))
            and all(_is_number(columns.values[value]) for value in read[:100] if value != ABSENT)
            and (bool(np.any(read != ABSENT)))
        )

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        columns = record.history.columns
        initial = settings_of(record, self)["initial"]
        evidence = conclusive(columns, record)
        findings = Findings()
        stats = {"counters": 0, "adds": 0, "acknowledged": 0, "reads": 0}
        strange, doubts = 0, list[str]()
        for part in parts(columns, _of_counters(columns)):
            counter, odd = _counter(columns, part)
            strange += odd
            stats["counters"] += 1
            stats["adds"] += len(counter.adds)
            stats["acknowledged"] += int(np.sum(columns.type[counter.adds] == OK))
            stats["reads"] += len(counter.reads)
            if float(np.abs(counter.amount).astype(np.float64).sum()) >= LIMIT:
                doubts.append(f"the sum of the adds to key {show(part.key)} is above 2^62")
            elif counter.whole:
                _judge(record, columns, part, counter, initial, evidence, findings)
        if strange:
            doubts.append(f"{strange} adds or reads have no number, or one above 2^62")
        if not stats["reads"] or not stats["adds"]:
            doubts.append(f"{stats['adds']} adds were tried and {stats['reads']} reads ended ok: nothing to compare")
        return conclude(self.name, findings, stats, all_of(doubts))


def _of_counters(columns: Columns) -> Bool:
    """Return reads and changes in the workloads that make changes: reads of other workloads, such as registers, are not of counters."""
    return CounterBoundsChecker.operations.rows(columns)


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < LIMIT


@dataclass(frozen=True, slots=True)
class Counter:
    """Rows of adds that may have happened with their amounts, and of ok reads with their values. `whole`: every add carries a number."""

    adds: Int64
    amount: Int64
    reads: Int64
    value: Int64
    whole: bool


def _counter(columns: Columns, part: Part) -> tuple[Counter, int]:
    """Return the operations of one counter, and how many of them carry no number."""
    rows = part.rows
    adds = rows[~of(columns, "read", rows=rows) & (columns.type[rows] != FAIL)]
    reads = rows[of(columns, "read", rows=rows) & (columns.type[rows] == OK)]
    down = of(columns, *DOWN, rows=adds)
    plain = of(columns, "add", rows=adds)
    amount, sound = _numbers(columns, columns.argument[adds])
    # An increment without a number is by one; an add carries its amount.
    by_one = ~plain & (columns.argument[adds] == 0)
    amount = np.where(by_one, 1, amount) * np.where(down, -1, 1)
    value, numeric = _numbers(columns, columns.result[reads])
    sound |= by_one
    odd = int((~sound).sum() + (~numeric).sum())
    return Counter(adds[sound], amount[sound], reads[numeric], value[numeric], bool(sound.all())), odd


def _numbers(columns: Columns, ids: Any) -> tuple[Int64, Any]:
    """Return the integers behind value ids, and which of them are integers."""
    distinct, where = np.unique(ids, return_inverse=True)
    values = [columns.values[value] if value != ABSENT else None for value in distinct]
    numbers = np.array([value if _is_number(value) else 0 for value in values], np.int64)
    sound = np.array([_is_number(value) for value in values], np.bool_)
    return numbers[where], sound[where]


def _judge(
    record: RunRecord,
    columns: Columns,
    part: Part,
    counter: Counter,
    initial: int,
    evidence: Any,
    findings: Findings,
) -> None:
    up, down = counter.amount > 0, counter.amount < 0
    strong = evidence[counter.reads]
    begin, end = columns.invoke[counter.reads], columns.complete[counter.reads]

    def acknowledged(chosen: Any) -> Int64:
        """Return what the chosen adds had certainly added when each read began; nothing for a read that need not show it."""
        sums = _sums(columns.complete[counter.adds[chosen]], counter.amount[chosen], begin)
        return np.where(strong, sums, 0)

    def begun(chosen: Any) -> Int64:
        return _sums(columns.invoke[counter.adds[chosen]], counter.amount[chosen], end)

    lowest = initial + acknowledged(up) + begun(down)
    highest = initial + acknowledged(down) + begun(up)
    low, high = np.flatnonzero(counter.value < lowest), np.flatnonzero(counter.value > highest)
    for at in low:
        _outside(record, columns, part, counter, int(at), (int(lowest[at]), int(highest[at])), findings)
    for at in high:
        _outside(record, columns, part, counter, int(at), (int(lowest[at]), int(highest[at])), findings)
    if not down.any() and not len(low) and not len(high):
        _falling(record, columns, part, counter, strong, findings)


def _sums(position: Int64, amount: Int64, before: Int64) -> Int64:
    """Return for each of `before` the sum of the amounts whose position is lower."""
    order = np.argsort(position, kind="stable")
    total = np.concatenate([np.zeros(1, np.int64), np.cumsum(amount[order])])
    return np.asarray(total[np.searchsorted(position[order], before, side="left")], np.int64)


def _outside(
    record: RunRecord,
    columns: Columns,
    part: Part,
    counter: Counter,
    at: int,
    bounds: tuple[int, int],
    findings: Findings,
) -> None:
    """Report the read outside its bounds, with the last acknowledged add before it that moved the bound."""
    value = int(counter.value[at])
    below = value < bounds[0]
    kind = "counter-too-low" if below else "counter-too-high"
    if not findings.wants(kind):
        findings.count(kind)
        return
    read = operation(record, counter.reads[at])
    wanted = (counter.amount > 0) if below else (counter.amount < 0)
    done = wanted & (columns.complete[counter.adds] < columns.invoke[counter.reads[at]])
    lacking = counter.adds[done][np.argsort(columns.complete[counter.adds[done]])]
    ops = [read] if not len(lacking) else [operation(record, lacking[-1]), read]
    wrong = bounds[0] - value if below else value - bounds[1]
    last = ""
    if len(ops) > 1:
        last = f"; the last of {len(lacking)} acknowledged before it began is {describe(ops[0])}, {ms_between(ops[0], read):g} ms earlier"
    text = f"the counter was between {bounds[0]} and {bounds[1]} in every possible order, but {describe(read)} is off by {wrong}{last}"
    details = {"key": part.key, "value": value, "lowest": bounds[0], "highest": bounds[1], "off_by": wrong}
    findings.add(kind, sentence(on_key(part.key) + text), ops=indices(ops), details=details)


def _falling(
    record: RunRecord, columns: Columns, part: Part, counter: Counter, strong: Any, findings: Findings
) -> None:
    """Report, in a counter that never falls, a read below one that had returned before it began."""
    reads, value = counter.reads[strong], counter.value[strong]
    by_end = np.argsort(columns.complete[reads], kind="stable")
    ends = columns.complete[reads][by_end]
    highest = np.maximum.accumulate(value[by_end]) if len(reads) else value
    before = np.searchsorted(ends, columns.invoke[reads], side="left") - 1
    for at in np.flatnonzero(before >= 0):
        if value[at] < highest[before[at]]:
            seen = by_end[: before[at] + 1]
            earlier, later = (
                operation(record, reads[seen[np.argmax(value[seen])]]),
                operation(record, reads[at]),
            )
            later_ms = ms_between(earlier, later)
            text = (
                f"a counter that only grows fell: {describe(earlier)}; then, {later_ms:g} ms later, {describe(later)}"
            )
            details = {"key": part.key, "staleness_ms": later_ms}
            findings.add(
                "counter-fell", sentence(on_key(part.key) + text), ops=indices([earlier, later]), details=details
            )
            return
