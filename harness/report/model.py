"""The content of the report, as plain values: `build(run files) → Report`. Pure; it knows nothing of HTML.

Tables hold finished text, `charts` the numbers for the page's script.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tribulation.checkers.base.result import Fault
from tribulation.histories import Operation, Type

from . import words
from .charts import charts
from .costs import MOST_FAULTS, CostRow, cost_rows
from .findings import Finding, findings
from .load import RunFiles
from .nodes.exits import unexpected_starts
from .nodes.reading import Said
from .nodes.states import spans
from .pictures.outline import Entry, outline
from .story import Surroundings
from .witness import Operations

_LONGEST_REASON = 140
"""Characters in the headline; the table of checkers has all of it."""


@dataclass(frozen=True, slots=True)
class FaultRow:
    """`differs`: what was observed is not what was intended."""

    id: str
    kind: str
    intended: str
    observed: str
    verified: bool
    start_s: str
    took_inject: str
    lasted: str
    took_heal: str
    differs: bool


@dataclass(frozen=True, slots=True)
class CheckerRow:
    """`stats` are the figures that fit into a line; `folded` are the others."""

    name: str
    verdict: str
    anomalies: int
    reason: str
    stats: Sequence[Entry]
    folded: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class LoadRow:
    """Operations of one workload and `f`: counts by outcome, latency of the ok ones."""

    workload: str
    f: str
    ok: int
    info: int
    fail: int
    p50: str
    p99: str
    longest: str
    errors: str


@dataclass(frozen=True, slots=True)
class Shrinking:
    """Shrinking of a larger run to this one: `story` is (time, event), `sizes` one row each for before and after under `columns`."""

    story: Sequence[Sequence[str]]
    more: int
    columns: Sequence[str]
    sizes: Sequence[tuple[str, Sequence[str]]]
    summary: str


@dataclass(frozen=True, slots=True)
class Report:
    title: str
    verdict: str
    headline: str
    expected: str
    facts: Sequence[tuple[str, str]]
    command: str
    notes: Sequence[str]
    shrinking: Shrinking | None
    findings: Sequence[Finding]
    faults: Sequence[FaultRow]
    costs: Sequence[CostRow]
    costs_hidden: int
    checkers: Sequence[CheckerRow]
    load: Sequence[LoadRow]
    campaign_yaml: str
    has_messages: bool
    charts: Mapping[str, Any]


def build(run: RunFiles, operations: Operations | None = None, said: Said | None = None) -> Report:
    """Build the model of the report; `operations` are those of the run's history, if the caller already has them; `said` is what the nodes wrote."""
    operations, said = operations or Operations(run.history), said or Said()
    end_ns = max(1, _end_ns(run))
    lines = [*said.lines, *unexpected_starts(said.lines, run.faults)]
    said = replace(said, lines=sorted(lines, key=lambda line: (line.at_ns is None, line.at_ns or 0)))
    states = spans(said.lines, run.faults, end_ns)
    found = findings(
        run.verdict, operations, Surroundings(run.faults, said.lines, states, said.messages, said.nodes), said.clocks
    )
    proof = frozenset(row.index for one in found for witness in one.witnesses for row in witness.rows if row.in_witness)
    drawn, left_out = charts(run, said, states, operations.all, proof, end_ns)
    campaign = str(run.verdict.get("campaign") or run.folder.parent.name)
    return Report(
        title=f"{campaign} · {run.folder.name}",
        verdict=str(run.verdict.get("verdict", "unknown")),
        headline=_headline(run, found),
        expected=_expected(run.verdict.get("expected")),
        facts=_facts(run, operations.all),
        command=str(run.verdict.get("command") or ""),
        notes=[
            *run.notes,
            *words.power_notes(run.verdict.get("power_model")),
            *_skipped(run),
            *map(str, run.verdict.get("errors") or ()),
            *map(str, run.verdict.get("doubts") or ()),
            *said.notes,
            *left_out,
        ],
        shrinking=_shrinking(run.shrink),
        findings=found,
        faults=[_fault_row(fault) for fault in run.faults],
        costs=cost_rows(operations.all, run.faults, run.regions, _load_ns(run)),
        costs_hidden=max(0, len(run.faults) - MOST_FAULTS),
        checkers=[_checker_row(name, result) for name, result in _checkers(run)],
        load=_load(operations.all),
        campaign_yaml=run.campaign_yaml,
        has_messages=bool(said.messages),
        charts=drawn,
    )


