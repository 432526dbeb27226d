"""Input and output of a checker.

A checker is a pure function from a `RunRecord` to a `CheckResult`. It returns `INVALID` only with a witness, `VALID` only when it examined something,
and `UNKNOWN` with a reason otherwise: doubt is never rounded up to valid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from tribulation.histories import History


class Verdict(str, Enum):
    VALID = "valid"
    INVALID = "invalid"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One violation. `ops` are history indices of the few operations that prove it; `explanation` is a sentence for a person.

    `kind` is the field's word ("stale-read", "lost-write", "two-leaders"). `signature` with the checker's name identifies the failure across runs
    (kind and shape, no times). `details` carries further JSON values (trace lines, keys, milliseconds).
    """

    kind: str
    ops: tuple[int, ...]
    explanation: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """`reason` is why a verdict is unknown, and how far the checker got. `stats` are figures for the report.

    `certificate`, when the option of that name requests it and the verdict is valid: a legal order of each object's operations, as history indices of
    invocations; objects are named as in `stats`. `tribulation.checkers.verify` verifies it. Omitted operations did not take effect.
    """

    checker: str
    verdict: Verdict
    anomalies: tuple[Anomaly, ...] = ()
    stats: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None
    certificate: Mapping[str, Sequence[int]] | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """Bounds of one check; a checker that reaches one returns `UNKNOWN` with the facts proven so far. `cpu`: processor time is counted, so that a
    busy machine does not change a verdict.
    """

    time_s: float = 60.0
    memory_mb: int = 4096
    cpu: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault as recorded in the ledger. Times are ns since the run began, on the harness's clock.

    `start_ns` .. `injected_ns` is the inject phase and `heal_ns` .. `healed_ns` the heal phase: between `injected_ns` and `heal_ns` the fault was
    certainly active. `intended` and `observed` are JSON values per kind; for `cut`: `{"edges": [[from, to], …]}`, directed. `seen_ns` is when its
    verification ended, successful or not. `undone` is False when its heal was not verified: it may still be active. `drawn`: a search
    drew it at random (see `faults.drawn`).
    """

    id: str
    kind: str
    intended: Mapping[str, Any]
    observed: Mapping[str, Any] | None
    verified: bool
    start_ns: int
    injected_ns: int | None = None
    heal_ns: int | None = None
    healed_ns: int | None = None
    seen_ns: int | None = None
    undone: bool = True
    drawn: bool = False

    @property
    def over_ns(self) -> int | None:
        """Return the time at which the fault was certainly over, because its heal was verified. None: the ledger does not prove that it ended before
        the run did.
        """
        return None if self.heal_ns is None or self.healed_ns is None else max(self.heal_ns, self.healed_ns)


@dataclass(frozen=True, slots=True)
class Gap:
    """Evidence that a run should have left and that is missing, cut, changed or incomplete.

    `part` is "history", "ledger", "trace", "run", "plan", "harness", "log", "input" or "code" (the user's adapter and plugins); `name` is the file below the run folder, or the node or host;
    `why` is one sentence without its subject's path. `tail`: everything written up to some moment is there, and only what came after it is missing.
    `changed`: the content is not the one that was written.
    """

    part: str
    name: str
    why: str
    tail: bool = False
    changed: bool = False

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """Everything that a checker may examine: the clients' history, the nodes' traces, and the faults.

    `traces` maps a node to its trace lines in order. `clock_offsets_ns` maps a node to (its monotonic clock - the run clock, ± error),
    so that a trace's `mono_ns` can be placed on the run's time as an interval; absent when it was not measured. A host that was booted again has no single
    offset: `boot_offsets_ns` maps such a node to that of each of its boots, by the first incarnation in it.
    `voters` are the weights configured at the start. `phases` gives run-time marks in ns: `load_end`, `healed`, `quiet_end`, `end`.
    `reachability` holds directed reachability matrices as probed: `[(time_ns, {(from, to): bool})]`. `final_states` maps a node to
    its `{"index", "digest"}` after the quiet period.
    `options` are those of the campaign (by checker), and what was asked for: `model` (a name of `model_names`), `consistency` (a level),
    `exact` and `certificate` (true when asked for).
    `judged_by` maps a workload to the checkers that its declaration names: `auto` gives its operations to these and to no other that judges operations.
    `truth` is what a simulator knows of its run (`truth.Truth` as JSON values); {} on hosts.
    `is_run`: this is a whole run, with a plan and a ledger, on a system that was under test; False for a bare history. `gaps` name the evidence
    that the run should have left and that is not there as it was written. `attached`: the system was there before the run, and its traces include that time too.
    `auto`: the user named no checkers, so a checker may leave operations to another one that checks them better.
    """

    history: History
    traces: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    faults: Sequence[Fault] = ()
    nodes: Sequence[str] = ()
    voters: Mapping[str, int] = field(default_factory=dict)
    clock_offsets_ns: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    boot_offsets_ns: Mapping[str, Mapping[int, tuple[int, int]]] = field(default_factory=dict)
    phases: Mapping[str, int] = field(default_factory=dict)
    reachability: Sequence[tuple[int, Mapping[tuple[str, str], bool]]] = ()
    final_states: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    truth: Mapping[str, Any] = field(default_factory=dict)
    judged_by: Mapping[str, Sequence[str]] = field(default_factory=dict)
    gaps: Sequence[Gap] = ()
    is_run: bool = False
    attached: bool = False
    auto: bool = False


class Checker(Protocol):
    """`applies` returns whether this record holds what the checker needs (used by `checks: auto`).

    A checker may also have:
    - `in_auto(record) -> bool`: False leaves it out of `auto` where another one finds the same violations;
    - `reads: frozenset[str]`: the parts of a run (see `Gap`) that its answers rest on; {"history"} by default. `gating` uses it;
    - `operations`: the operations that it judges, a set of names or the result of `selection.judges`; without it, those of the workloads whose
      declaration names it (`RunRecord.judged_by`). `unjudged` uses it;
    - `judged(record) -> array of bool`: which rows of the columns it judges, if names do not determine this; `operations` then has only the names;
    - `stands_without(anomaly, part) -> bool`: whether the anomaly is certain although evidence of that part is missing. See `gating` for its default.
    """

    name: str

    def applies(self, record: RunRecord) -> bool: ...

    def check(self, record: RunRecord, budget: Budget) -> CheckResult: ...
