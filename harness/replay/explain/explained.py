"""Explanation of a failing simulated run by other runs: the nearest plan that passes, where the two runs differ, and since when it was likely to
fail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tribulation.checkers import Budget
from tribulation.histories import NEMESIS
from tribulation.histories.model.operation import Operation

from ...campaign.simulable import require_simulable
from ...errors import CampaignError
from ...failures.allowance import Allowance
from ...failures.folder import checker_timeout_s, is_simulated, read_plan
from ...failures.signature import Signature, signatures
from ...progress import Notify
from ...run.outcome.verdict import Judgement, judge_record
from ...run.plan.plan import Plan
from ...run.simulated import Simulated, simulate
from ...shrink.folder import choose
from ...shrink.trial import first_seen
from ..compare.differences import LineDifference, content_differences
from ..compare.distance import Distance, distance, outcomes, slots_of
from ..runs.tries import cut_short
from .neighbours import Fate, Neighbour, fate, nearest_passing
from .onset import Onset, find_onset

SHOWN_ANSWERS = 6
NEIGHBOURS_SHARE = 0.5
"""The part of the time after which the search for a neighbour ends, if there is a curve as well."""


@dataclass(frozen=True, slots=True)
class Asked:
    """`tries` bounds the search for a neighbour; `salts` and `points` are those of the curve, fewer than 3 points for none. `time_s` bounds everything."""

    failure: str | None = None
    tries: int = 200
    salts: int = 20
    points: int = 9
    time_s: float | None = None
    jobs: int = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """One operation with another answer in the passing run; None if it was not tried there."""

    failing: Operation
    passing: Operation | None


@dataclass(frozen=True, slots=True)
class Explained:
    """`seen_ns` is when the failure was complete, in run time; `explanation` is its checker's. `differences` are those of failing and passing run,
    without times.
    """

    wanted: Signature
    explanation: str
    seen_ns: int
    neighbour: Neighbour
    differences: Sequence[LineDifference]
    answers: Sequence[Answer]
    apart: Distance | None
    onset: Onset | None

    def to_json(self) -> dict[str, Any]:
        neighbour = self.neighbour
        return {
            "signature": {"checker": self.wanted.checker, "kind": self.wanted.kind},
            "seen_ns": self.seen_ns,
            "nearest_passing": None if neighbour.change is None else neighbour.change.what,
            "tried": neighbour.tried,
            "cut": neighbour.cut,
            "differences": [difference.to_json() for difference in self.differences],
            "answered_otherwise": None if self.apart is None else [self.apart.edits, self.apart.operations],
            "onset": None if self.onset is None else self.onset.to_json(),
        }


def explain(run_dir: Path, asked: Asked, notify: Notify) -> Explained:
    """Explain a run. Raises `CampaignError` if it is not a simulated run, or does not fail, and `SpentError` if the time ends before it failed again."""
    plan = read_plan(run_dir)
    require_simulable(plan.options["system"], str(run_dir))
    if not is_simulated(plan):
        raise CampaignError(
            f"{run_dir} ran on hosts, where a run cannot be repeated exactly",
            hint=f"`tri replay {run_dir} --tier c` finds a simulated run that fails in the same way; explain that run",
        )
    notify("simulate", str(run_dir))
    allowance = Allowance(time_s=asked.time_s)
    with allowance.one_run():
        whole = simulate(plan)
        judgement = judge_record(whole.record, whole.facts, Budget(time_s=checker_timeout_s(run_dir)), str(run_dir))
        wanted, explanation, seen_ns = _failure(run_dir, judgement, whole, asked)
        done = _cut(whole, wanted, seen_ns)
    notify("neighbours", f"at most {asked.tries} plans similar to one with {len(done.plan.intents)} faults")
    allowance.share = NEIGHBOURS_SHARE if asked.points >= 3 else 1.0
    neighbour = nearest_passing(done.plan, wanted, seen_ns, asked.tries, allowance)
    allowance.share = 1.0
    differences: Sequence[LineDifference] = ()
    answers: Sequence[Answer] = ()
    apart = None
    if neighbour.done is not None:
        differences = content_differences(done.record, neighbour.done.record)
        answers, apart = _answers(done, neighbour.done)
    onset = None
    if asked.points >= 3:
        onset = find_onset(done, wanted, seen_ns, asked.salts, asked.points, asked.jobs, allowance, notify)
    return Explained(wanted, explanation, seen_ns, neighbour, differences, answers, apart, onset)


def _failure(run_dir: Path, judgement: Judgement, whole: Simulated, asked: Asked) -> tuple[Signature, str, int]:
    found = signatures(judgement.results, judgement.record.history)
    if not found:
        raise CampaignError(
            f"{run_dir} does not fail ({judgement.verdict.value}): there is nothing to explain",
            hint="`tri list runs` shows verdicts",
        )
    wanted = choose(found, asked.failure, str(run_dir))
    result = judgement.results[wanted.checker]
    seen = first_seen(wanted, result, whole.record)
    alike = [anomaly for anomaly in result.anomalies if anomaly.kind == wanted.kind]
    first = next((anomaly for anomaly in alike if anomaly.ops == seen.ops), alike[0])
    load_end_ns = whole.facts.phases.get("load_end", whole.plan.timing.load_ns)
    return wanted, first.explanation, load_end_ns if seen.at_ns is None else min(seen.at_ns, load_end_ns)


def _cut(whole: Simulated, wanted: Signature, seen_ns: int) -> Simulated:
    """The failing run with its operations pinned, so that neighbours try the same ones, and shortened to the failure if it still fails."""
    pinned: Plan = replace(whole.plan, pinned=list(whole.issued))
    done, became = fate(cut_short(pinned, seen_ns), wanted)
    if done is not None and became is Fate.ALIKE:
        return done
    return simulate(pinned)


def _answers(done: Simulated, passing: Simulated) -> tuple[list[Answer], Distance]:
    """The first operations with other outcomes, in order of invocation."""
    ours, theirs = _by_slot(done), _by_slot(passing)
    found: list[Answer] = []
    for slot, ops in ours.items():
        others = theirs.get(slot, [])
        for number, op in enumerate(ops):
            other = others[number] if number < len(others) else None
            if other is None or (op.type, op.result, op.argument) != (other.type, other.result, other.argument):
                found.append(Answer(op, other))
    found.sort(key=lambda answer: answer.failing.invoke_ns)
    until_ns = done.plan.timing.load_ns
    apart = distance(
        outcomes(done.record, slots_of(done.plan, done.record), until_ns),
        outcomes(passing.record, slots_of(passing.plan, passing.record), until_ns),
    )
    return found[:SHOWN_ANSWERS], apart


def _by_slot(done: Simulated) -> Mapping[int, list[Operation]]:
    slots = slots_of(done.plan, done.record)
    found: dict[int, list[Operation]] = {}
    for op in done.record.history.operations():
        if op.process != NEMESIS:
            found.setdefault(slots[op.process], []).append(op)
    return found
