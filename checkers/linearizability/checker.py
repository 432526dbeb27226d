"""Checker `linearizable`: each object took every operation at one instant between its invocation and its return.

Keys are independent (linearizability is local), so each is checked separately, by the fastest exact method for it:

1. registers with unique written values: `registers`, all at once as arrays, O(n log n);
2. queues, stacks, sets, counters, locks and append lists: `structures`, near-linear where values are unique;
3. everything else that `models` knows: the general `search`, within the budget; `search.refutation` gives it short proofs of violation.

Operations become objects only for the search and for witnesses. Only operations of level `linearizable` (or without a level) count: a read that is
marked stale is no evidence.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tribulation.histories import History, Operation, canonical
from tribulation.histories.model.columns import FAIL, Columns
from tribulation.histories.model.rows import operation as operation_at

from ..base.budget import Meter
from ..base.conclusion import of_objects, shown_of
from ..base.findings import KEEP_OBJECTS
from ..base.options import settings_of
from ..base.result import Budget, CheckResult, RunRecord, Verdict
from ..base.selection import Bool
from ..models.named import FAMILIES, MultiRegisterModel, family_of
from .general import judge_operations, judge_register
from .kinds import Kind, kinds_of
from .registers.fast_path import judge_registers
from .search.by_key import Objects, labels, objects_of
from .search.key_verdict import Asked, KeyVerdict, OperationAt
from .structures.dispatch import INITIAL, PRIORITY, STRUCTURES, Structure, structure_named
from .structures.dispatch import judge as judge_structure
from .structures.parts.strange import blank_reads
from .structures.parts.view import View

LEVEL = "linearizable"
REGISTER = "register"


@dataclass(slots=True)
class _Tally:
    keys: dict[str, KeyVerdict] = field(default_factory=dict)
    peak_bytes: int = 0

    def of(self, verdict: Verdict) -> dict[str, KeyVerdict]:
        return {key: found for key, found in self.keys.items() if found.verdict is verdict}


class LinearizableChecker:
    name = "linearizable"
    options = (INITIAL, PRIORITY)
    operations = frozenset[str]().union(
        *(family.names for family in FAMILIES.values()), *(one.names for one in STRUCTURES.values())
    )

    def applies(self, record: RunRecord) -> bool:
        _, kinds = _objects(record)
        return any(kind is not None for kind in kinds) or _nothing_happened(record)

    def judged(self, record: RunRecord) -> Bool:
        """Return a mask of rows: those of objects of which it knows every operation (an unknown one may change anything), without blank reads of
        counters.
        """
        objects, kinds = _objects(record)
        found = np.zeros(len(record.history.columns), np.bool_)
        found[objects.only(_mine(record, kinds)).rows] = True
        for number, kind in enumerate(kinds):
            if kind is not None and kind.structure is not None and kind.structure.name == "counter":
                view = View(objects.columns, objects.rows_of(number))
                found[view.rows[blank_reads(view)]] = False
        return found

    def in_auto(self, record: RunRecord) -> bool:
        """Return false if there are only transactions: their checkers answer the same question without a search."""
        _, kinds = _objects(record)
        known = [kind for kind in kinds if kind is not None]
        return not known or any(kind.family != "transactions" for kind in known)

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        meter = Meter.of(budget)
        asked = Asked.of(record.options, settings_of(record, self))
        everything, kinds = _objects(record)
        known = _mine(record, kinds)
        if not known and _nothing_happened(record):
            reason = "no operation of this history took effect, so the empty order is legal"
            stats = {"keys": 0, "operations": 0, "vacuous": True}
            return CheckResult(self.name, Verdict.VALID, reason=reason, stats=stats)
        if not known:
            return CheckResult(
                self.name,
                Verdict.UNKNOWN,
                reason="the history has no operation of level linearizable that a model knows",
            )
        objects = everything.only(known)
        judge = _Judge(
            objects,
            [kind for number in known if (kind := kinds[number]) is not None],
            _operations(record.history),
            asked,
            meter,
        )
        return _conclude(self.name, judge.tally(), objects, asked)


def _objects(record: RunRecord) -> tuple[Objects, list[Kind | None]]:
    objects = objects_of(record.history.columns, LEVEL)
    asked = record.options.get("model")
    return objects, kinds_of(objects, asked)


def _mine(record: RunRecord, kinds: Sequence[Kind | None]) -> list[int]:
    """Return the numbers of the objects to judge. With `checkers: auto` and no requested model, transactions are left to their checkers, which need no
    search (see also `in_auto`).
    """
    known = [number for number, kind in enumerate(kinds) if kind is not None]
    if not record.auto or record.options.get("model") is not None:
        return known
    return [number for number in known if kinds[number] != Kind("transactions")] or known


def _nothing_happened(record: RunRecord) -> bool:
    """Return whether the user named a model and every operation of the history failed: then the empty order is legal."""
    asked, columns = record.options.get("model"), record.history.columns
    if asked is None or not len(columns) or not (columns.type == FAIL).all():
        return False
    return family_of(frozenset(columns.f_names), asked=asked) is not None or structure_named(asked) is not None


def _operations(history: History) -> OperationAt:
    """Return operations by row; complete ones if events exist, because columns do not have every field."""
    columns = history.columns
    if not history.loaded:
        return lambda row: operation_at(columns, row)
    by_index = {op.invoke_index: op for op in history.operations()}
    return lambda row: by_index[int(columns.invoke[row])]


class _Judge:
    """Judge of all objects, each by the fastest method for it."""

    def __init__(
        self, objects: Objects, kinds: Sequence[Kind], operation: OperationAt, asked: Asked, meter: Meter
    ) -> None:
        self._objects = objects
        self._kinds = kinds
        self._operation = operation
        self._asked = asked
        self._meter = meter
        self._found: list[KeyVerdict | None] = [None] * len(objects)
        self._peak_bytes = 0

    def tally(self) -> _Tally:
        registers = [number for number, kind in enumerate(self._kinds) if kind.family == REGISTER]
        if registers:
            some = self._objects.only(registers)
            for number, verdict in zip(registers, judge_registers(some, self._operation, self._asked), strict=True):
                self._found[number] = verdict
        todo = [number for number, found in enumerate(self._found) if found is None]
        # The small ones first: the part of the budget that they do not use is left for the large ones.
        broken = any(found is not None and found.verdict is Verdict.INVALID for found in self._found)
        todo.sort(key=lambda number: len(self._objects.rows_of(number)))
        for done, number in enumerate(todo):
            if broken and not self._meter.left_s:
                # The verdict is known. Only without an anomaly is it worth more than the budget that the fast methods go on.
                reason = "the time budget is exhausted, and other keys are invalid"
                self._found[number] = KeyVerdict(
                    Verdict.UNKNOWN, "none", len(self._objects.rows_of(number)), reason=reason
                )
                continue
            share = self._meter.part(max(self._meter.left_s / (len(todo) - done), 0.001))
            found = self._found[number] = self._one(number, share)
            broken = broken or found.verdict is Verdict.INVALID
            self._peak_bytes = max(self._peak_bytes, share.peak_bytes)
        verdicts = [found for found in self._found if found is not None]
        return _Tally(dict(zip(labels(self._objects.names), verdicts, strict=True)), self._peak_bytes)

    def _one(self, number: int, meter: Meter) -> KeyVerdict:
        kind, rows, key = self._kinds[number], self._objects.rows_of(number), canonical(self._objects.names[number][1])
        if kind.structure is not None:
            return _of_structure(
                View(self._objects.columns, rows, self._operation), kind.structure, key, meter, self._asked
            )
        ops = [self._operation(row) for row in rows.tolist()]
        return _search(kind.family, ops, key, meter)


def _of_structure(view: View, structure: Structure, key: Hashable, meter: Meter, asked: Asked) -> KeyVerdict:
    found = judge_structure(view, structure, key, meter, asked.settings)
    verdict = KeyVerdict(found.verdict, found.method, found.operations, found.anomaly, found.reason, found.proven_to)
    if asked.certificate and found.verdict is Verdict.VALID and found.method == structure.name:
        verdict.order = view.rows[structure.order(view, asked.settings)].tolist()
    return verdict


def _search(family: str | None, ops: Sequence[Operation], key: Hashable, meter: Meter) -> KeyVerdict:
    make = None if family is None else FAMILIES[family].make
    if make is None:
        return KeyVerdict(Verdict.UNKNOWN, "none", len(ops), reason=f"there is no general search for {family}")
    if family == REGISTER:
        return judge_register(ops, make(ops), key, meter)
    if family == "multi-register":
        return _multi_register(ops, key, meter)
    return judge_operations(ops, make(ops), key, meter)


def _multi_register(ops: Sequence[Operation], key: Hashable, meter: Meter) -> KeyVerdict:
    """Check reads of nil with both possible meanings. If only this decides, the verdict is unknown: nil after a write is a lost write, or a missing
    answer.
    """
    strict = judge_operations(ops, MultiRegisterModel(nil_is_value=True), key, meter)
    if strict.verdict is not Verdict.INVALID:
        return strict
    found = judge_operations(ops, MultiRegisterModel(), key, meter)
    if found.verdict is not Verdict.VALID:
        return found
    reason = "it is legal if a read of nil means an unknown value, but not if the value was nil"
    return KeyVerdict(Verdict.UNKNOWN, found.method, len(ops), reason=reason)


def _conclude(name: str, tally: _Tally, objects: Objects, asked: Asked) -> CheckResult:
    invalid, unknown = tally.of(Verdict.INVALID), tally.of(Verdict.UNKNOWN)
    anomalies = tuple(found.anomaly for found in invalid.values() if found.anomaly is not None)[:KEEP_OBJECTS]
    stats = _stats(tally, bool(invalid or unknown))
    reason = shown_of(len(invalid), len(tally.keys), len(anomalies))
    if unknown:
        stats["proven_to"] = {key: found.proven_to for key, found in unknown.items() if found.proven_to is not None}
        first, example = next(iter(unknown.items()))
        left = f"{len(unknown)} of {len(tally.keys)} keys undecided, {len(tally.of(Verdict.VALID))} valid; {first}: {example.reason}"
        reason = left if reason is None else f"{reason}; {left}"
    if anomalies:
        return CheckResult(name, Verdict.INVALID, anomalies, stats, reason)
    if unknown:
        return CheckResult(name, Verdict.UNKNOWN, (), stats, reason)
    return CheckResult(name, Verdict.VALID, (), stats, certificate=_certificate(tally, objects.columns, asked))


def _stats(tally: _Tally, mixed: bool) -> dict[str, Any]:
    judged = list(tally.keys.values())
    stats: dict[str, Any] = {
        "keys": len(judged),
        "operations": sum(found.operations for found in judged),
        "methods": {
            method: sum(found.method == method for found in judged) for method in sorted({f.method for f in judged})
        },
        "peak_mb": round(tally.peak_bytes / 1e6, 1),
    }
    weaker = sorted({found.failed_cas for found in judged if found.failed_cas is not None})
    if weaker:
        stats["failed_cas"] = weaker[0]
    if mixed:
        stats["verdicts"] = of_objects({key: found.verdict for key, found in tally.keys.items()})
    return stats


def _certificate(tally: _Tally, columns: Columns, asked: Asked) -> dict[str, list[int]] | None:
    if not asked.certificate:
        return None
    return {
        key: [int(columns.invoke[row]) for row in found.order]
        for key, found in tally.keys.items()
        if found.order is not None
    }
