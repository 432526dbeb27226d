"""Checker `failure-detector`: how fast crashes are suspected, and how often and how long live nodes are, with the ledger's faults as ground truth.

Trace lines `suspect` and `trust` (field `target`) are an observer's changes of opinion about a member; it trusts at first. A suspicion that nothing
refutes ends in `failed`. Figures are those of Chen, Toueg and Aguilera (IEEE Transactions on Computers, May 2002): detection time, mistake recurrence
and mistake duration, and what follows from them. It judges only against bounds that the campaign gives: `max_detection_s`, `max_mistakes_per_hour`,
`max_mistake_s`. In a simulated run the detectors' own configuration gives bounds too (`detector_promises`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from ...base.conclusion import all_of, conclude, quantiles_ms, sentence
from ...base.findings import Findings
from ...base.options import bound, settings_of
from ...base.result import Budget, CheckResult, RunRecord
from ...base.selection import NOTHING
from ...base.wording import seconds
from ...faults.kinds import stopped
from ...traces.columns import events, of
from ...traces.traces import Line, Traces, excerpt, read_traces
from ..liveness_bounds import FOREVER_NS, Outage, outages
from .detector_promises import Promises, promises

SUSPECT, TRUST, FAILED = "suspect", "trust", "failed"
_HOUR_NS = 3600 * 10**9


class FailureDetectorChecker:
    name = "failure-detector"
    operations = NOTHING
    options = (
        bound("max_detection_s", None, "the longest time from a crash to the suspicion that lasts"),
        bound("max_mistakes_per_hour", None, "suspicions of nodes that were up, per node"),
        bound("max_mistake_s", None, "how long one such suspicion may last"),
    )

    def applies(self, record: RunRecord) -> bool:
        """Return whether a detector traced anything, or had to: in a simulated run the configuration shows whether there are detectors."""
        spoke = not events(record.traces).isdisjoint((SUSPECT, TRUST))
        return spoke or (bool(record.truth.get("detection_ns")) and any(map(stopped, record.faults)))

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        traces = read_traces(record)
        options = settings_of(record, self)
        findings = Findings()
        end_ns = max(record.history.duration_ns, record.phases.get("end", 0))
        gone = outages(record)
        quality = Quality(end_ns)
        for observer, opinions in _opinions(traces).items():
            own = [outage for outage in gone if outage.node == observer]
            for target in sorted((set(record.nodes) | opinions.keys()) - {observer}):
                theirs = [outage for outage in gone if outage.node == target]
                quality.weigh(observer, target, opinions.get(target, []), own, theirs)
        _judge(quality, options, findings)
        promised = promises(record, traces)
        if promised is not None:
            _by_configuration(quality, promised, options, findings)
            _conclusions(quality, _opinions(traces, FAILED), promised, findings)
        doubts = list(traces.problems)
        unplaced = [node for node in traces.incarnations if not traces.clocks.knows(node)]
        if unplaced:
            doubts.append(
                f"the clock of {', '.join(unplaced)} was not measured, so that what it suspected cannot be timed"
            )
        if not quality.alive_ns:
            doubts.append("no suspicion can be compared with the faults")
        return conclude(self.name, findings, quality.stats(), all_of(doubts))


@dataclass(frozen=True, slots=True)
class Opinion:
    """Change of opinion: from `at_ns` (run time, in the middle of what the clocks allow) the observer suspects its target, or trusts it."""

    at_ns: int
    suspects: bool
    line: Line


def _opinions(traces: Traces, against: str = SUSPECT) -> dict[str, dict[str, list[Opinion]]]:
    """Return by observer and target the changes of opinion, in order. Event `against` begins a suspicion. After a boot an observer trusts every node
    again.
    """
    found: dict[str, dict[str, list[Opinion]]] = {}
    for incarnation in traces:
        if not traces.clocks.knows(incarnation.node):
            continue
        mine = found.setdefault(incarnation.node, {})
        for opinions in mine.values():
            if opinions and opinions[-1].suspects:
                opinions.append(Opinion(_at_ns(traces, incarnation.lines[0]), False, incarnation.lines[0]))
        for line in of(incarnation.lines, (against, TRUST)):
            opinions = mine.setdefault(line["target"], [])
            suspects = line["event"] == against
            if suspects != (bool(opinions) and opinions[-1].suspects):
                opinions.append(Opinion(_at_ns(traces, line), suspects, line))
    return found


def _at_ns(traces: Traces, line: Line) -> int:
    placed = traces.place(line)
    return (placed.low_ns + placed.high_ns) // 2


@dataclass(slots=True)
class Quality:
    """Sums over all pairs of observer and target. `mistakes` are suspicions that began while the target was certainly up."""

    end_ns: int
    alive_ns: int = 0
    suspected_ns: int = 0
    crashes: int = 0
    detections_ns: list[int] = field(default_factory=list)
    recurrences_ns: list[int] = field(default_factory=list)
    durations_ns: list[int] = field(default_factory=list)
    good_ns: list[int] = field(default_factory=list)
    mistakes: list[tuple[str, str, Opinion]] = field(default_factory=list)
    slow: list[tuple[str, Outage, int | None, Line | None]] = field(default_factory=list)
    lasting: list[tuple[str, str, Opinion]] = field(default_factory=list)
    """Suspicions that lasted to the end, by observer and target."""

    def weigh(
        self, observer: str, target: str, opinions: Sequence[Opinion], own: Sequence[Outage], theirs: Sequence[Outage]
    ) -> None:
        doubtful = [outage for outage in theirs if not outage.certain]
        if opinions and opinions[-1].suspects and all(outage.back_ns < self.end_ns for outage in (*own, *theirs)):
            self.lasting.append((observer, target, opinions[-1]))
        for outage in theirs:
            if outage.certain and not any(_meet(outage, other) for other in (*own, *doubtful)):
                self._crash(observer, outage, opinions)
        self.alive_ns += max(0, self.end_ns - _covered_ns([*theirs, *own], self.end_ns))
        wrong: list[tuple[int, int]] = []
        for opinion, until_ns in _suspicions(opinions, self.end_ns):
            if any(o.begin_ns <= opinion.at_ns < o.back_ns for o in theirs):
                continue
            # A mistake ends when the target's death makes it true.
            ends_ns = min([until_ns, *(o.begin_ns for o in theirs if o.begin_ns > opinion.at_ns)])
            wrong.append((opinion.at_ns, ends_ns))
            self.mistakes.append((observer, target, opinion))
        self.durations_ns += [end - start for start, end in wrong]
        self.suspected_ns += sum(end - start for start, end in wrong)
        for (start, end), (following, _) in pairwise(wrong):
            self.recurrences_ns.append(following - start)
            self.good_ns.append(following - end)

    def _crash(self, observer: str, outage: Outage, opinions: Sequence[Opinion]) -> None:
        """Add a detection time: from the crash to the start of the suspicion that lasts until the target is back (or to the end)."""
        until_ns = min(outage.end_ns, self.end_ns)
        if until_ns <= outage.start_ns:
            return
        self.crashes += 1
        before = [opinion for opinion in opinions if opinion.at_ns < until_ns]
        if not before or not before[-1].suspects:
            self.slow.append((observer, outage, None, None))
            return
        took_ns = max(0, before[-1].at_ns - outage.start_ns)
        self.detections_ns.append(took_ns)
        self.slow.append((observer, outage, took_ns, before[-1].line))

    def stats(self) -> dict[str, Any]:
        per_hour = len(self.mistakes) * _HOUR_NS / self.alive_ns if self.alive_ns else 0.0
        accuracy = 1 - self.suspected_ns / self.alive_ns if self.alive_ns else None
        return {
            "crashes": self.crashes,
            "detected": len(self.detections_ns),
            "detection_ms": quantiles_ms(self.detections_ns),
            "mistakes": len(self.mistakes),
            "mistakes_per_node_hour": round(per_hour, 3),
            "mistake_recurrence_ms": quantiles_ms(self.recurrences_ns),
            "mistake_duration_ms": quantiles_ms(self.durations_ns),
            "good_period_ms": quantiles_ms(self.good_ns),
            "query_accuracy": None if accuracy is None else round(accuracy, 6),
        }


def _meet(one: Outage, other: Outage) -> bool:
    return one.begin_ns < other.back_ns and other.begin_ns < one.back_ns


def _covered_ns(outages: Sequence[Outage], end_ns: int) -> int:
    """Return for how long at least one of them was active, including the uncertain time around it."""
    covered_ns = reached_ns = 0
    for outage in sorted(outages, key=lambda outage: outage.begin_ns):
        until_ns = min(outage.back_ns, end_ns)
        covered_ns += max(0, until_ns - max(outage.begin_ns, reached_ns))
        reached_ns = max(reached_ns, until_ns)
    return covered_ns


def _suspicions(opinions: Sequence[Opinion], end_ns: int) -> list[tuple[Opinion, int]]:
    """Return each suspicion with its end. Changes of opinion alternate."""
    ends = [opinion.at_ns for opinion in opinions[1:]] + [end_ns]
    return [(opinion, end) for opinion, end in zip(opinions, ends, strict=False) if opinion.suspects]


def _judge(quality: Quality, options: Mapping[str, Any], findings: Findings) -> None:
    limit_s = options["max_detection_s"]
    if limit_s is not None:
        for observer, outage, took_ns, line in quality.slow:
            _detection(observer, outage, took_ns, line, float(limit_s), quality.end_ns, findings)
    most = options["max_mistakes_per_hour"]
    if most is not None and quality.alive_ns:
        per_hour = len(quality.mistakes) * _HOUR_NS / quality.alive_ns
        if per_hour > float(most):
            observer, target, opinion = quality.mistakes[0]
            text = (
                f"{len(quality.mistakes)} suspicions of members that were up, {per_hour:.3g} per node and hour (allowed: {float(most):g}); "
                f"the first one is {observer}'s of {target} at {seconds(opinion.at_ns)}"
            )
            findings.add(
                "too-many-mistakes", sentence(text), details={"per_hour": per_hour, "traces": [excerpt(opinion.line)]}
            )
    longest_s = options["max_mistake_s"]
    if longest_s is not None:
        for (observer, target, opinion), lasted_ns in zip(quality.mistakes, quality.durations_ns, strict=True):
            if lasted_ns > float(longest_s) * 1e9:
                text = (
                    f"{observer} suspected {target}, which was up, from {seconds(opinion.at_ns)} for {seconds(lasted_ns)} "
                    f"(allowed: {float(longest_s):g} s)"
                )
                findings.add("lasting-mistake", sentence(text), details={"traces": [excerpt(opinion.line)]})


def _by_configuration(quality: Quality, promised: Promises, options: Mapping[str, Any], findings: Findings) -> None:
    if options["max_detection_s"] is None:
        for observer, outage, took_ns, line in quality.slow:
            limit_ns = promised.detection_ns(observer, outage)
            if limit_ns is not None:
                _detection(observer, outage, took_ns, line, limit_ns / 1e9, quality.end_ns, findings)
    for observer, target, opinion in quality.lasting:
        since_ns = promised.lasting_since_ns(observer, target, opinion.at_ns, quality.end_ns)
        if since_ns is not None:
            text = (
                f"{observer} still suspected {target}, which was up, {seconds(quality.end_ns - since_ns)} after everything was healed "
                f"(allowed: {promised.truth.detection_ns / 1e9:g} s)"
            )
            findings.add("lasting-mistake", sentence(text), details={"traces": [excerpt(opinion.line)]})


def _conclusions(
    quality: Quality, counted: Mapping[str, Mapping[str, Sequence[Opinion]]], promised: Promises, findings: Findings
) -> None:
    """Judge that a crash that was suspected counts as failed in the end."""
    for observer, outage, took_ns, line in quality.slow:
        limit_ns = promised.failed_ns(observer, outage)
        lasted_ns = min(outage.end_ns, quality.end_ns) - outage.start_ns
        if took_ns is None or line is None or limit_ns is None or lasted_ns <= limit_ns:
            continue
        by_then = [o for o in counted[observer].get(outage.node, ()) if o.at_ns <= outage.start_ns + limit_ns]
        if not by_then or not by_then[-1].suspects:
            text = (
                f"{observer} suspected {outage.node}, which was down from {seconds(outage.start_ns)} for {lasted_ns / 1e9:.3f} s, "
                f"but did not count it as failed in time (allowed: {limit_ns / 1e9:g} s)"
            )
            findings.add(
                "crash-not-concluded",
                sentence(text),
                details={"observer": observer, "fault": outage.fault, "traces": [excerpt(line)]},
            )


def _detection(
    observer: str,
    outage: Outage,
    took_ns: int | None,
    line: Line | None,
    limit_s: float,
    end_ns: int,
    findings: Findings,
) -> None:
    lasted_ns = min(outage.end_ns, end_ns) - outage.start_ns
    details: dict[str, Any] = {
        "observer": observer,
        "fault": outage.fault,
        "traces": [] if line is None else [excerpt(line)],
    }
    lasting = "to the end" if outage.end_ns == FOREVER_NS else f"for {lasted_ns / 1e9:.3f} s"
    if took_ns is None:
        if lasted_ns > limit_s * 1e9:
            text = f"{observer} did not suspect {outage.node}, which was down from {seconds(outage.start_ns)} {lasting} (allowed: {limit_s:g} s)"
            findings.add("crash-not-detected", sentence(text), details={**details, "lasted_ms": lasted_ns / 1e6})
    elif took_ns > limit_s * 1e9:
        text = (
            f"{observer} suspected {outage.node} for good only {took_ns / 1e9:.3f} s after it went down at {seconds(outage.start_ns)} "
            f"(allowed: {limit_s:g} s)"
        )
        findings.add("slow-detection", sentence(text), details={**details, "detection_ms": took_ns / 1e6})
