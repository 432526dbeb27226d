"""Tier C for a folder or a file: the failure there, the plan that tries it again, the search, and the first run that fails alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...campaign.load import load_recorded
from ...campaign.model import Campaign
from ...campaign.simulable import require_simulable
from ...errors import CampaignError
from ...evidence.writing import write_json
from ...failures.folder import read_plan
from ...failures.signature import Signature, signatures
from ...nemesis.faults.ledger import read_ledger
from ...progress import Notify
from ...run.outcome.verdict import Judgement, judge
from ...run.plan.plan import Plan
from ...run.settings import Settings, open_run_folder
from ...run.simulated import cluster_of, write_run
from ...shrink.folder import campaign_of, choose, replay_of
from ...shrink.trial import first_seen
from .pinning import PinnedPlan, plan_of_history, plan_of_run
from .tries import Tries, cut_short, search

REPLAY_FILE = "replay.json"


@dataclass(frozen=True, slots=True)
class Asked:
    """`failure` is a checker, a kind of anomaly or both with a slash; `flaws` are planted in the simulated cluster; `ledger` holds a bare history's
    faults; `nodes` is their number when the history names none."""

    tries: int = 100
    jobs: int = 1
    time_s: float | None = None
    failure: str | None = None
    flaws: Sequence[str] = ()
    ledger: Path | None = None
    nodes: int = 5
    runs: Path = Path("runs")


@dataclass(frozen=True, slots=True)
class Reproduced:
    """`kept` is the folder of the first run that fails alike."""

    tries: Tries
    plan: Plan
    kept: Path | None

    def to_json(self) -> dict[str, Any]:
        return {**self.tries.to_json(), "kept": None if self.kept is None else str(self.kept)}


def reproduce(target: Path, asked: Asked, notify: Notify) -> Reproduced:
    """Reproduce the failure. Raises `CampaignError` when nothing failed there, or when its plan cannot be simulated."""
    if target.is_dir():
        require_simulable(read_plan(target).options["system"], str(target))
    notify("check", str(target))
    judgement = judge(target)
    failures = signatures(judgement.results, judgement.record.history)
    if not failures:
        raise CampaignError(
            f"{target} did not fail ({judgement.verdict.value}): there is no failure to look for",
            hint="tier c searches for a failure; a run of --hosts sim is replayed without --tier",
        )
    wanted = choose(failures, asked.failure, str(target))
    pinned = _plan(target, judgement, asked)
    plan = pinned.plan
    cluster_of(plan)
    seen_ns = first_seen(wanted, judgement.results[wanted.checker], judgement.record).at_ns
    notify("tier C", f"{len(plan.pinned or ())} operations and {len(plan.intents)} faults, looking for {wanted}")
    tries = search(pinned, wanted, judgement.record, seen_ns, asked.tries, asked.jobs, asked.time_s, notify)
    kept = (
        _keep(replace(cut_short(plan, seen_ns), seed=tries.alike[0]), target, wanted, tries, asked, notify)
        if tries.alike
        else None
    )
    return Reproduced(tries, plan, kept)


def _plan(target: Path, judgement: Judgement, asked: Asked) -> PinnedPlan:
    if target.is_dir():
        return plan_of_run(read_plan(target), judgement.record, asked.flaws)
    ledger = asked.ledger or _beside(target)
    record = replace(judgement.record, faults=read_ledger(ledger)) if ledger is not None else judgement.record
    return plan_of_history(_name(target), record, asked.flaws, asked.nodes)


def _beside(history: Path) -> Path | None:
    path = history.with_name("ledger.jsonl")
    return path if path.exists() else None


def _name(history: Path) -> str:
    """The file's name in the form of a campaign's name."""
    name = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in history.stem.lower()).strip(
        "-"
    )
    return name or "history"


def _keep(plan: Plan, target: Path, wanted: Signature, tries: Tries, asked: Asked, notify: Notify) -> Path:
    campaign = _campaign(plan, target)
    settings = Settings("", target, asked.runs, notify)
    run_dir = open_run_folder(campaign, plan, settings)
    write_json(run_dir / REPLAY_FILE, {"source": str(target), **tries.to_json()})
    judgement = write_run(campaign, plan, replace(settings, command=replay_of(run_dir, plan)), run_dir)
    if not any(wanted.same_failure(one) for one in signatures(judgement.results, judgement.record.history)):
        raise CampaignError(
            f"{run_dir} does not fail by {wanted} any more, although it did in its trial", hint="please report it"
        )
    return run_dir


def _campaign(plan: Plan, target: Path) -> Campaign:
    path = target / "campaign.yaml"
    known = load_recorded(path) if target.is_dir() and path.exists() else None
    text = f"the recording of {target}, repeated in the simulator: its faults and operations are those of plan.json"
    return campaign_of(plan, known, str(target)).model_copy(update={"description": text})
