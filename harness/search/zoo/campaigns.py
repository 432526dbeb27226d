"""Flaws of members, agents and tasks, measured: the campaign of each in the simulator, with and without the flaw.

    python -m tribulation.harness.search.zoo.campaigns --seeds 20 --state benchmarks/zoo-campaigns.jsonl --markdown docs/reference/flaws.md

A line of the state is one trial; a recorded trial is not repeated. The campaigns are in `campaigns/flaws`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tribulation.node.flaws.switch import FLAWS, SHOWN

from ...campaign.load import load_campaign
from ...campaign.packaged import FOLDER
from ..trial import Task, run_trial
from .table import replace_between

CAMPAIGNS = FOLDER / "flaws"
BEGIN, END = "<!-- campaigns: begin -->", "<!-- campaigns: end -->"


@dataclass(frozen=True, slots=True)
class Shown:
    """The result of one seed of a flaw's campaign; `flawed`: with the flaw. `objections` are `checker/kind`."""

    flaw: str
    seed: int
    flawed: bool
    verdict: str
    objections: tuple[str, ...]


def attempt(flaw: str, seed: int, flawed: bool) -> Shown:
    campaign = load_campaign(CAMPAIGNS / f"{flaw}.yaml", hosts="sim")
    if not flawed:
        campaign = campaign.model_copy(update={"system": campaign.system.model_copy(update={"flaws": []})})
    trial = run_trial(Task(campaign, seed, swarm=FLAWS[flaw].searched, directory=CAMPAIGNS))
    objections = tuple(dict.fromkeys(f"{signature.checker}/{signature.kind}" for signature in trial.signatures))
    return Shown(flaw, seed, flawed, trial.verdict, objections)


def wanted(known: Iterable[Shown], names: Sequence[str], seeds: int) -> Iterator[tuple[str, int, bool]]:
    """The trials that are missing."""
    made = {(shown.flaw, shown.seed, shown.flawed) for shown in known}
    for seed in range(1, seeds + 1):
        for name in names:
            for flawed in (True, False):
                if (name, seed, flawed) not in made:
                    yield name, seed, flawed


def summary(known: Iterable[Shown], names: Sequence[str]) -> list[Mapping[str, Any]]:
    """One row for each flaw: trials with it and how many its own checker caught; trials without it and how many raised an alarm."""
    known = list(known)
    rows: list[Mapping[str, Any]] = []
    for name in names:
        flawed = [shown for shown in known if shown.flaw == name and shown.flawed]
        correct = [shown for shown in known if shown.flaw == name and not shown.flawed]
        by = Counter(objection for shown in flawed for objection in shown.objections)
        expected = FLAWS[name].checker + "/"
        rows.append(
            {
                "flaw": name,
                "tried": len(flawed),
                "caught": sum(bool(shown.objections) for shown in flawed),
                "as_expected": sum(any(o.startswith(expected) for o in shown.objections) for shown in flawed),
                "by": [objection for objection, _ in by.most_common(3)],
                "correct": len(correct),
                "alarms": sum(bool(shown.objections) for shown in correct),
            }
        )
    return rows


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        "| flaw | seeds | caught | by the checker that should | objections, the most frequent first | correct node: seeds | alarms |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [row["flaw"], row["tried"], row["caught"], row["as_expected"], ", ".join(row["by"])]
        lines.append(f"| {' | '.join(map(str, [*cells, row['correct'], row['alarms']]))} |")
    return "\n".join(lines)


def read_state(path: Path) -> list[Shown]:
    """The recorded trials; a torn last line is left out."""
    if not path.exists():
        return []
    whole = path.read_text(encoding="utf-8").rpartition("\n")[0]
    lines = [json.loads(line) for line in whole.splitlines()]
    return [Shown(**{**line, "objections": tuple(line["objections"])}) for line in lines]


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every flaw was caught and the correct node raised no alarm."""
    parser = argparse.ArgumentParser(prog="python -m tribulation.harness.search.zoo.campaigns")
    parser.add_argument("--flaw", action="append", default=[], choices=SHOWN, help="only this one; may be repeated")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--state", type=Path, default=Path("benchmarks/zoo-campaigns.jsonl"))
    parser.add_argument("--markdown", type=Path, help="write the table between the markers of this file")
    given = parser.parse_args(arguments)
    names = given.flaw or list(SHOWN)
    known = read_state(given.state)
    todo = list(wanted(known, names, given.seeds))
    with (
        given.state.open("a", encoding="utf-8") as state,
        ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool,
    ):
        for done, shown in enumerate(pool.map(attempt, *zip(*todo, strict=True)) if todo else (), 1):
            known.append(shown)
            state.write(json.dumps(asdict(shown)) + "\n")
            state.flush()
            told = ", ".join(shown.objections) or shown.verdict
            print(
                f"{done} of {len(todo)}: {shown.flaw if shown.flawed else 'correct'}, seed {shown.seed}: {told}",
                file=sys.stderr,
            )
    rows = summary(known, list(SHOWN))
    if given.markdown is not None:
        replace_between(given.markdown, markdown(rows), BEGIN, END)
    print(markdown(rows))
    return 0 if all(row["caught"] and not row["alarms"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
