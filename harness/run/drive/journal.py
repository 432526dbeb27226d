"""What both drivers record of a run: the runner's invocations, their completions, and the actions of the nemesis.

One journal, one order. It counts its lines, for progress and for the result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from tribulation.checkers.base.acknowledged import EFFECT
from tribulation.histories import NEMESIS, EventSink

from ...systems.base import Outcome
from .causes import Causes
from .runner import Invocation


class Journal:
    """Wraps the recorder. `counts` are operations by ok, fail and info; `causes` explain those that are fail or info. `effects`: see `Plan.effects`."""

    def __init__(self, recorder: EventSink, effects: Mapping[tuple[str, str], str] | None = None) -> None:
        self._recorder = recorder
        self._effects = {of: {EFFECT: effect} for of, effect in (effects or {}).items()}
        self.counts: Counter[str] = Counter()
        self.causes = Causes()

    def summary(self) -> str:
        return " · ".join(f"{name} {self.counts[name]}" for name in ("ok", "fail", "info"))

    def invoked(self, now_ns: int, invocation: Invocation) -> None:
        op = invocation.op
        self._recorder.record(
            now_ns,
            invocation.process,
            "invoke",
            op.f,
            op.value,
            key=op.key,
            workload=op.workload,
            level=op.level,
            node=invocation.slot.node,
            **self._effects.get((op.workload, op.f), {}),
        )

    def completed(self, now_ns: int, invocation: Invocation, outcome: Outcome, traceback: str = "") -> None:
        """`traceback` is that of a client's error."""
        op = invocation.op
        value = op.value if outcome.value is None and op.f != "read" else outcome.value
        self.counts[outcome.type] += 1
        self.causes.add(outcome, traceback)
        self._recorder.record(
            now_ns,
            invocation.process,
            outcome.type,
            op.f,
            value,
            key=op.key,
            workload=op.workload,
            level=op.level,
            node=invocation.slot.node,
            error=outcome.error,
            **outcome.extra,
        )

    def nemesis(self, now_ns: int, what: str, value: Mapping[str, Any]) -> None:
        """Record a line that is not an operation: a fault that began or ended, a sample of clocks or of reachability."""
        self._recorder.record(now_ns, NEMESIS, "info", what, dict(value))
