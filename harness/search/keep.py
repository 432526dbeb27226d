"""Failures that a search found, kept as run folders for `tri report`, `tri shrink` and `tri replay`."""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..evidence.writing import RunFolderError, write_json, writing
from ..failures.trial import attempt
from ..plugins.trust import repeat_by
from ..progress import silent
from ..run.plan.plan import Plan
from ..run.settings import Settings, open_run_folder
from ..run.simulated import write_run
from ..simulator.cluster.cluster import SimCluster
from .engine import Findings, Search
from .trial import Trial

CRASH_FILE = "crash.txt"
SEARCH_FILE = "search.json"


@dataclass(frozen=True, slots=True)
class Kept:
    """`same`: the run in the folder repeated the trial step by step; after a crash, it crashed again."""

    run_dir: Path
    same: bool
    crashed: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def repeat(self) -> str:
        again = ("run", "--plan", self.run_dir / "plan.json") if self.crashed else ("replay", self.run_dir)
        return repeat_by(["tri", *again], self.options)


def keep_failures(findings: Findings, wanted: Search, settings: Settings, limit: int) -> Mapping[int, Kept]:
    """Run the first plan of every kind of failure again: the most frequent kinds first, at most `limit` plans, and as long as folders can be written. Returns seed → its run's folder."""
    kept: dict[int, Kept] = {}
    for group in findings.in_order():
        if group.first.seed not in kept and len(kept) < limit:
            settings.notify("keep", f"{group.signature}, seed {group.first.seed}")
            try:
                kept[group.first.seed] = keep_trial(group.first, wanted, settings)
            except RunFolderError as error:
                # The failures found are reported even so.
                settings.notify("keep", str(error))
                break
    return kept


def keep_trial(trial: Trial, wanted: Search, settings: Settings) -> Kept:
    """Leave the folder of a whole run; after a crash: its plan, the exception, and what the nodes had done until then."""
    plan = Plan.from_json(trial.plan)
    run_dir = open_run_folder(wanted.campaign, plan, settings)
    write_json(
        run_dir / SEARCH_FILE,
        {
            "seed": trial.seed,
            "mutant": trial.mutant,
            "digest": trial.digest,
            "failures": [str(signature) for signature in trial.signatures],
        },
    )
    quiet = replace(settings, command=repeat_by(["tri", "replay", run_dir], plan.options), notify=silent)
    if trial.verdict == "crashed":
        return Kept(run_dir, _crashed_again(trial, plan, run_dir), crashed=True, options=plan.options)
    judgement = write_run(wanted.campaign, plan, quiet, run_dir)
    return Kept(run_dir, judgement.record.options["digest"] == trial.digest, options=plan.options)


def _crashed_again(trial: Trial, plan: Plan, run_dir: Path) -> bool:
    """Write what is known of a run that does not reach its end. A plan that ended its process is not tried again."""
    lines = list(trial.explanations)
    seen: list[SimCluster] = []
    (crash,) = trial.signatures
    again = crash.checker == "worker"
    if not again:
        tried = attempt(plan, crash, watch=seen.append)
        again = crash in tried.failures
        lines += ["", *(traceback.format_exception(tried.error) if tried.error is not None else ())]
    with writing(run_dir):
        (run_dir / CRASH_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")
        for cluster in seen:
            (run_dir / "trace").mkdir()
            for node, trace in cluster.traces.items():
                text = "".join(f"{json.dumps(line)}\n" for line in trace)
                (run_dir / "trace" / f"{node}.jsonl").write_text(text, encoding="utf-8")
    return again
