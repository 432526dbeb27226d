"""Shrinking of a recorded history without running anything: the fewest operations in which a checker finds the same kind of anomaly.

    found = shrink_history(record, Signature("linearizable", "stale-read"), Allowance(time_s=60))
    found.history            # of the whole history's events those of the operations that are left

An operation is left out only if its absence cannot make an anomaly (`observing`), so an anomaly in the rest is one of the whole. The checker judges
every candidate; a candidate is kept when it shows the same kind again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tribulation.checkers import Anomaly, Budget, RunRecord, check
from tribulation.checkers.model_names import prepared
from tribulation.histories import History, HistoryError, Operation
from tribulation.histories.formats import detect, write

from ..errors import CampaignError
from ..failures.allowance import Allowance, SpentError
from ..failures.ddmin import ddmin
from ..failures.signature import Signature
from ..foreign import contained
from ..progress import Notify, silent
from .observing import SUPPORTED, Links

CHECK_TIME_S = 20.0


@dataclass(frozen=True, slots=True)
class SmallHistory:
    """`operations` are (before, after). `anomaly` is the checker's finding in the rest; its `ops` are indices of the whole history."""

    history: History
    anomaly: Anomaly
    operations: tuple[int, int]
    one_minimal: bool
    runs: int
    spent_s: float


def shrink_history(
    record: RunRecord,
    wanted: Signature,
    allowance: Allowance,
    model: str | None = None,
    notify: Notify = silent,
) -> SmallHistory:
    """Shrink. Raises `CampaignError` when nothing may be left out for this checker's anomalies, or it does not find the anomaly at all."""
    if wanted.checker not in SUPPORTED:
        raise CampaignError(
            f"for checker {wanted.checker} it is not known which operations can be removed without causing new anomalies",
            hint=f"histories are shrunk for {', '.join(sorted(SUPPORTED))}",
        )
    notify("check", str(wanted))
    lens = _Lens(record, wanted, model)
    whole = lens.look(record.history)
    if whole is None:
        raise CampaignError(
            f"{wanted.checker} finds no {wanted.kind} in this history", hint="`tri check` shows its anomalies"
        )
    history, anomaly = _until_seen(lens, whole)
    shrinking = _Shrinking(lens, history, anomaly, allowance, notify)
    one_minimal = shrinking.run()
    return SmallHistory(
        history=shrinking.history,
        anomaly=shrinking.anomaly,
        operations=(len(record.history.operations()), len(shrinking.kept)),
        one_minimal=one_minimal,
        runs=allowance.spent_runs,
        spent_s=allowance.spent_s,
    )


class _Lens:
    """Lens that looks for the wanted kind of anomaly in histories of one record; `element`: only for that one."""

    def __init__(self, record: RunRecord, wanted: Signature, model: str | None) -> None:
        self.record, self.wanted, self.model = record, wanted, model
        self.element: tuple[Any, Any] | None = None

    @contained()
    def look(self, history: History) -> Anomaly | None:
        name = self.wanted.checker
        results = check(replace(self.record, history=history), [name], Budget(CHECK_TIME_S), model=self.model)
        alike = (anomaly for anomaly in results[name].anomalies if anomaly.kind == self.wanted.kind)
        return next((anomaly for anomaly in alike if self.element is None or self.element in _elements(anomaly)), None)


def _until_seen(lens: _Lens, whole: Anomaly) -> tuple[History, Anomaly]:
    """The history up to the last answer that the anomaly names, if it shows there: a legal history is legal at every moment.

    Operations under way at that moment lose their answers. Not for a lost value: that shows only at the end.
    """
    history = lens.record.history
    named = frozenset(whole.ops)
    ends = [op.complete_index or op.invoke_index for op in history.operations() if op.invoke_index in named]
    if "lost" in whole.kind or not ends:
        return history, whole
    short = History((event for event in history.events if event.index <= max(ends)), source=history.source)
    anomaly = lens.look(short)
    return (history, whole) if anomaly is None else (short, anomaly)


def _elements(anomaly: Anomaly) -> list[tuple[Any, Any]]:
    """The subjects of the anomaly: (key, element or value), the likeliest first."""
    details = anomaly.details
    if details.get("values"):
        found = [details["values"][-1]]
    else:
        found = details.get("elements") or ([details["element"]] if "element" in details else [])
    return [(details.get("key"), element) for element in found]


class _Shrinking:
    def __init__(self, lens: _Lens, history: History, whole: Anomaly, allowance: Allowance, notify: Notify) -> None:
        try:
            self.ops = prepared(history, lens.model).operations()
        except HistoryError:
            self.ops = history.operations()
        self.anomaly, self.history = whole, history
        self.kept: frozenset[int] = frozenset(range(len(self.ops)))
        self._whole, self._lens, self._allowance, self._notify = history, lens, allowance, notify
        self._links = Links(self.ops, self._pinned(whole))
        self._known: dict[frozenset[int], bool] = {}

    def _pinned(self, whole: Anomaly) -> list[int]:
        """Return the reads that have a lost value, which no later read returns.

        Without them another value could seem lost that was only late, so it must be the same value as well.
        """
        elements = _elements(whole)
        if "lost" not in self._lens.wanted.kind or not elements:
            return []
        self._lens.element = key, element = elements[0]
        return [
            row
            for row, op in enumerate(self.ops)
            if op.f == "read" and op.key == key and isinstance(op.result, list | tuple) and element in op.result
        ]

    def run(self) -> bool:
        """Shrink; returns whether nothing more can be left out. The best so far is in `history`."""
        try:
            any(self.accept(rows) for rows in self._guesses())
        except SpentError:
            return False
        return ddmin(sorted(self.kept), self.accept).one_minimal

    def _guesses(self) -> Iterator[Sequence[int]]:
        """The witness; then all that happened on its keys."""
        indices = frozenset(self.anomaly.ops)
        witness = [row for row, op in enumerate(self.ops) if op.invoke_index in indices]
        keys = {(self.ops[row].workload, str(self.ops[row].key)) for row in witness}
        yield witness
        yield [row for row, op in enumerate(self.ops) if (op.workload, str(op.key)) in keys]

    def accept(self, rows: Iterable[int]) -> bool:
        """Return whether the rows, with all that they need, show the anomaly; then they are kept."""
        kept = self._links.closure(rows)
        if kept == self.kept:
            return True
        if kept not in self._known:
            history = part_of(self._whole, [self.ops[row] for row in sorted(kept)])
            with self._allowance.one_run():
                anomaly = self._lens.look(history)
            self._known[kept] = anomaly is not None
            if anomaly is not None:
                self.anomaly, self.history, self.kept = anomaly, history, kept
            self._notify("shrink", f"{len(self.kept)} of {len(self.ops)} operations · {self._allowance}")
        return self._known[kept]


def part_of(whole: History, ops: Sequence[Operation]) -> History:
    """The events of these operations only, as they were recorded: same order, same indices, same times."""
    wanted = {op.invoke_index for op in ops} | {op.complete_index for op in ops if op.complete_index is not None}
    return History((event for event in whole.events if event.index in wanted), source=whole.source)


def write_small(small: SmallHistory, source: Path, format: str | None, target: Path | None) -> Path:
    """Write the history next to the source, in the same format: `history.jsonl` becomes `history.small.jsonl`."""
    name = detect(source) if format is None else format
    path = target or source.with_name(f"{source.stem}.small{source.suffix}")
    try:
        write(small.history, path, name if target is None else None)
    except HistoryError as error:
        raise CampaignError(error.message, hint=error.hint or "name another file with --output") from error
    return path
