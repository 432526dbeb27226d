"""Failures that a search found, as run folders: what `tri report`, `tri shrink` and `tri replay` start from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from histories.store import RunStore

from ..run.execute import Settings, open_run_folder
from ..run.plan import Plan
from ..run.simulated import write_run
from .engine import Findings, Search
from .trial import Trial

CRASH_FILE = "crash.txt"
SEARCH_FILE = "search.json"


@dataclass(frozen=True, slots=True)
class Kept:
    """`same` is whether the run that the folder holds was the trial again, step by step; None when it crashed, as the trial did."""

    run_dir: Path
    same: bool | None

    @property
    def repeat(self) -> str:
        return f"tri replay {self.run_dir}"


def keep_failures(findings: Findings, wanted: Search, settings: Settings, limit: int) -> Mapping[int, Kept]:
    """Carry out the first plan of every kind of failure again, the most frequent kinds first, `limit` plans at most: seed → its run's folder."""
    kept: dict[int, Kept] = {}
    for group in findings.in_order():
        if group.first.seed not in kept and len(kept) < limit:
            settings.tell("keep", f"{group.signature}, seed {group.first.seed}")
            kept[group.first.seed] = keep_trial(group.first, wanted, settings)
    return kept


def keep_trial(trial: Trial, wanted: Search, settings: Settings) -> Kept:
    """The folder of a whole run; of one that crashes, its plan and what was raised."""
    plan = Plan.from_json(trial.plan)
    run_dir = open_run_folder(wanted.campaign, plan, settings)
    RunStore.write_json(
        run_dir / SEARCH_FILE,
        {
            "seed": trial.seed,
            "mutant": trial.mutant,
            "digest": trial.digest,
            "failures": [str(signature) for signature in trial.signatures],
        },
    )
    quiet = replace(settings, command=f"tri replay {run_dir}", tell=lambda phase, detail: None)
    if trial.verdict == "crashed":
        (run_dir / CRASH_FILE).write_text("\n".join(trial.told) + "\n", encoding="utf-8")
        return Kept(run_dir, None)
    judgement = write_run(wanted.campaign, plan, quiet, run_dir)
    return Kept(run_dir, judgement.record.options["digest"] == trial.digest)
