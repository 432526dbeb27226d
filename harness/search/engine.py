"""The search: it runs trial after trial, groups failures by signature, and mutates plans that reached something new.

    found = Findings()
    with LocalWorkers(4) as workers:
        for trial in search(workers, Search(campaign, seeds=range(1000)), found):
            ...

The plans depend only on the campaign and the seeds, not on the number or speed of workers. Every fourth seed draws a
mutant (`mutate`) instead of its own plan. Its parents are plans of trials at least `corpus.AGE` before it in order. No more trials
than that are ever outstanding, so their results are known by then with any number of workers; later ones are ignored even when they are known.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..campaign.model import Campaign
from ..failures.pool import Workers, in_order
from ..failures.signature import Signature
from .corpus import AGE, Corpus
from .trial import Task, Trial, lost_trial, run_trial

MUTANT_EVERY = 4
OUTSTANDING = 4
"""Trials per worker that are under way or waiting, at most."""


_NUMBER = re.compile(r"\b\d[\d.]*")


@dataclass(frozen=True, slots=True)
class Search:
    """Parameters of a search. `seeds` may be endless. After `time_s` of CPU time in each process no further trial begins, so that a busy machine
    finds no less. `until_found`: none begins once one has failed. Without `swarm` nothing is drawn or mutated; with `orders` the order of steps is
    drawn in addition.
    """

    campaign: Campaign
    seeds: Iterable[int]
    swarm: bool = True
    directory: Path = Path()
    time_s: float | None = None
    until_found: bool = False
    orders: bool = False


@dataclass(slots=True)
class Group:
    """Trials with the same failure signature. `first` is the first of them in the order of the seeds."""

    signature: Signature
    first: Trial
    explanation: str
    count: int = 0


@dataclass(slots=True)
class Findings:
    """The results so far, trial by trial in order. Times are CPU time."""

    trials: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    groups: dict[tuple[str, str], Group] = field(default_factory=dict)
    doubts: Counter[str] = field(default_factory=Counter)
    """Number of trials by reason for doubt; numbers in reasons are left out."""
    sometimes: Counter[str] = field(default_factory=Counter)
    """Number of trials in which each interesting state was reached."""
    faults: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Number of faults by kind and outcome (`trial.FAULT_OUTCOMES`)."""
    corpus: Corpus = field(default_factory=Corpus)
    core_events: int = 0
    operations: int = 0
    simulated_ns: int = 0
    simulate_s: float = 0.0
    check_s: float = 0.0
    failed: int = 0
    mutants: int = 0
    unended: list[int] = field(default_factory=list)
    """Seeds of trials that did not end in time."""

    def add(self, trial: Trial) -> None:
        self.corpus.add(self.trials, trial)
        self.trials += 1
        self.verdicts[trial.verdict] += 1
        self.failed += trial.failed
        self.mutants += trial.mutant
        for kind, (signature, explanation) in _failures(trial).items():
            self.groups.setdefault(kind, Group(signature, trial, explanation)).count += 1
        self.doubts.update({_NUMBER.sub("N", doubt) for doubt in trial.doubts} if trial.verdict == "unknown" else ())
        for name, count in trial.sometimes.items():
            self.sometimes[name] += count > 0
        self.faults.update(trial.faults)
        self.core_events += trial.core_events
        self.operations += trial.operations
        self.simulated_ns += trial.simulated_ns
        self.simulate_s += trial.simulate_s
        self.check_s += trial.check_s
        if trial.verdict == "unknown" and not trial.digest:
            self.unended.append(trial.seed)

    @property
    def cpu_s(self) -> float:
        """CPU time of all trials together."""
        return self.simulate_s + self.check_s

    def in_order(self) -> list[Group]:
        """The failures, the most frequent first."""
        return sorted(self.groups.values(), key=lambda group: (-group.count, group.signature))


def search(workers: Workers, wanted: Search, findings: Findings) -> Iterator[Trial]:
    """Every trial in order, after it was added to `findings`."""
    window = min(AGE, OUTSTANDING * workers.size)
    for trial in in_order(workers, run_trial, _tasks(wanted, findings, workers.size), window, lost_trial):
        findings.add(trial)
        yield trial


def _tasks(wanted: Search, findings: Findings, processes: int) -> Iterator[Task]:
    for place, seed in enumerate(wanted.seeds):
        if wanted.time_s is not None and findings.cpu_s >= wanted.time_s * processes:
            return
        if wanted.until_found and findings.failed:
            return
        parents = []
        if wanted.swarm and place % MUTANT_EVERY == MUTANT_EVERY - 1:
            parents = findings.corpus.parents(seed, place)
        yield Task(wanted.campaign, seed, wanted.swarm, wanted.directory, tuple(parents), orders=wanted.orders)


def _failures(trial: Trial) -> dict[tuple[str, str], tuple[Signature, str]]:
    """The trial's failures by checker and kind; one with several shapes counts once."""
    found: dict[tuple[str, str], tuple[Signature, str]] = {}
    for signature, explanation in zip(trial.signatures, trial.explanations, strict=True):
        found.setdefault((signature.checker, signature.kind), (signature, explanation))
    return found
