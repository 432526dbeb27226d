"""One trial: a plan is run in the simulator and checked. Search, shrinking and replay use the same trials.

    tried = attempt(plan)                    # by every checker of the run
    tried = attempt(plan, wanted)            # by the checker of that failure
    tried.failures                           # {} when nothing is wrong

Raft's promises are checked while it runs, unless a fault damages stored data: a broken promise that no checker reports is a failure too.
The result includes every error: an exception of the node, the simulator or a checker is a failure with a signature of its own.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tribulation.checkers import Budget, CheckResult, Verdict, check
from tribulation.checkers.registry import CHECKERS

from ..foreign import contained
from ..nemesis.faults.disk_effects import AT_REST, OLD_FILES
from ..nemesis.faults.fault import Intent
from ..run.outcome.verdict import judge_record
from ..run.plan.plan import Plan
from ..run.simulated import Simulated, simulate
from ..simulator.cluster.cluster import SimCluster
from ..simulator.coverage.promises import Promises
from ..simulator.errors import SimulationError
from .signature import Signature, signatures

CHECK_TIME_S = 20.0
"""The default limit of CPU time for a check: among many trials, one that takes longer is not worth it."""
CRASH = "crash"
"""The shape of signatures of exceptions."""
FAILED = "the checker failed: "
PROMISES = "promises"
"""The name in place of a checker in the signature of a broken promise."""
_DAMAGES = frozenset({*AT_REST, OLD_FILES, "torn-write", "lying"})


@dataclass(frozen=True, slots=True)
class Tried:
    """The result of a trial. `done` is None, and `error` set, when an exception ended it. `failures` are explained in a sentence each. Times are CPU
    time.
    """

    plan: Plan
    done: Simulated | None = None
    results: Mapping[str, CheckResult] = field(default_factory=dict)
    error: Exception | None = None
    broken: str | None = None
    simulate_s: float = 0.0
    check_s: float = 0.0

    @property
    def failures(self) -> dict[Signature, str]:
        if self.error is not None:
            return {crash_signature(self.error): explain_crash(self.error)}
        if self.done is None:
            return {}
        found = signatures(self.results, self.done.record.history)
        explained = {one: _explanation(one, self.results) for one in found} | broken_checkers(self.results)
        if explained or self.broken is None:
            return explained
        return {Signature(PROMISES, self.broken.partition(":")[0], "traces"): self.broken}

    def alike(self, wanted: Signature) -> Signature | None:
        """The wanted failure, if it occurred."""
        return next((one for one in self.failures if wanted.same_failure(one)), None)


def attempt(
    plan: Plan,
    wanted: Signature | None = None,
    check_s: float = CHECK_TIME_S,
    watch: Callable[[SimCluster], None] = lambda cluster: None,
) -> Tried:
    """Carry out a plan and judge it. Never raises for an effect of the plan."""
    promises = Promises()

    def watched(cluster: SimCluster) -> None:
        watch(cluster)
        if not any(_damages(intent) for intent in plan.intents):
            promises.attach(cluster)

    began_s = time.thread_time()
    try:
        done = simulate(plan, watch=watched)
        simulated_s = time.thread_time()
        results = _judged(done, wanted, Budget(time_s=check_s, cpu=True))
    except Exception as error:
        return Tried(plan, error=error, simulate_s=time.thread_time() - began_s)
    check_s, simulate_s = time.thread_time() - simulated_s, simulated_s - began_s
    return Tried(plan, done, results, broken=promises.broken, simulate_s=simulate_s, check_s=check_s)


def _damages(intent: Intent) -> bool:
    """Return whether a fault may remove synced data from a disk."""
    return intent.kind in ("wipe", "membership") or intent.parameters.get("effect") in _DAMAGES


@contained()
def _judged(done: Simulated, wanted: Signature | None, budget: Budget) -> Mapping[str, CheckResult]:
    if wanted is None:
        return judge_record(done.record, done.facts, budget, f"seed {done.plan.seed}").results
    # A crash of the node or of the simulator is no checker's.
    return check(done.record, [wanted.checker], budget) if wanted.checker in CHECKERS else {}


def _explanation(signature: Signature, results: Mapping[str, CheckResult]) -> str:
    anomalies = results[signature.checker].anomalies
    return next(anomaly.explanation for anomaly in anomalies if anomaly.kind == signature.kind)


def broken_checkers(results: Mapping[str, CheckResult]) -> dict[Signature, str]:
    """Checkers that raised (`checkers.check` reports them as unknown): a bug in Tribulation, which must not be hidden among doubts."""
    reasons = {name: result.reason or "" for name, result in results.items() if result.verdict is Verdict.UNKNOWN}
    return {
        Signature(name, reason.removeprefix(FAILED).partition(":")[0] + " in the checker", CRASH): reason
        for name, reason in reasons.items()
        if reason.startswith(FAILED)
    }


def crash_signature(error: BaseException) -> Signature:
    """A crash as a signature: the part, the exception and the place, such as `node/AssertionError in invariants._check_roles`. Crashes at one place
    are one failure.
    """
    root = _root(error)
    frames = traceback.extract_tb(root.__traceback__)
    place = f" in {Path(frames[-1].filename).stem}.{frames[-1].name}" if frames else ""
    who = "node" if isinstance(error, SimulationError) and error.__cause__ is not None else "simulator"
    return Signature(who, type(root).__name__ + place, CRASH)


def explain_crash(error: BaseException) -> str:
    """The error's message, and the line that raised it."""
    frames = traceback.extract_tb(_root(error).__traceback__)
    line = f" ({frames[-1].line})" if frames and frames[-1].line else ""
    return f"{getattr(error, 'message', str(error))}{line}"


def _root(error: BaseException) -> BaseException:
    """The exception that was raised first."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error
