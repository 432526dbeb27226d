"""Verdict on a run's folder: the checkers' results on what was recorded, and from these one verdict and one exit code.

An anomaly outranks everything. An error of the environment comes next, then doubt, which includes a fault that was observed to do nothing.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tribulation.checkers import CHECKERS, Budget, CheckResult, Gap, OptionError, RunRecord, Verdict, check, merge
from tribulation.checkers.model_names import infer
from tribulation.checkers.run_all import unjudged_of
from tribulation.histories import HistoryError
from tribulation.histories.model.columns import ABSENT, FAIL, INFO, OK

from ...campaign.packaged import typed
from ...errors import CampaignError, HostError
from ...evidence.writing import as_text, write_json
from ...foreign import contained, fired_timers
from ...garbage import rare_collections
from ...nemesis.faults.power_models import NOTHING, STRICT, STRICTER, UNTOUCHED, model_seen
from ...plugins.copying import load_kept
from ...plugins.trust import HINT, trusted
from ...trouble import Trouble
from ...user_files.renamed import SCHEMA, SCHEMA_VERSION
from .doubts import doubts_of, last_ok_ms, silent_after_heal
from .run_folder import RunFacts, load_history_record, load_record, read_facts

_OUTCOMES = {"ok": OK, "fail": FAIL, "info": INFO}
FINAL_READS = "final-reads"
ENDED_BY_USER = "the user ended the run before its final reads"
"""Error of a run that makes it unknown, and that is not an error of the environment."""
EXIT_VALID, EXIT_INVALID, EXIT_USAGE, EXIT_UNKNOWN, EXIT_ENVIRONMENT, EXIT_BUG = 0, 1, 2, 3, 4, 70


@dataclass(frozen=True, slots=True)
class Judgement:
    """Verdict on a run. `document` is what `--json` prints and `verdict.json` holds; `record` is what was judged."""

    verdict: Verdict
    exit_code: int
    results: Mapping[str, CheckResult]
    document: Mapping[str, Any]
    record: RunRecord
    facts: RunFacts
    model: str | None = None

    def with_trouble(self, where: str, error: Exception) -> Judgement:
        """Return the same judgement with this error added."""
        trouble = Trouble()
        trouble.add(where, error)
        facts = replace(
            self.facts, errors=[*self.facts.errors, *trouble.errors], bugs=[*self.facts.bugs, *trouble.bugs]
        )
        return replace(_judged(self.record, facts, self.results, self.document["run"]), model=self.model)

    def kept(self, run_dir: Path, write_report: Callable[[], object]) -> Judgement:
        """Write the judgement into the run's folder, with its report, and return it. An error there hides nothing."""
        try:
            self.write(run_dir)
            write_report()
        except KeyboardInterrupt:
            if self.verdict is not Verdict.INVALID:
                raise
            # The page can be written later; the anomaly is the result of the command.
            self.write(run_dir)
        except Exception as error:
            return self.with_trouble("writing verdict and report", error)
        return self

    def write(self, run_dir: Path) -> None:
        """Write the verdict into the run's folder."""
        write_json(run_dir / "verdict.json", self.document)


@dataclass(frozen=True, slots=True)
class Asked:
    """The user's options for the checkers, apart from which ones; see `checkers.check`."""

    model: str | None = None
    consistency: str | None = None
    exact: bool = False
    certificate: bool = False


@contained()
def judge(
    target: Path,
    checkers: Sequence[str] | None = None,
    budget: Budget | None = None,
    *,
    format: str | None = None,
    asked: Asked | None = None,
    facts: RunFacts | None = None,
) -> Judgement:
    """Judge a run's folder or a history file (`target`, in `format`). Changes nothing. `facts` are a run's own, unless given.

    Without `checkers`: those of the requested model, else those that the run's campaign names. For a bare history: those of the model that its
    operations show.
    """
    asked = asked or Asked()
    if target.is_dir():
        is_own, facts = facts is not None, facts or read_facts(target)
        if is_own or trusted():
            load_kept(target, facts.plugins)
            record = load_record(target, facts)
        else:
            record = _without_plugins(load_record(target, facts), facts.plugins)
    elif facts is not None:
        raise HostError(
            f"the run's folder {target} vanished during the run",
            hint="repeat the run; which program removed the folder?",
        )
    else:
        record = load_history_record(target, format)
        facts = RunFacts(
            target.stem, 0, _command(target, format, asked, checkers or ()), nodes=(), voters={}, expect=""
        )
        asked = replace(asked, model=asked.model or _inferred(record))
    chosen = checkers or ("auto" if asked.model else _checks(record, facts))
    chosen, absent = _known(chosen, target)
    try:
        results = {**check(record, chosen, budget or Budget(), **asdict(asked)), **absent}
    except HistoryError as error:
        raise CampaignError(error.message, hint=error.hint or "is the model the right one?") from error
    except OptionError as error:
        raise CampaignError(f"{target}: {error.message}", hint=error.hint) from error
    judged = replace(_judged(record, facts, results, str(target)), model=asked.model)
    return judged if not checkers else replace(judged, document={**judged.document, "only": list(checkers)})


def _inferred(record: RunRecord) -> str | None:
    """The model that the operations show. Where none of them happened, only a user can say that the empty order is what was meant."""
    columns = record.history.columns
    return infer(columns) if (columns.type != FAIL).any() else None


def _checks(record: RunRecord, facts: RunFacts) -> Sequence[str]:
    """The campaign's checkers. Whatever it names, a run whose system never recovered is not valid."""
    if facts.checkers == "auto" or not record.is_run or FINAL_READS in facts.checkers:
        return facts.checkers
    return [*facts.checkers, FINAL_READS]