def _skipped(run: RunFiles) -> list[str]:
    """Faults that could not be composed."""
    return [
        f"Skipped: {one.get('sort') or one.get('fault')}: {one.get('why')}" for one in run.verdict.get("skipped") or ()
    ]


def _checkers(run: RunFiles) -> list[tuple[str, Mapping[str, Any]]]:
    """Checkers that found an anomaly first, then those in doubt, then the rest by name."""
    rank = {"invalid": 0, "unknown": 1}
    found = run.verdict.get("checkers") or {}
    return sorted(found.items(), key=lambda item: (rank.get(str(item[1].get("verdict")), 2), item[0]))


def _headline(run: RunFiles, found: Sequence[Finding]) -> str:
    if found:
        return found[0].meaning
    doubts = [
        f"{name}: {words.shortened(str(result.get('reason') or 'no reason given'), _LONGEST_REASON)}"
        for name, result in _checkers(run)
        if result.get("verdict") == "unknown"
    ]
    if doubts:
        return "; ".join(doubts)
    if not run.verdict.get("checkers"):
        return "Nothing was checked."
    if run.verdict.get("verdict") == "unknown":
        if run.verdict.get("bugs"):
            return "A part of Tribulation failed; see harness-errors.txt."
        if run.verdict.get("errors"):
            return "A part of the run failed; see below."
        return _in_doubt(list(map(str, run.verdict.get("doubts") or ())))
    return f"No anomaly: {len(_checkers(run))} checkers found no violation."


def _in_doubt(doubts: Sequence[str]) -> str:
    if not doubts:
        return "In doubt, for a reason that the verdict does not name."
    more = f" (and {len(doubts) - 1} more; see below)" if len(doubts) > 1 else ""
    return f"In doubt: {words.shortened(doubts[0], _LONGEST_REASON)}{more}."


def _expected(expected: Any) -> str:
    if expected is None:
        return ""
    return "as the campaign expects" if expected else "not what the campaign expects"


def _shrinking(recorded: Mapping[str, Any] | None) -> Shrinking | None:
    if recorded is None:
        return None
    without = f"did not fail in {recorded['repeat']} runs" if "repeat" in recorded else "does not fail"
    minimal = f"Without any one of its faults or operations it {without}." if recorded["one_minimal"] else ""
    seconds = words.duration(recorded["seconds"] * 1e9)
    return Shrinking(
        story=recorded["story"],
        more=recorded["more"],
        columns=list(recorded["before"]),
        sizes=[
            (name, [f"{value:,g}".replace(",", "\u202f") for value in recorded[name].values()])
            for name in ("before", "after")
        ],
        summary=f"Shrunk from {recorded['source']} in {recorded['runs']} runs and {seconds}. {minimal} {_stability(recorded['stability'])}{_rate(recorded.get('rate'))}",
    )


def _rate(rate: Mapping[str, Any] | None) -> str:
    if rate is None:
        return ""
    return f"It fails in {rate['count']} of {rate['runs']} runs (95% interval {rate['low']:.0%} to {rate['high']:.0%})."


def _stability(stable: Mapping[str, Any] | None) -> str:
    if stable is None:
        return ""
    again, near, seeds = (
        f"{hits} of {tries}" for hits, tries in (stable[n] for n in ("repeats", "neighbours", "seeds"))
    )
    flaw = {None: "", True: " It fails without the flaw as well.", False: " It does not fail without the flaw."}
    return (
        f"It fails {again} times as it is, {near} with one time moved by a millisecond, {seeds} with another seed."
        f"{flaw[stable['without_flaws']]}"
    )


