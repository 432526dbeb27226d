"""Running of checkers over a record, and merging of their verdicts. A checker that fails does not affect the others.

from tribulation.checkers import check
results = check("runs/latest/history.jsonl")
results = check("history.edn", model="cas-register")
results = check([{"process": 0, "type": "invoke", "f": "write", "value": 1}, …], ["linearizable"])
results["linearizable"].verdict
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tribulation.histories import History, HistoryError
from tribulation.histories.model.columns import OK

from .base.options import bounded, refuse
from .base.result import Budget, Checker, CheckResult, RunRecord, Verdict
from .base.sharing import keep, known, sharing
from .campaign_options import problems
from .model_names import MODELS, checkers_of, infer, model_named, prepared
from .registry import CHECKERS, OF_THE_RUN, OF_WORKLOAD, checker
from .soundness.gating import gated, withheld
from .soundness.own_results import understood
from .soundness.unjudged import UNJUDGED, doubt_of, is_silent, unjudged
from .sources import Source, as_record
from .traces.lines import with_understood_traces

LEVEL = "linearizable"
"""Level whose workloads must be judged by the checker of `OF_WORKLOAD`; other levels have checkers of their own."""

LARGE_OPERATIONS = 50_000
"""A larger history, without other evidence, is given only to the checkers of its model: the others would make an object of each operation."""


def check(
    source: Source,
    checkers: str | Sequence[str] = "auto",
    budget: Budget | None = None,
    *,
    model: str | None = None,
    consistency: str | None = None,
    exact: bool = False,
    certificate: bool = False,
    format: str | None = None,
    options: Mapping[str, Any] | None = None,
    narrow: bool = True,
) -> dict[str, CheckResult]:
    """Return the result of each checker by name.

    `source` is a record, a history, its columns, the path of a history in any known format (or of a folder with a `history.jsonl`; `tri check` reads
    its other files), or events as dictionaries or arrays (`sources`). `checkers` is a list of names, or "auto": those of `model`, or without a model
    all that find in the record what they need. `budget` is each checker's. `consistency` is the level required of transactions; `exact` excludes
    answers from necessary conditions; `certificate` requests the order behind valid fast-path verdicts. `options` are those of checkers, by name, as
    in a campaign's `checker_options`; they are added to those of the record. Named checkers narrow what is asked to what they judge; without
    `narrow`, acknowledged operations that they leave over are a doubt, as with "auto". A checker that raises is UNKNOWN with the reason. So is one
    that found nothing in a run whose evidence has gaps where it looks (`gating`). Raises `HistoryError` when the history cannot be read, `KeyError`
    for an unknown name, `OptionError` for an unknown option or a value that is not a valid bound.
    """
    record = as_record(source, format)
    known = _model(model)
    record = replace(record, options={**record.options, **(options or {})})
    refuse(problems(record.options))
    asked = {"consistency": consistency, "exact": exact, "certificate": certificate}
    record = replace(_prepared(with_understood_traces(record), known, asked), auto=checkers == "auto")
    budget = budget or Budget()
    results: dict[str, CheckResult] = {}
    given: list[tuple[str, RunRecord]] = []
    names = _names(record, checkers, known)
    due = _due(record)
    with sharing():
        for name in names:
            if name not in CHECKERS:
                raise KeyError(f"no checker {name!r}; there are {', '.join(CHECKERS)}")
            mine = record if checkers != "auto" else _of_its_workloads(name, record)
            result = _run(name, mine, budget, asked=checkers != "auto" or name in due)
            if result is not None:
                results[name] = result
                given.append((name, mine))
        if (checkers == "auto" or not narrow) and results and (doubt := _doubt(record, given, results.values())):
            results[UNJUDGED] = doubt
    if known is not None and names and not results:
        # The model was requested, so its first checker reports why it cannot judge.
        return {names[0]: _run(names[0], record, budget, asked=True) or CheckResult(names[0], Verdict.UNKNOWN)}
    return results


def unjudged_of(record: RunRecord, results: Mapping[str, CheckResult]) -> Mapping[str, int]:
    """Return how many acknowledged operations of each name no checker of `results` judged, of which each was given the whole record."""
    if UNJUDGED in results:
        found: Mapping[str, int] = results[UNJUDGED].stats["operations"]
        return found
    try:
        return _unjudged(record, [(name, record) for name in results if name in CHECKERS])
    except _NOT_COUNTED:
        return {}


_NOT_COUNTED = (HistoryError, ImportError, MemoryError)


def _unjudged(record: RunRecord, given: Sequence[tuple[str, RunRecord]]) -> dict[str, int]:
    return unjudged(record, ((checker(name), mine) for name, mine in given))


def _doubt(
    record: RunRecord, given: Sequence[tuple[str, RunRecord]], results: Iterable[CheckResult]
) -> CheckResult | None:
    try:
        silent = [name for name, _ in given if is_silent(checker(name))]
        return doubt_of(left, silent) if (left := _unjudged(record, given)) else None
    except _NOT_COUNTED as error:
        if any(result.verdict is not Verdict.VALID for result in results):
            return None  # A checker has reported it.
        reason = f"operations that no checker judged could not be counted: {type(error).__name__}"
        return CheckResult(UNJUDGED, Verdict.UNKNOWN, (), {"operations": {}}, reason)


def _model(name: str | None) -> str | None:
    if name is None:
        return None
    found = model_named(name)
    if found is None:
        raise KeyError(f"no model {name!r}; there are {', '.join(MODELS)}")
    return found


def _prepared(record: RunRecord, model: str | None, asked: dict[str, Any]) -> RunRecord:
    """Return the record in the form that the checkers of `model` need, with the requested settings among its options."""
    options = {name: value for name, value in {"model": model, **asked}.items() if value}
    try:
        history = prepared(record.history, model)
    except HistoryError:
        # Each checker of operations will report it; the others need none.
        history = record.history
    return replace(record, history=history, options={**record.options, **options})


def _names(record: RunRecord, checkers: str | Sequence[str], model: str | None) -> list[str]:
    if checkers != "auto":
        return [checkers] if isinstance(checkers, str) else list(checkers)
    if model is None and not (record.traces or record.faults) and len(record.history) > 2 * LARGE_OPERATIONS:
        model = infer(record.history.columns)
    return list(CHECKERS) if model is None else checkers_of(model)


def _due(record: RunRecord) -> frozenset[str]:
    """Return the checkers that "auto" must not leave out of a run because of the system's answers: no answer at all, or one of another type, would leave
    them out.
    """
    if not record.is_run:
        return frozenset()
    try:
        workloads = _promised(record.history)
    except HistoryError:
        return frozenset()
    declared = {name for workload in workloads for name in record.judged_by.get(workload or "", ())}
    return frozenset(declared | {name for workload, name in OF_WORKLOAD.items() if workload in workloads})


def _promised(history: History) -> set[str | None]:
    """Return the workloads with operations of level `LEVEL`, or of none."""
    if history.loaded:
        return {op.workload for op in history.operations() if op.level in (None, LEVEL)}
    columns = history.columns
    promised = np.array([name in (None, LEVEL) for name in columns.level_names], np.bool_)[columns.level]
    return {columns.workload_names[number] for number in set(columns.workload[promised].tolist())}


def _of_its_workloads(name: str, record: RunRecord) -> RunRecord:
    """Return the record without the operations of workloads that name other checkers: what those do not promise is not required of them."""
    others = sorted(workload for workload, names in record.judged_by.items() if name not in names)
    if name in OF_THE_RUN or not others:
        return record
    named = f"without {others}"
    found: RunRecord | None = known(record, named)
    if found is None:
        history = record.history
        kept = [event for event in history.events if event.workload not in others]
        found = replace(record, history=History(kept, history.torn, history.source))
        keep(record, named, found)
    return found


def merge(verdicts: Iterable[Verdict]) -> Verdict:
    """Merge verdicts: invalid outranks unknown, unknown outranks valid, and no verdict at all is unknown."""
    seen = set(verdicts)
    for verdict in (Verdict.INVALID, Verdict.UNKNOWN, Verdict.VALID):
        if verdict in seen:
            return verdict
    return Verdict.UNKNOWN


def _run(name: str, record: RunRecord, budget: Budget, asked: bool) -> CheckResult | None:
    """Return the result of a checker; None when it does not apply and was not requested, by its name or by a bound that it should apply."""
    try:
        found: Checker = checker(name)
        if not found.applies(record):
            wanted = asked or bounded(record, found)
            return withheld(found, record) or (
                CheckResult(name, Verdict.UNKNOWN, reason=_lacks(record)) if wanted else None
            )
        if not asked and not _in_auto(found, record):
            return None
        return gated(found, record, understood(name, found.check(record, budget)))
    except HistoryError as error:
        return CheckResult(name, Verdict.UNKNOWN, reason=f"the history is inconsistent: {error.message}")
    except MemoryError:
        return CheckResult(name, Verdict.UNKNOWN, reason="the checker ran out of memory")
    except (Exception, SystemExit) as error:
        # A bug in a checker must not pass for a verdict, and must not hide the verdicts of the others.
        place = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"the checker failed: {type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
        return CheckResult(name, Verdict.UNKNOWN, reason=reason)


def _in_auto(found: Checker, record: RunRecord) -> bool:
    """Return whether "auto" takes this checker. A checker may decide that in a method `in_auto`: it should say no when another one finds the same
    violations.
    """
    wanted: Callable[[RunRecord], bool] | None = getattr(found, "in_auto", None)
    return wanted is None or wanted(record)


def _lacks(record: RunRecord) -> str:
    columns = record.history.columns if record.history is not None else None
    names = set(columns.f_names) if columns is not None else set()
    if names and columns is not None and not (columns.type == OK).any():
        return f"no operation ended ok ({', '.join(sorted(names))})"
    model = record.options.get("model")
    wanted = f" (the model {model}: {MODELS[model].title})" if model in MODELS else ""
    return f"the record lacks what this checker needs{wanted}; its operations: {', '.join(sorted(names)) or 'none'}"
