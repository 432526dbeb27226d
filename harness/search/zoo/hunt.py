"""The zoo's hunt: each flaw in simulated runs, and the correct node in the very same plans.

A flaw with a campaign of its own (`campaigns/flaws`) is hunted there, any other in what a search draws around `campaigns/hunt.yaml`. A line of the state is one
trial; a recorded trial is not made again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tribulation.node.flaws.switch import FLAWS

from ...campaign.load import load_campaign
from ...campaign.packaged import FOLDER
from ...errors import CampaignError
from ...failures.pool import LocalWorkers, in_order
from ...failures.trial import PROMISES
from ..trial import Task, run_trial

SEEDS = 20
CAMPAIGNS = FOLDER / "flaws"
HUNT = FOLDER / "hunt.yaml"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One seed of a flaw's plans; `flawed`: with the flaw."""

    flaw: str
    seed: int
    flawed: bool

    def task(self) -> Task:
        flaw = FLAWS[self.flaw]
        path = CAMPAIGNS / f"{self.flaw}.yaml" if flaw.campaign else HUNT
        campaign = load_campaign(path, hosts="sim")
        flaws = {"flaws": [self.flaw] if self.flawed else []}
        campaign = campaign.model_copy(update={"system": campaign.system.model_copy(update=flaws)})
        settings = {} if flaw.campaign else flaw.settings
        return Task(campaign, self.seed, flaw.searched or not flaw.campaign, path.parent, settings=settings)


@dataclass(frozen=True, slots=True)
class Shown:
    """The result of one trial. `objections` are `checker/kind`."""

    flaw: str
    seed: int
    flawed: bool
    verdict: str
    objections: tuple[str, ...]

    @property
    def as_expected(self) -> bool:
        """Whether the expected checker objected. Promises that are watched during the run (`PROMISES`) count for raft-safety, whose rules they are."""
        checker = FLAWS[self.flaw].checker
        speak = {checker, PROMISES} if checker == "raft-safety" else {checker}
        return any(objection.partition("/")[0] in speak for objection in self.objections)


def attempt(wanted: Wanted) -> Shown:
    trial = run_trial(wanted.task())
    objections = tuple(dict.fromkeys(f"{signature.checker}/{signature.kind}" for signature in trial.signatures))
    return Shown(wanted.flaw, wanted.seed, wanted.flawed, trial.verdict, objections)


def lost(wanted: Wanted) -> Shown:
    return Shown(wanted.flaw, wanted.seed, wanted.flawed, "crashed", ("worker/died",))


@dataclass(slots=True)
class State:
    """The trials so far; `path` None keeps them in memory."""

    path: Path | None = None
    shown: list[Shown] = field(default_factory=list)

    def add(self, shown: Shown) -> None:
        """Add it, and write it to disk before anything else begins."""
        self.shown.append(shown)
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(shown)) + "\n")
                file.flush()
                os.fsync(file.fileno())

    def missing(self, names: Iterable[str], seed: int, until_found: bool) -> Iterator[Wanted]:
        """Yield the trials of a seed that were not made. `until_found`: none of a flaw that its checker caught at an earlier seed."""
        made = {(shown.flaw, shown.seed, shown.flawed) for shown in self.shown}
        caught = {shown.flaw for shown in self.shown if shown.flawed and shown.as_expected and shown.seed < seed}
        for name in names:
            for flawed in (True, False):
                if (name, seed, flawed) not in made and not (until_found and name in caught):
                    yield Wanted(name, seed, flawed)


def open_state(path: Path | None) -> State:
    """The state in the file, or a new one. A torn last line, as a killed process leaves it, is removed. Raises `CampaignError` for any other invalid line."""
    state = State(path)
    if path is None:
        return state
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    whole, end, torn = path.read_text(encoding="utf-8").rpartition("\n")
    if torn:
        path.write_text(whole + end, encoding="utf-8")
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            shown = Shown(**json.loads(line))
        except (ValueError, TypeError) as error:
            raise CampaignError(f"{path}:{number}: not a trial of the zoo: {error}", hint="remove the line") from error
        state.shown.append(Shown(shown.flaw, shown.seed, shown.flawed, shown.verdict, tuple(shown.objections)))
    return state


def hunt(state: State, names: Sequence[str], seeds: int, jobs: int, until_found: bool, notify: Say) -> None:
    """Make the trials of seeds 1 to `seeds` that the state lacks, seed by seed."""
    with LocalWorkers(jobs) as workers:
        for seed in range(1, seeds + 1):
            todo = list(state.missing(names, seed, until_found))
            for done, shown in enumerate(in_order(workers, attempt, todo, 4 * jobs, lost), 1):
                state.add(shown)
                who = shown.flaw if shown.flawed else f"correct node in the plans of {shown.flaw}"
                text = ", ".join(shown.objections) or shown.verdict
                notify(f"seed {seed}: {done} of {len(todo)}: {who}: {text}")
