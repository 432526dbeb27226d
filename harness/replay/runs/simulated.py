"""Runs a simulated run again from its plan: the same digest, or the first step and the first lines at which the two differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tribulation.checkers import Budget
from tribulation.node.core.interface.effects import Effect
from tribulation.node.core.interface.events import Event
from tribulation.node.core_source import fingerprint

from ...campaign.simulable import require_simulable
from ...evidence.documents import DocumentError, read_document
from ...failures.folder import checker_timeout_s, read_plan, read_record
from ...run.outcome.run_folder import RunFacts, read_facts
from ...run.outcome.verdict import Judgement, judge_record
from ...run.plan.plan import Plan
from ...run.simulated import DIGESTS_FILE, Simulated, simulate
from ...run.sources import simulator_fingerprint
from ...simulator.cluster.cluster import SimCluster
from ...simulator.cluster.digest import MARK_EVERY, RunDigest
from ..compare.differences import LineDifference, run_differences


@dataclass(frozen=True, slots=True)
class Window:
    """The two runs differ after step `after` and no later than step `until`; `span` names the replay's first and last step of that range, as text."""

    after: int
    until: int
    span: str


@dataclass(frozen=True, slots=True)
class SimulatedReplay:
    """`recorded` and `digest` are the digests of the two runs; `recorded` is None if the run has none. `cores` are the fingerprints of the cores, and `simulators` those
    of the rest.

    `differences` are those of history and traces, earliest first. `unsteady`: a second replay differed from the first one, at this step.
    """

    facts: RunFacts
    done: Simulated
    judgement: Judgement
    recorded: str | None
    digest: str
    cores: tuple[str | None, str]
    simulators: tuple[str | None, str]
    differences: Sequence[LineDifference]
    window: Window | None = None
    unsteady: str | None = None

    @property
    def equal(self) -> bool:
        return not self.differences and self.recorded in (None, self.digest)

    @property
    def same_sources(self) -> bool:
        return self.cores[0] == self.cores[1] and self.simulators[0] == self.simulators[1]

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": "simulated",
            "equal": self.equal,
            "digest": {"recorded": self.recorded, "replayed": self.digest},
            "core": {"recorded": self.cores[0], "replayed": self.cores[1]},
            "simulator": {"recorded": self.simulators[0], "replayed": self.simulators[1]},
            "steps": self.done.cluster.digest.steps,
            "verdict": self.judgement.document["verdict"],
            "differences": [difference.to_json() for difference in self.differences],
            "window": None if self.window is None else [self.window.after, self.window.until],
            "unsteady": self.unsteady,
        }


def replay_simulated(run_dir: Path) -> SimulatedReplay:
    """Run the folder's plan again and compare the result with everything in the folder."""
    plan = read_plan(run_dir)
    require_simulable(plan.options["system"], str(run_dir))
    facts = read_facts(run_dir)
    done = simulate(plan, facts.command)
    recorded = facts.options.get("digest")
    differences = run_differences(read_record(run_dir), done.record)
    window, unsteady = None, None
    if recorded not in (None, done.digest):
        window, unsteady = _where(plan, run_dir, done)
    judgement = judge_record(done.record, done.facts, Budget(time_s=checker_timeout_s(run_dir)), f"replay of {run_dir}")
    return SimulatedReplay(
        facts=facts,
        done=done,
        judgement=judgement,
        recorded=recorded,
        digest=done.digest,
        cores=(facts.options.get("core"), fingerprint()),
        simulators=(facts.options.get("simulator"), simulator_fingerprint()),
        differences=differences,
        window=window,
        unsteady=unsteady,
    )


def _where(plan: Plan, run_dir: Path, done: Simulated) -> tuple[Window | None, str | None]:
    """The place of the difference. Two replays are compared first: if they differ from each other, other differences mean nothing."""
    steps = _Steps()
    again = simulate(plan, watch=steps.watch)
    if again.digest != done.digest:
        other = _Steps()
        simulate(plan, watch=other.watch)
        return None, first_unequal(steps.texts, other.texts) or "no step: faults, traces or the order of lines differ"
    recorded = _recorded_marks(run_dir)
    if recorded is None:
        return None, None
    marks = again.cluster.digest.marks
    equal = 0
    while equal < min(len(marks), len(recorded)) and marks[equal] == recorded[equal]:
        equal += 1
    after = equal * MARK_EVERY
    within = steps.texts[after : after + MARK_EVERY]
    span = f"{within[0]}  …  {within[-1]}" if within else "the replay has no such step"
    return Window(after, after + MARK_EVERY, span), None


def _recorded_marks(run_dir: Path) -> list[str] | None:
    path = run_dir / DIGESTS_FILE
    try:
        document = read_document(path)
    except (FileNotFoundError, DocumentError):
        return None
    marks = document.get("marks")
    return marks if isinstance(marks, list) and document.get("every") == MARK_EVERY else None


def first_unequal(one: Sequence[str], other: Sequence[str]) -> str | None:
    """The first step that differs between two runs of one plan, with both forms."""
    for number, (a, b) in enumerate(zip(one, other, strict=False), start=1):
        if a != b:
            return f"step {number}: {a} | {b}"
    if len(one) != len(other):
        return f"step {min(len(one), len(other)) + 1}: only one of them has it"
    return None


class _Steps:
    """Every step of a run as a line of text. `watch` is for `simulate`."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def watch(self, cluster: SimCluster) -> None:
        cluster.digest = _ToldDigest(self.texts, full=cluster.options.digest_full)


class _ToldDigest(RunDigest):
    def __init__(self, texts: list[str], *, full: bool) -> None:
        super().__init__(full=full)
        self._texts = texts

    def step(self, now_ns: int, node: str, events: Sequence[Event], effects: Sequence[Effect]) -> None:
        super().step(now_ns, node, events, effects)
        names = " ".join(type(event).__name__ for event in events)
        self._texts.append(f"{node} at {now_ns / 1e9:.9f} s of virtual time: {names} → {len(effects)} effects")
