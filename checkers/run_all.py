"""Runs checkers over a record and merges their verdicts. One checker that fails takes no other with it.

from checkers import check
results = check("runs/latest/history.jsonl")
results = check([{"index": 0, "time": 0, "process": 0, "type": "invoke", "f": "write", "value": 1}, …], ["linearizable"])
results["linearizable"].verdict
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from histories import Event, History, HistoryError, read_history
from histories.codec import event_from_json

from .registry import CHECKERS, checker
from .result import Budget, Checker, CheckResult, RunRecord, Verdict

Source = RunRecord | History | str | Path | Iterable[Mapping[str, Any] | Event]


def check(
    source: Source, checkers: str | Sequence[str] = "auto", budget: Budget | None = None
) -> dict[str, CheckResult]:
    """The result of each checker by name.

    `source` is a record, a history, the path of a `history.jsonl` (or of a folder with one; its other files are read by `tri check`), or
    events as dictionaries. `checkers` is a list of names, or "auto": all that find in the record what they need. `budget` is each
    checker's. A checker that raises is UNKNOWN with the reason, and so is every one on a history whose events cannot be paired. Raises
    `HistoryError` when the history cannot be read, `KeyError` on an unknown name.
    """
    record = as_record(source)
    budget = budget or Budget()
    names = list(CHECKERS) if checkers == "auto" else [checkers] if isinstance(checkers, str) else list(checkers)
    results: dict[str, CheckResult] = {}
    for name in names:
        if name not in CHECKERS:
            raise KeyError(f"no checker {name!r}; there are {', '.join(CHECKERS)}")
        result = _run(name, record, budget, asked=checkers != "auto")
        if result is not None:
            results[name] = result
    return results


def merge(verdicts: Iterable[Verdict]) -> Verdict:
    """One verdict of many: invalid outranks unknown, unknown outranks valid, and nothing at all is unknown."""
    seen = set(verdicts)
    for verdict in (Verdict.INVALID, Verdict.UNKNOWN, Verdict.VALID):
        if verdict in seen:
            return verdict
    return Verdict.UNKNOWN


def as_record(source: Source) -> RunRecord:
    if isinstance(source, RunRecord):
        return source
    if isinstance(source, History):
        return RunRecord(history=source)
    if isinstance(source, (str, Path)):
        path = Path(source)
        return RunRecord(history=read_history(path / "history.jsonl" if path.is_dir() else path))
    events = [item if isinstance(item, Event) else event_from_json(item, number) for number, item in enumerate(source)]
    return RunRecord(history=History(events))


def _run(name: str, record: RunRecord, budget: Budget, asked: bool) -> CheckResult | None:
    """None when the checker does not apply and was not asked for by name."""
    try:
        found: Checker = checker(name)
        if not found.applies(record):
            return CheckResult(name, Verdict.UNKNOWN, reason=_LACKS) if asked else None
        return found.check(record, budget)
    except HistoryError as error:
        return CheckResult(name, Verdict.UNKNOWN, reason=f"the history makes no sense: {error.message}")
    except MemoryError:
        return CheckResult(name, Verdict.UNKNOWN, reason="the checker ran out of memory")
    except Exception as error:
        # A bug in a checker must not pass for a verdict, nor hide those of the others.
        place = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"the checker failed: {type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
        return CheckResult(name, Verdict.UNKNOWN, reason=reason)


_LACKS = "the record lacks what this checker needs"
