"""Findings of a search as one document: what `--json` prints, and what the tables are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from ..run.plan.plan import Plan
from ..simulator.coverage.sometimes import STATES
from ..user_files.quantities import format_ns
from .engine import Findings, Group, Search
from .keep import Kept
from .trial import FAULT_OUTCOMES

DOUBTS_SHOWN = 5


class FailureRow(TypedDict):
    """A failure signature: in how many trials, and the first of them. `run` and `repeat` are None where its folder was not kept."""

    checker: str
    kind: str
    trials: int
    first_seed: int
    mutant: bool
    faults: int
    operations: int
    load_s: float
    explanation: str
    run: str | None
    same_again: bool | None
    repeat: str | None


class SearchDocument(TypedDict):
    """Output of `tri search --json`. `faults`: by kind and outcome; `sometimes`: in how many trials each interesting state was reached."""

    command: str
    interrupted: bool
    trials: int
    mutants: int
    verdicts: dict[str, int]
    failed: int
    failures: list[FailureRow]
    doubts: dict[str, int]
    unended: list[int]
    states: int
    faults: dict[str, dict[str, int]]
    sometimes: dict[str, int]
    operations: int
    core_events: int
    simulated_s: float
    wall_s: float
    trials_per_minute: float | None
    cpu_s: dict[str, float]


def document(
    findings: Findings,
    kept: Mapping[int, Kept],
    wall_s: float,
    interrupted: bool,
    command: str,
) -> SearchDocument:
    """The findings as JSON. States that no trial reached are listed with 0."""
    return {
        "command": command,
        "interrupted": interrupted,
        "trials": findings.trials,
        "mutants": findings.mutants,
        "verdicts": dict(findings.verdicts),
        "failed": findings.failed,
        "failures": [_failure(group, kept) for group in findings.in_order()],
        "doubts": dict(findings.doubts.most_common(DOUBTS_SHOWN)),
        "unended": findings.unended,
        "states": len(findings.corpus.states),
        "sometimes": {name: findings.sometimes[name] for name in STATES},
        "faults": _faults(findings),
        "operations": findings.operations,
        "core_events": findings.core_events,
        "simulated_s": round(findings.simulated_ns / 1e9, 1),
        "wall_s": round(wall_s, 2),
        "trials_per_minute": round(60 * findings.trials / wall_s, 1) if wall_s > 0 else None,
        "cpu_s": {"simulate": round(findings.simulate_s, 2), "check": round(findings.check_s, 2)},
    }


def _faults(findings: Findings) -> dict[str, dict[str, int]]:
    """Return by kind how many faults took effect, were masked, did nothing and were refused."""
    kinds = sorted({kind for kind, _ in findings.faults})
    return {kind: {outcome: findings.faults[kind, outcome] for outcome in FAULT_OUTCOMES} for kind in kinds}


def _failure(group: Group, kept: Mapping[int, Kept]) -> FailureRow:
    trial, folder = group.first, kept.get(group.first.seed)
    plan = Plan.from_json(trial.plan)
    return {
        "checker": group.signature.checker,
        "kind": group.signature.kind,
        "trials": group.count,
        "first_seed": trial.seed,
        "mutant": trial.mutant,
        "faults": len(plan.intents),
        "operations": trial.operations,
        "load_s": plan.timing.load_ns / 1e9,
        "explanation": group.explanation,
        "run": str(folder.run_dir) if folder else None,
        "same_again": folder.same if folder else None,
        "repeat": folder.repeat if folder else None,
    }


def described_options(wanted: Search) -> list[str]:
    """Return the campaign's own options, from which the search starts, a line each."""
    campaign = wanted.campaign
    drawn = (
        "parameters, node, load and faults drawn by each seed" if wanted.swarm else "parameters and faults as written"
    )
    loads = ", ".join(
        f"{name} {spec.rate:g}/s by {spec.clients} clients" for name, spec in campaign.workload_specs.items()
    )
    faults = ", ".join(item.word() for item in campaign.faults)
    system = {
        name: value
        for name, value in campaign.system.model_dump(mode="json", exclude_defaults=True).items()
        if name != "flaws"
    }
    return [
        f"nodes      {campaign.hosts.nodes}",
        f"system     {campaign.system.name}{''.join(f' · {name} {value}' for name, value in system.items())}",
        f"flaws      {', '.join(campaign.system.flaws) or 'none'}",
        f"duration   {format_ns(campaign.duration)} of {loads}",
        f"faults     {faults or 'none'}",
        f"checkers   {campaign.checkers if isinstance(campaign.checkers, str) else ', '.join(campaign.checkers)}",
        f"search     {drawn}",
    ]
