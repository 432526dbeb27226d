"""One try of a plan: whether it still fails in the wanted way, and since when.

Shrinking uses `Trials`: `trials.attempt(plan)` is a `Failure` or None. It answers for a plan that was tried before without running it, and
spends one run of the allowance on any other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tribulation.checkers import Anomaly, CheckResult, RunRecord
from tribulation.histories import NEMESIS

from ..failures.allowance import Allowance
from ..failures.signature import Signature
from ..failures.trial import attempt
from ..run.plan.plan import Plan
from .focus import Clue, moments_of


@dataclass(frozen=True, slots=True)
class Failure:
    """A plan that fails in the wanted way: `hits` of `tries` runs failed alike (1 of 1 in the simulator)."""

    plan: Plan
    signature: Signature
    clue: Clue
    digest: str
    hits: int = 1
    tries: int = 1


class Attempts(Protocol):
    """Tries plans, in the simulator or on hosts."""

    wanted: Signature
    allowance: Allowance

    def attempt(self, plan: Plan) -> Failure | None:
        """Try `plan`. Raises `SpentError` when it is a new one and the allowance is spent."""
        ...


class Trials:
    """Tries plans in the simulator, with only the checker that found the failure."""

    def __init__(self, wanted: Signature, allowance: Allowance) -> None:
        self.wanted = wanted
        self.allowance = allowance
        self._known: dict[str, Failure | None] = {}

    def attempt(self, plan: Plan) -> Failure | None:
        """Try `plan`. Raises `SpentError` when it is a new one and the allowance is spent."""
        name = plan_id(plan)
        if name not in self._known:
            self._known[name] = self.again(plan)
        return self._known[name]

    def again(self, plan: Plan) -> Failure | None:
        """Run a plan as `attempt` does, but always. A run that is not over when the allowance is spent is cut short, and nothing is known of its plan."""
        with self.allowance.one_run():
            return self.run(plan)

    def run(self, plan: Plan) -> Failure | None:
        """Run a plan as `attempt` does, but always, and outside the allowance. A plan that cannot be simulated to its end counts as another failure,
        unless a crash is wanted.
        """
        tried = attempt(plan, self.wanted)
        found = tried.alike(self.wanted)
        if found is None:
            return None
        if tried.done is None:
            return Failure(plan, found, Clue(tuple(plan.pinned or ()), (), None), digest="")
        done, result = tried.done, tried.results.get(found.checker)
        seen = Seen(None, ()) if result is None else first_seen(self.wanted, result, done.record)
        rank, count = _invocations(done.record), len(done.issued)
        witness = tuple(rank[index] for index in seen.ops if rank.get(index, count) < count)
        clue = Clue(tuple(done.issued), witness, seen.at_ns, moments_of(done.record))
        return Failure(plan, found, clue, done.digest)


def plan_id(plan: Plan) -> str:
    """A name for the plan's content; equal plans have equal names."""
    return hashlib.sha256(json.dumps(plan.to_json(), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Seen:
    """Time at which the violation had been seen, and the operations that show it (history indices)."""

    at_ns: int | None
    ops: tuple[int, ...]


def first_seen(wanted: Signature, result: CheckResult, record: RunRecord) -> Seen:
    """The anomaly of the wanted kind that was complete first; one that has no times and no operations counts last."""
    alike = [anomaly for anomaly in result.anomalies if anomaly.kind == wanted.kind]
    ends = _ends(record, {index for anomaly in alike for index in anomaly.ops})
    seen = [Seen(_seen_ns(anomaly, ends, record), anomaly.ops) for anomaly in alike]
    return min(seen, key=lambda one: (one.at_ns is None, one.at_ns or 0, len(one.ops)), default=Seen(None, ()))


def _seen_ns(anomaly: Anomaly, ends: Mapping[int, int], record: RunRecord) -> int | None:
    times = [ends[index] for index in anomaly.ops if index in ends]
    for name in ("trace", "traces"):
        lines = anomaly.details.get(name, ())
        times += [at_ns for line in lines if (at_ns := _trace_ns(line, record)) is not None]
    return max(times, default=None)


def _trace_ns(line: Any, record: RunRecord) -> int | None:
    """A trace line's run time, if its node's clock is known."""
    if not isinstance(line, Mapping) or "mono_ns" not in line or line.get("node") not in record.clock_offsets_ns:
        return None
    offset_ns, error_ns = record.clock_offsets_ns[line["node"]]
    return int(line["mono_ns"]) - offset_ns + error_ns


def _ends(record: RunRecord, wanted: set[int]) -> dict[int, int]:
    """History index of the invocation → when the operation ended, or began if it never ended."""
    return {
        op.invoke_index: op.invoke_ns if op.complete_ns is None else op.complete_ns
        for op in record.history.operations()
        if op.invoke_index in wanted
    }


def _invocations(record: RunRecord) -> dict[int, int]:
    """History index of an invocation → how many were made before it: the load's come first, in the order of `issued`."""
    invoked = (
        event.index for event in record.history.events if event.process != NEMESIS and event.type.value == "invoke"
    )
    return {index: rank for rank, index in enumerate(invoked)}
