"""Reads from a run's folder what shrinking needs, and writes a shrunk plan to its own folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tribulation.checkers import Anomaly, Budget, CheckResult, RunRecord, Verdict
from tribulation.histories import History

from ..campaign.load import load_recorded
from ..campaign.model import Campaign
from ..campaign.simulable import require_simulable
from ..errors import CampaignError
from ..evidence.documents import required_document
from ..evidence.writing import write_json
from ..failures.folder import read_plan, read_record
from ..failures.signature import Signature, signatures
from ..failures.trial import attempt
from ..plugins.trust import repeat_by
from ..run.outcome.run_folder import reached_its_end
from ..run.outcome.verdict import Judgement, judge
from ..run.plan.plan import Plan
from ..run.settings import Settings, open_run_folder
from ..run.simulated import cluster_of, write_run
from ..user_files.renamed import VERDICT, current
from .focus import Clue, clue_of
from .sizes import Size
from .trial import first_seen

SHRINK_FILE = "shrink.json"
LEAST_FINAL_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Source:
    """A failing run: its plan, its failures, its record. `campaign` is None where only a plan is left; `crash`: it did not reach its end."""

    place: str
    plan: Plan
    campaign: Campaign | None
    results: Mapping[str, CheckResult]
    record: RunRecord
    crash: Signature | None = None

    def signatures(self) -> list[Signature]:
        if self.crash is not None:
            return [self.crash]
        return signatures(self.results, self.record.history)

    def clue(self, wanted: Signature) -> Clue:
        """The run's clue of where to look for the failure."""
        if self.crash is not None:
            return Clue((), (), None)
        seen = first_seen(wanted, self.results[wanted.checker], self.record)
        return clue_of(self.record, self.plan, seen.ops, seen.at_ns)

    def size(self) -> Size:
        load_end_ns = self.record.phases.get("load_end", self.plan.timing.load_ns)
        ops = [op for op in self.record.history.operations() if op.invoke_ns < load_end_ns]
        return Size(
            faults=len(self.plan.intents),
            operations=len(ops),
            clients=len(self.plan.slots),
            keys=len({(op.workload, str(op.key)) for op in ops}),
            nodes=len(self.plan.nodes),
            seconds=round(load_end_ns / 1e9, 3),
        )


def read_source(folder: Path) -> Source:
    """The content of a simulated run's folder; a missing verdict or history is made from its plan."""
    plan = read_plan(folder)
    require_simulable(plan.options["system"], str(folder))
    # A plan that cannot be carried out is refused here: a trial would count it as one that fails otherwise.
    cluster_of(plan)
    if reached_its_end(folder):
        return read_recorded(folder)
    tried = attempt(plan, check_s=Budget().time_s)
    record = RunRecord(History(())) if tried.done is None else tried.done.record
    crash = None if tried.error is None else next(iter(tried.failures))
    return Source(str(folder), plan, _campaign(folder), dict(tried.results), record, crash)


def read_recorded(folder: Path) -> Source:
    """The content of the folder of a run that ended. Raises `CampaignError` when something is missing."""
    results = _results(folder / "verdict.json")
    return Source(
        str(folder), read_plan(folder), _campaign(folder), results or judge(folder).results, read_record(folder)
    )


def _campaign(folder: Path) -> Campaign | None:
    path = folder / "campaign.yaml"
    return load_recorded(path) if path.exists() else None


def _results(path: Path) -> dict[str, CheckResult] | None:
    """The results in a verdict.json."""
    if not path.exists():
        return None
    try:
        found = required_document(path, f"tri check {path.parent} writes it again")
        checkers = current(found, VERDICT)["checkers"]
        return {name: _result(name, result) for name, result in checkers.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CampaignError(
            f"{path}: not a verdict: {error}", hint=f"tri check {path.parent} writes it again"
        ) from error


def _result(name: str, recorded: Mapping[str, Any]) -> CheckResult:
    anomalies = tuple(
        Anomaly(anomaly["kind"], tuple(anomaly["ops"]), anomaly["explanation"], anomaly.get("details") or {})
        for anomaly in recorded["anomalies"]
    )
    return CheckResult(name, Verdict(recorded["verdict"]), anomalies, recorded["stats"], recorded["reason"])


def choose(found: list[Signature], asked: str | None, place: str) -> Signature:
    """The failure to keep: the one requested as `checker`, `kind` or `checker/kind`, else the first, which is what clients see."""
    if not found:
        raise CampaignError(
            f"{place} did not fail: there is no failure to look for", hint="`tri list runs` shows verdicts"
        )
    chosen = [one for one in found if asked is None or asked in (one.checker, one.kind, f"{one.checker}/{one.kind}")]
    if not chosen:
        there = ", ".join(dict.fromkeys(f"{one.checker}/{one.kind}" for one in found))
        raise CampaignError(f"{place} does not fail by {asked!r}", hint=f"its failures are {there}")
    return chosen[0]


def write_shrunk(
    plan: Plan, source: Source, document: Mapping[str, Any], settings: Settings
) -> tuple[Path, Judgement | None]:
    """Carry the plan out and leave a whole run with a `shrink.json`. Its recorded command replays it. After a crash, only the plan is left."""
    campaign = campaign_of(plan, source.campaign, source.place)
    run_dir = open_run_folder(campaign, plan, settings)
    write_json(run_dir / SHRINK_FILE, document)
    if source.crash is not None:
        return run_dir, None
    judgement = write_run(campaign, plan, replace(settings, command=replay_of(run_dir, plan)), run_dir)
    return run_dir, judgement


def replay_of(run_dir: Path, plan: Plan) -> str:
    """The command that replays the run of this plan."""
    return repeat_by(["tri", "replay", run_dir], plan.options)


def campaign_of(plan: Plan, source: Campaign | None, place: str) -> Campaign:
    """A campaign for `plan`, as far as a campaign can express it: its faults and operations are only in the plan."""
    known = source.model_dump(mode="json", by_alias=True, exclude_none=True) if source is not None else {}
    hosts = plan.options.get("hosts") or {}
    timing = plan.timing
    return Campaign.model_validate(
        {
            **known,
            "name": plan.campaign,
            "description": f"shrunk from {place}: its faults and operations are those of plan.json",
            "hosts": {**{name: value for name, value in hosts.items() if value is not None}, "nodes": len(plan.nodes)},
            "system": {name: value for name, value in plan.options["system"].items() if value is not None},
            "seed": plan.seed,
            "duration": f"{timing.load_ns}ns",
            "settle": f"{timing.quiet_ns}ns",
            "final": f"{max(timing.final_ns, LEAST_FINAL_NS)}ns",
            "operation_timeout": f"{timing.operation_ns}ns",
            "workloads": _workloads(plan) or known.get("workloads") or [{"register": {}}],
            "faults": [],
            "checkers": plan.options.get("checkers", "auto"),
            "checker_options": plan.options.get("checker_options", {}),
            "expect": plan.options.get("expect", "valid"),
        }
    )


def _workloads(plan: Plan) -> list[dict[str, Any]]:
    return [
        {name: workload.spec.model_dump(mode="json", exclude_none=True)} for name, workload in plan.workloads.items()
    ]
