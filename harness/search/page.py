"""Findings of a search as one HTML page: failures by signature with their rates, their runs and the commands that repeat them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tribulation.histories.files.opening import write_named, write_whole

from ..evidence.writing import writing
from ..report import kinds, render_page


@dataclass(frozen=True, slots=True)
class Failure:
    """`page` is the report of its first run, from the page's folder; `commands` repeat and shrink it."""

    meaning: str
    signature: str
    rate: str
    percent: float
    explanation: str
    seed: int
    mutant: bool
    size: str
    page: str
    commands: Sequence[str]


@dataclass(frozen=True, slots=True)
class Page:
    title: str
    verdict: str
    headline: str
    notes: Sequence[str]
    facts: Sequence[tuple[str, str]]
    command: str
    failures: Sequence[Failure]
    reached: Sequence[tuple[str, int]]


def write_page(path: Path, title: str, document: Mapping[str, Any]) -> Path:
    """Write the page of this document (`tri search --json`). Raises `RunFolderError` when it cannot be written."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        text = render_page("search.html.j2", search=page(path.parent, title, document))
        (write_named if path.exists() and not path.is_file() else write_whole)(path, text)
    return path


def page(folder: Path, title: str, document: Mapping[str, Any]) -> Page:
    trials, failures = document["trials"], document["failures"]
    notes = [f"Unknown in {number} trials: {doubt}" for doubt, number in document["doubts"].items()]
    if document["unended"]:
        notes.append(f"No end in time: seeds {', '.join(map(str, document['unended']))}")
    if document["interrupted"]:
        notes.append("The search was interrupted: this is what it had found until then.")
    counts = [f"{number} {name}" for name, number in document["verdicts"].items() if number]
    return Page(
        title=title,
        verdict="invalid" if failures else "valid" if document["verdicts"].get("valid") and not notes else "unknown",
        headline=f"{document['failed']} of {trials} trials failed, in {len(failures)} ways."
        if failures
        else f"Nothing failed in {trials} trials.",
        notes=notes,
        facts=[
            ("trials", f"{trials} ({', '.join(counts) or 'none'})"),
            ("operations", f"{document['operations']:,}"),
            ("virtual time", f"{document['simulated_s']:g} s"),
            ("took", f"{document['wall_s']:g} s, {document['trials_per_minute']} trials a minute"),
            ("states of the cluster", str(document["states"])),
        ],
        command=document["command"],
        failures=[_failure(folder, one, trials) for one in failures],
        reached=sorted(document["sometimes"].items(), key=lambda item: (item[1], item[0])),
    )


def _failure(folder: Path, one: Mapping[str, Any], trials: int) -> Failure:
    percent = 100 * one["trials"] / max(1, trials)
    report = Path(one["run"]) / "report.html" if one["run"] else None
    return Failure(
        meaning=kinds.meaning(one["kind"]),
        signature=f"{one['checker']}/{one['kind']}",
        rate=f"{one['trials']} of {trials} trials ({percent:.3g} %)",
        percent=round(percent, 1),
        explanation=one["explanation"],
        seed=one["first_seed"],
        mutant=one["mutant"],
        size=f"{one['faults']} faults, {one['operations']} operations, {one['load_s']:g} s of load",
        page=os.path.relpath(report, folder) if report is not None and report.is_file() else "",
        commands=[one["repeat"], f"tri shrink {one['run']}"] if one["repeat"] else [],
    )