def _without_plugins(record: RunRecord, plugins: Sequence[str]) -> RunRecord:
    """The record, in which each plugin that was not run is a gap: nothing that its checkers would have found is known."""
    gaps = [Gap("plugin", name, f"is code that came with the run, and was not run; hint: {HINT}") for name in plugins]
    return replace(record, gaps=[*record.gaps, *gaps]) if gaps else record


def _known(chosen: str | Sequence[str], target: Path) -> tuple[str | Sequence[str], dict[str, CheckResult]]:
    """The checkers that there are, and unknown results for those that plugins would have brought."""
    names = [] if isinstance(chosen, str) or not target.is_dir() else chosen
    reason = f"a checker of a plugin, which was not run; hint: {HINT}"
    absent = {name: CheckResult(name, Verdict.UNKNOWN, reason=reason) for name in names if name not in CHECKERS}
    return ([name for name in names if name not in absent] if absent else chosen), absent


def _command(history: Path, format: str | None, asked: Asked, checkers: Sequence[str]) -> str:
    options = {"--format": format, "--model": asked.model, "--consistency": asked.consistency}
    words = [word for name, value in options.items() if value is not None for word in (name, str(value))]
    words += [word for name in checkers for word in ("--checker", name)]
    return shlex.join(["tri", "check", typed(history), *words, *(["--exact"] if asked.exact else [])])


@contained()
@rare_collections()
def judge_record(record: RunRecord, facts: RunFacts, budget: Budget, run: str) -> Judgement:
    """Judge a run in memory, as `judge` does; `run` names it."""
    return _judged(record, facts, check(record, _checks(record, facts), budget), run)


def _judged(record: RunRecord, facts: RunFacts, results: Mapping[str, CheckResult], run: str) -> Judgement:
    if fired := fired_timers():
        facts = replace(facts, errors=[*facts.errors, fired])
    verdict = merge(result.verdict for result in results.values())
    doubts = doubts_of(record, len(facts.skipped))
    if verdict is Verdict.VALID and (facts.errors or facts.bugs or doubts.sentences):
        verdict = Verdict.UNKNOWN
    document = {
        SCHEMA: SCHEMA_VERSION,
        "verdict": verdict.value,
        "expected": verdict.value == facts.expect if facts.expect else None,
        "run": as_text(run),
        "campaign": facts.campaign,
        "seed": facts.seed,
        "command": as_text(facts.command),
        "errors": [as_text(error) for error in facts.errors],
        "bugs": list(facts.bugs),
        "client_errors": [dict(one) for one in facts.client_errors],
        "unverified": list(doubts.unverified),
        "masked": {fault: list(others) for fault, others in doubts.masked.items()},
        "without_effect": list(doubts.without_effect),
        "not_undone": list(doubts.not_undone),
        "gaps": [asdict(gap) for gap in doubts.gaps],
        "doubts": doubts.sentences,
        "phases": dict(facts.phases),
        "checkers": {name: _result_json(result) for name, result in results.items()},
        "unjudged": dict(unjudged_of(record, results)),
        "faults": [asdict(fault) for fault in record.faults],
        "ops": count_outcomes(record),
        "last_ok_ms": last_ok_ms(record.history) if record.is_run else {},
        "silent_after_heal": silent_after_heal(record) if record.is_run else [],
        "elapsed_s": dict(facts.elapsed_s),
        "skipped": [dict(one) for one in facts.skipped],
        "backends": {ability: dict(how) for ability, how in facts.backends.items()},
        "power_model": power_model(record, verdict),
    }
    return Judgement(verdict, exit_code(verdict, facts.errors, facts.bugs), results, document, record, facts)


def power_model(record: RunRecord, verdict: Verdict) -> dict[str, str] | None:
    """The disk model by which writes were lost; None when none could be. With a `note` where anomalies were found on disks that lose more than real
    ones, or no write was lost.
    """
    seen = [(model_seen(fault.kind, fault.intended, fault.observed), fault.intended) for fault in record.faults]
    model, intended = next(((model, intended) for model, intended in seen if model is not None), (None, {}))
    if model is None:
        return None
    # The reference node needs no statement of the user: the model is what it promises.
    stricter = model == STRICT and "model" in intended and verdict is Verdict.INVALID
    note = UNTOUCHED if model == NOTHING else STRICTER if stricter else None
    return {"model": model, **({"note": note} if note else {})}


def exit_code(verdict: Verdict, errors: Sequence[str], bugs: Sequence[str] = ()) -> int:
    if verdict is Verdict.INVALID:
        return EXIT_INVALID
    if bugs:
        return EXIT_BUG
    if any(error != ENDED_BY_USER for error in errors):
        return EXIT_ENVIRONMENT
    return EXIT_VALID if verdict is Verdict.VALID else EXIT_UNKNOWN


def count_outcomes(record: RunRecord) -> dict[str, int]:
    """Completions by outcome, as far as the history is well formed."""
    try:
        columns = record.history.columns
    except HistoryError:
        return dict.fromkeys(_OUTCOMES, 0)
    ended = (columns.type != INFO) | (columns.complete_ns != ABSENT)
    return {name: int(((columns.type == code) & ended).sum()) for name, code in _OUTCOMES.items()}


def _result_json(result: CheckResult) -> dict[str, Any]:
    return {
        "verdict": result.verdict.value,
        "anomalies": [asdict(anomaly) for anomaly in result.anomalies],
        "stats": dict(result.stats),
        "reason": result.reason,
    }
