"""Checker `set-full`: the life of every element of a set, with times: how soon it was permanently readable, how long it lasted before it was lost.

An element is *known* once its add was acknowledged or a read that contains it has returned. Of the reads that began after that, the latest one
without it and the reads with it decide: *stable*, *stale* (missing for a while), *lost*, or *never read*. Found with array operations only: sorted by
(element, rank of the read), the latest read without an element is where its ranks, from the last one down, first have a gap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tribulation.histories import Operation
from tribulation.histories.model.columns import ABSENT, FAIL, INFO, OK, OPEN, Columns, Int64

from ..base.conclusion import conclude, quantiles_ms, sentence
from ..base.findings import Findings
from ..base.options import flag, settings_of
from ..base.result import Budget, CheckResult, RunRecord
from ..base.selection import LINEARIZABLE, Bool, Part, conclusive, judges, names, of, operation, parts
from ..base.wording import describe, indices, on_key, show

NEVER = -1
_WORST = 8


class SetFullChecker:
    name = "set-full"
    operations = judges("add", "read", having=["add"], whole=True)
    options = (flag("linearizable", False, "a later read without an acknowledged element is a violation at any level"),)

    def applies(self, record: RunRecord) -> bool:
        if not {"add", "read"} <= names(record) or "remove" in names(record):
            return False
        columns = record.history.columns
        return bool(np.any(of(columns, "read") & (columns.type == OK) & (columns.result_list != ABSENT)))

    def in_auto(self, record: RunRecord) -> bool:
        """Return false: its violations are those of `set`; it is requested for its times."""
        return False

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        columns = record.history.columns
        if np.any(columns.argument[of(columns, "add")] == ABSENT):
            return conclude(self.name, Findings(), {}, "elements that are lists cannot be distinguished here")
        totals = Totals(record, columns, settings_of(record, self)["linearizable"])
        for part in parts(columns, self.operations.rows(columns)):
            totals.judge(part)
        judged = totals.counts["stable"] + totals.counts["stale"] + totals.counts["lost"]
        doubt = (
            None if judged else f"none of {totals.counts['attempted']} elements was present in, or missing from, a read"
        )
        return conclude(self.name, totals.findings, totals.stats(), doubt)


@dataclass(frozen=True, slots=True)
class Lives:
    """One entry per element of one set. Positions of the history, except `_ns`; NEVER where there is none.

    `add` is the row of its first add that may have happened, `known_row` the row of what made it known. `absent_row` is the row of the latest read
    that counts and lacks it, `present_end` the latest completion of a read that contains it, `present_row` that read.
    """

    element: Int64
    add: Int64
    known: Int64
    known_row: Int64
    absent_row: Int64
    present_end: Int64
    present_row: Int64


class Totals:
    """Counts, times and findings over all sets of a history."""

    def __init__(self, record: RunRecord, columns: Columns, strict: bool) -> None:
        self.record = record
        self.columns = columns
        self.evidence = conclusive(columns, record)
        self.findings = Findings()
        self.strict = strict
        kinds = ("attempted", "acknowledged", "reads", "stable", "stale", "lost", "never_read", "recovered")
        self.counts = dict.fromkeys((*kinds, "duplicated", "unexpected"), 0)
        self.stable_ns: list[Int64] = []
        self.lost_ns: list[Int64] = []
        self.worst: list[tuple[float, Any, Any]] = []

    def stats(self) -> dict[str, Any]:
        stable = np.concatenate([np.zeros(0, np.int64), *self.stable_ns])
        lost = np.concatenate([np.zeros(0, np.int64), *self.lost_ns])
        worst = sorted(self.worst, key=lambda item: -item[0])[:_WORST]
        return {
            **self.counts,
            "stable_after_ms": quantiles_ms(stable),
            "lost_after_ms": quantiles_ms(lost),
            "worst_stale": [{"element": element, "key": key, "stale_ms": ms} for ms, element, key in worst],
        }

    def judge(self, part: Part) -> None:
        columns, rows = self.columns, part.rows
        adds = rows[of(columns, "add", rows=rows)]
        reads = rows[
            of(columns, "read", rows=rows) & (columns.type[rows] == OK) & (columns.result_list[rows] != ABSENT)
        ]
        if not len(adds):
            return
        self.counts["attempted"] += len(adds)
        self.counts["acknowledged"] += int(np.sum(columns.type[adds] == OK))
        self.counts["reads"] += len(reads)
        pairs = _pairs(columns, reads)
        self._duplicates(part, adds, reads, pairs)
        element, place = _once(pairs, len(reads))
        self._unexpected(part, adds, reads, element, place)
        lives = _lives(columns, adds, reads, element, place, self.evidence)
        self._outcomes(part, lives)

    def _duplicates(self, part: Part, adds: Int64, reads: Int64, pairs: tuple[Int64, Int64]) -> None:
        element, place = pairs
        again = np.flatnonzero((element[1:] == element[:-1]) & (place[1:] == place[:-1])) + 1
        tried, times = np.unique(self.columns.argument[adds], return_counts=True)
        twice = tried[times > 1]
        again = again[~np.isin(element[again], twice)]
        found, first = np.unique(element[again], return_index=True)
        self.counts["duplicated"] += len(found)
        for value, at in zip(found[:1], first[:1], strict=True):
            ops = [self._op(row) for row in adds[self.columns.argument[adds] == value][:1]]
            ops.append(self._op(reads[place[again[at]]]))
            text = f"{show(self._value(value))} was added once and is in one read more than once: {'; '.join(map(describe, ops))}"
            self._found("duplicated", part, text, ops, [self._value(item) for item in found])

    def _unexpected(self, part: Part, adds: Int64, reads: Int64, element: Int64, place: Int64) -> None:
        columns = self.columns
        possible = columns.argument[adds][columns.type[adds] != FAIL]
        strange = np.flatnonzero(~np.isin(element, possible))
        found, first = np.unique(element[strange], return_index=True)
        self.counts["unexpected"] += len(found)
        refused = np.isin(found, columns.argument[adds])
        for kind, chosen in (("aborted-read", refused), ("thin-air", ~refused)):
            if not chosen.any():
                continue
            at = int(np.flatnonzero(chosen)[0])
            read = self._op(reads[place[strange[first[at]]]])
            failed = [self._op(row) for row in adds[columns.argument[adds] == found[at]][:1]]
            why = "although its add was refused" if failed else "which no client ever tried to add"
            text = f"{show(self._value(found[at]))} was read, {why}: {'; '.join(map(describe, [*failed, read]))}"
            self._found(kind, part, text, [*failed, read], [self._value(item) for item in found[chosen]])

    def _outcomes(self, part: Part, lives: Lives) -> None:
        columns = self.columns
        known = lives.known != OPEN
        began = np.where(lives.absent_row == NEVER, NEVER, columns.invoke[lives.absent_row])
        missed = known & (began > lives.known)
        lost = missed & (began > lives.present_end)
        stale = missed & ~lost
        stable = known & ~missed & (lives.present_end != NEVER)
        self.counts["lost"] += int(lost.sum())
        self.counts["stale"] += int(stale.sum())
        self.counts["stable"] += int(stable.sum())
        self.counts["never_read"] += int((known & ~missed & ~stable).sum())
        tried = lives.add != NEVER
        unsure = tried & (columns.type[lives.add] == INFO) & (lives.present_end != NEVER)
        self.counts["recovered"] += int(unsure.sum())
        since_ns = columns.complete_ns[lives.known_row]
        stale_ns = columns.invoke_ns[lives.absent_row] - since_ns
        self.stable_ns += [np.zeros(int(stable.sum()), np.int64), stale_ns[stale]]
        seen_ns = columns.complete_ns[lives.present_row]
        self.lost_ns.append(np.where(lives.present_end == NEVER, 0, np.maximum(seen_ns - since_ns, 0))[lost])
        for at in np.flatnonzero(stale)[np.argsort(-stale_ns[stale], kind="stable")[:_WORST]]:
            self.worst.append((round(int(stale_ns[at]) / 1e6, 3), self._value(lives.element[at]), part.key))
        self._report_lost(part, lives, lost)
        self._report_stale(part, lives, stale, stale_ns)

    def _report_lost(self, part: Part, lives: Lives, lost: Bool) -> None:
        if not lost.any():
            return
        at = int(np.flatnonzero(lost)[0])
        absent, by = self._op(lives.absent_row[at]), self._op(lives.known_row[at])
        after_ms = round((absent.invoke_ns - (by.complete_ns or 0)) / 1e6, 3)
        how = "was acknowledged" if by.f == "add" else "was read"
        seen = None if lives.present_row[at] == NEVER else self._op(lives.present_row[at])
        last = "no read shows it" if seen is None else f"the last read that shows it is {describe(seen)}"
        text = (
            f"{show(self._value(lives.element[at]))} {how} by {describe(by)} and is missing later: {last}; "
            f"{describe(absent)} lacks it {after_ms:g} ms later"
        )
        ops = [by, absent] if seen is None else [by, seen, absent]
        elements = [self._value(item) for item in lives.element[lost]]
        self._found("lost-write", part, text, ops, elements, {"missing_ms": after_ms})

    def _report_stale(self, part: Part, lives: Lives, stale: Bool, stale_ns: Int64) -> None:
        strict = stale & (self.strict | (self._level(lives.absent_row) == LINEARIZABLE))
        if not strict.any():
            return
        at = int(np.flatnonzero(strict)[np.argmax(stale_ns[strict])])
        by, absent = self._op(lives.known_row[at]), self._op(lives.absent_row[at])
        stale_ms = round(int(stale_ns[at]) / 1e6, 3)
        text = (
            f"{show(self._value(lives.element[at]))} was there by {describe(by)}, but {describe(absent)}, which began {stale_ms:g} ms later, lacks it; "
            "others read it after that"
        )
        elements = [self._value(item) for item in lives.element[strict]]
        self._found("stale-read", part, text, [by, absent], elements, {"staleness_ms": stale_ms})

    def _level(self, rows: Int64) -> Any:
        return np.array(self.columns.level_names, dtype=object)[self.columns.level[rows]]

    def _op(self, row: Any) -> Operation:
        return operation(self.record, row)

    def _value(self, number: Any) -> Any:
        return self.columns.values[int(number)]

    def _found(
        self,
        kind: str,
        part: Part,
        text: str,
        ops: list[Operation],
        elements: list[Any],
        more: dict[str, Any] | None = None,
    ) -> None:
        others = f". {len(elements)} elements of this set are affected in the same way" if len(elements) > 1 else ""
        details = {"key": part.key, "count": len(elements), "elements": elements[:20], **(more or {})}
        self.findings.add(kind, sentence(on_key(part.key) + text + others), ops=indices(ops), details=details)


def _pairs(columns: Columns, reads: Int64) -> tuple[Int64, Int64]:
    """Return element and place of the read (in `reads`) of everything that was read, sorted."""
    rows = columns.result_list[reads].astype(np.int64)
    start, end = columns.lists.offsets[rows], columns.lists.offsets[rows + 1]
    size = end - start
    place = np.repeat(np.arange(len(reads), dtype=np.int64), size)
    shift = np.repeat(start - (np.cumsum(size) - size), size)
    element = columns.lists.items[shift + np.arange(len(place), dtype=np.int64)].astype(np.int64)
    code = element * max(len(reads), 1) + place
    code.sort()
    return code // max(len(reads), 1), code % max(len(reads), 1)


def _once(pairs: tuple[Int64, Int64], reads: int) -> tuple[Int64, Int64]:
    element, place = pairs
    keep = np.ones(len(element), np.bool_)
    keep[1:] = (element[1:] != element[:-1]) | (place[1:] != place[:-1])
    return element[keep], place[keep]


def _lives(columns: Columns, adds: Int64, reads: Int64, element: Int64, place: Int64, evidence: Bool) -> Lives:
    possible = adds[columns.type[adds] != FAIL]
    everything, where = np.unique(
        np.concatenate([columns.argument[possible].astype(np.int64), element]), return_inverse=True
    )
    of_add, of_pair = where[: len(possible)], where[len(possible) :]
    count = len(everything)
    add = np.full(count, NEVER, np.int64)
    add[of_add[::-1]] = possible[::-1]
    known, known_row = _earliest(
        np.concatenate([of_add, of_pair]), np.concatenate([possible, reads[place]]), columns.complete, count
    )
    present_end, present_row = _latest_end(of_pair, reads[place], columns.complete, count)
    counting = reads[evidence[reads]]
    rank = np.full(len(reads), NEVER, np.int64)
    rank[evidence[reads]] = np.arange(len(counting))
    absent = _last_break(of_pair, rank[place], count, len(counting))
    absent_row = np.where(absent >= 0, counting[absent] if len(counting) else NEVER, NEVER)
    return Lives(everything, add, known, known_row, absent_row, present_end, present_row)


def _earliest(group: Int64, rows: Int64, complete: Int64, count: int) -> tuple[Int64, Int64]:
    """Return by group the earliest completion, and its row."""
    order = np.lexsort((complete[rows], group))
    first = np.ones(len(order), np.bool_)
    first[1:] = group[order][1:] != group[order][:-1]
    known, row = np.full(count, OPEN, np.int64), np.full(count, NEVER, np.int64)
    chosen = order[first]
    known[group[chosen]], row[group[chosen]] = complete[rows[chosen]], rows[chosen]
    return known, row


def _latest_end(group: Int64, rows: Int64, complete: Int64, count: int) -> tuple[Int64, Int64]:
    """Return by group the latest completion, and its row."""
    order = np.lexsort((complete[rows], group))
    last = np.ones(len(order), np.bool_)
    last[:-1] = group[order][1:] != group[order][:-1]
    end, row = np.full(count, NEVER, np.int64), np.full(count, NEVER, np.int64)
    chosen = order[last]
    end[group[chosen]], row[group[chosen]] = complete[rows[chosen]], rows[chosen]
    return end, row


def _last_break(group: Int64, rank: Int64, count: int, ranks: int) -> Int64:
    """Return by group the highest of 0 .. ranks-1 that is not among its ranks, or -1. Within a group the ranks given grow; negative ones do not count."""
    keep = rank >= 0
    group, rank = group[keep], rank[keep]
    size = np.bincount(group, minlength=count)
    ends = np.cumsum(size)
    from_last = np.repeat(ends, size) - 1 - np.arange(len(group))
    unbroken = rank == ranks - 1 - from_last
    run = np.bincount(group[unbroken], minlength=count)
    return np.asarray(ranks - 1 - run, np.int64)
