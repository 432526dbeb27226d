"""Reads the evidence in a run's folder as far as it exists, and names what is missing.

| state of `run.json` | required evidence |
|---|---|
| sealed | every file of the seal, as it was |
| open | the run did not reach its end: the history up to some moment; traces were not collected |
| none | written by a version without seals: whole lines, and a ledger where the plan has faults |

A gap never raises: the rest may still hold an anomaly. An unreadable trace or history of a run is a gap too. Only an invalid history in a folder
without a state raises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from tribulation.checkers.base.result import Fault, Gap
from tribulation.checkers.faults.kinds import touched
from tribulation.checkers.faults.masked import masked
from tribulation.histories import History, HistoryError, read_history
from tribulation.histories.files.store import read_trace

from ..nemesis.faults.ledger import faults_of, readable_lines
from ..nemesis.faults.power_models import model_seen
from .documents import read_document, typed
from .nemesis_events import malformed
from .seal import HISTORY_FILE, LEDGER_FILE, Files, broken_seals

OPEN, SEALED = "open", "sealed"
TRACE = "trace"


@dataclass(slots=True)
class Evidence:
    """`gaps` grow while the rest is read."""

    history: History = field(default_factory=lambda: History(()))
    traces: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    faults: Sequence[Fault] = ()
    gaps: list[Gap] = field(default_factory=list)

    def lacks(self, part: str) -> bool:
        return any(gap.part == part for gap in self.gaps)


@dataclass(frozen=True, slots=True)
class Expected:
    """The content of the folder according to `run.json` and `plan.json`. `traced` are the nodes that write traces; `ended`: the load ended normally."""

    state: str = ""
    files: Files = field(default_factory=dict)
    traced: Sequence[str] = ()
    faults_planned: bool = False
    ended: bool = True
    known: Sequence[Gap] = ()
    """Gaps that the run itself reported."""


def read_evidence(run_dir: Path, expected: Expected, *, refuse: bool = False) -> Evidence:
    """Read the evidence. Raises `HistoryError` for an invalid history in a folder without a state; with `refuse`, for every invalid history or trace."""
    is_sealed = expected.state == SEALED or expected.files
    evidence = Evidence(gaps=[*expected.known, *(broken_seals(run_dir, expected.files) if is_sealed else ())])
    if expected.state not in ("", SEALED):
        evidence.gaps.append(
            Gap("run", "run.json", "the run did not reach its end, so that nothing vouches for its files")
        )
    _read_history(evidence, run_dir / HISTORY_FILE, expected, refuse)
    _read_ledger(evidence, run_dir / LEDGER_FILE, expected)
    _read_traces(evidence, run_dir, expected, refuse)
    return evidence


def _read_history(evidence: Evidence, path: Path, expected: Expected, refuse: bool) -> None:
    if expected.state and not path.exists():
        if not evidence.lacks("history"):
            evidence.gaps.append(Gap("history", HISTORY_FILE, "is missing", tail=True))
        return
    try:
        evidence.history = read_history(path, of_run=True)
    except HistoryError as error:
        if refuse or not (expected.state or evidence.lacks("history")):
            raise
        evidence.gaps.append(
            Gap("history", HISTORY_FILE, f"cannot be read: {error.message.splitlines()[0]}", changed=True)
        )
        return
    wrong = malformed(evidence.history)
    if wrong is not None:
        evidence.gaps.append(Gap("history", HISTORY_FILE, wrong, changed=True))
    if evidence.lacks("history"):
        return
    if evidence.history.torn is not None:
        evidence.gaps.append(Gap("history", HISTORY_FILE, "its last line is cut", tail=True))
    elif expected.state == OPEN and not expected.ended:
        evidence.gaps.append(Gap("history", HISTORY_FILE, "ends where the run was broken off", tail=True))


def _read_ledger(evidence: Evidence, path: Path, expected: Expected) -> None:
    if not path.exists():
        if expected.faults_planned and not evidence.lacks("ledger"):
            evidence.gaps.append(Gap("ledger", LEDGER_FILE, "is missing, and the plan has faults"))
        return
    evidence.faults, unread = read_faults(path)
    if not evidence.faults and expected.faults_planned and not expected.state:
        unread = unread or "has no fault, and the plan has some"
    if unread is not None and not evidence.lacks("ledger"):
        evidence.gaps.append(Gap("ledger", LEDGER_FILE, unread))


def read_faults(path: Path) -> tuple[Sequence[Fault], str | None]:
    """The faults of a ledger up to the first invalid line, and what is wrong there; none at all where one does not have the form of its kind."""
    wrong: str | None = None
    try:
        lines, wrong = readable_lines(path)
        faults = [typed(asdict(fault), Fault) for fault in faults_of(lines)]
        look_at(faults)
    except (KeyError, TypeError, ValueError, AttributeError, OSError, HistoryError) as error:
        return (), wrong or f"a line lacks what belongs to it: {error}"
    return faults, wrong


def _read_traces(evidence: Evidence, run_dir: Path, expected: Expected, refuse: bool) -> None:
    traces: dict[str, Sequence[Mapping[str, Any]]] = {}
    for path in sorted((run_dir / TRACE).glob("*.jsonl")):
        name = f"{TRACE}/{path.name}"
        try:
            traces[path.stem] = read_trace(path)
        except HistoryError as error:
            if refuse:
                raise
            evidence.gaps.append(Gap("trace", name, f"cannot be read: {error.message.splitlines()[0]}"))
    evidence.traces = traces
    named = {gap.name for gap in evidence.gaps if gap.part == "trace"}
    for node in expected.traced:
        name = f"{TRACE}/{node}.jsonl"
        if not traces.get(node) and name not in named:
            evidence.gaps.append(Gap("trace", name, f"node {node} left no trace"))


class _Intended(TypedDict, total=False):
    """The fields of a resolved fault, or of a still symbolic one, that the judgement of a run reads."""

    edges: list[tuple[str, str]]
    nodes: list[str] | str
    node: list[str] | str
    core: list[str]
    offsets_ns: dict[str, int | float]
    drift_ppm: dict[str, int | float]
    strobe_ns: dict[str, int | float]
    voters: dict[str, int]
    effect: str
    action: str


class _Observed(TypedDict, total=False):
    edges: list[tuple[str, str]] | dict[str, Any] | None
    unaffected: dict[str, list[str]] | None


def look_at(faults: Sequence[Fault]) -> None:
    """Read all faults. Raises where the intended or observed part of a fault does not have the form of its kind: the judgement of the run reads all
    of them.
    """
    for fault in faults:
        typed(fault.intended, _Intended)
        typed(fault.observed or {}, _Observed)
    masked(faults)
    for fault in faults:
        if not all(isinstance(vertex, str) for vertex in touched(fault)):
            raise TypeError(f"fault {fault.id} names something that is not a node")
        model_seen(fault.kind, fault.intended, fault.observed)
        frozenset(fault.intended.get("nodes") or ())


def has_faults(plan_file: Path) -> bool:
    """Return whether that plan has faults; False if it cannot be read."""
    try:
        plan = read_document(plan_file)
        return bool(plan.get("intents") or (plan.get("liveness") or {}).get("intents"))
    except (OSError, ValueError, AttributeError):
        return False