def _facts(run: RunFiles, operations: Sequence[Operation]) -> list[tuple[str, str]]:
    counts = Counter(op.type for op in operations)
    verified = sum(1 for fault in run.faults if fault.verified)
    facts = [
        (
            "operations",
            f"{counts[Type.OK]:,} ok · {counts[Type.INFO]:,} info · {counts[Type.FAIL]:,} fail".replace(",", "\u202f"),
        ),
        ("faults", f"{verified} of {len(run.faults)} verified" if run.faults else "none"),
        ("run time", words.duration(_end_ns(run))),
    ]
    if model := run.verdict.get("power_model"):
        facts.append(("power model", model["model"]))
    facts += [(ability, means) for ability, means in words.means(run.verdict.get("backends") or {}).items()]
    if run.verdict.get("seed") is not None:
        facts.append(("seed", str(run.verdict["seed"])))
    facts.append(("folder", str(run.verdict.get("run") or run.folder.name)))
    return facts


def _end_ns(run: RunFiles) -> int:
    marks = [int(at) for at in (run.verdict.get("phases") or {}).values() if at is not None]
    return max([run.history.duration_ns, *marks, *(fault.healed_ns or 0 for fault in run.faults)])


def _load_ns(run: RunFiles) -> int:
    return int((run.verdict.get("phases") or {}).get("load_end") or _end_ns(run))


def _fault_row(fault: Fault) -> FaultRow:
    def between(start_ns: int | None, end_ns: int | None) -> str:
        return "–" if start_ns is None or end_ns is None else words.duration(end_ns - start_ns)

    intended = words.effect(fault.kind, fault.intended)
    observed = words.effect(fault.kind, fault.observed)
    return FaultRow(
        id=fault.id,
        kind=words.called(fault.kind),
        intended=intended,
        observed=observed,
        verified=fault.verified,
        start_s=f"{fault.start_ns / 1e9:.2f} s",
        took_inject=between(fault.start_ns, fault.injected_ns),
        lasted=between(fault.injected_ns, fault.heal_ns),
        took_heal=between(fault.heal_ns, fault.healed_ns),
        differs=intended != observed,
    )


def _checker_row(name: str, result: Mapping[str, Any]) -> CheckerRow:
    stats = outline(result.get("stats") or {})
    return CheckerRow(
        name=name,
        verdict=str(result.get("verdict", "unknown")),
        anomalies=len(result.get("anomalies") or ()),
        reason=str(result.get("reason") or ""),
        stats=[entry for entry in stats if not entry.inner],
        folded=[entry for entry in stats if entry.inner],
    )


def _load(operations: Sequence[Operation]) -> list[LoadRow]:
    groups: dict[tuple[str, str], list[Operation]] = {}
    for op in operations:
        groups.setdefault((str(op.workload or ""), op.f), []).append(op)
    return [_load_row(workload, f, group) for (workload, f), group in sorted(groups.items())]


def _load_row(workload: str, f: str, group: Sequence[Operation]) -> LoadRow:
    counts = Counter(op.type for op in group)
    took_ns = [op.complete_ns - op.invoke_ns for op in group if op.type is Type.OK and op.complete_ns is not None]
    p50, p99 = np.percentile(took_ns, (50, 99)) if took_ns else (None, None)
    errors = Counter(op.error for op in group if op.error)
    return LoadRow(
        workload=workload,
        f=f,
        ok=counts[Type.OK],
        info=counts[Type.INFO],
        fail=counts[Type.FAIL],
        p50=words.duration(p50),
        p99=words.duration(p99),
        longest=words.duration(max(took_ns, default=None)),
        errors=", ".join(f"{error} × {count}" for error, count in errors.most_common(5)),
    )
