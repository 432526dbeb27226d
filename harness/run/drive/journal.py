"""The records of both drivers about a run: the runner's invocations, their completions, and the actions of the nemesis.

One journal, one order. It counts operations, for progress and for the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tribulation.checkers.base.acknowledged import EFFECT
from tribulation.histories import NEMESIS, EventSink

from ...systems.base import Outcome
from ..live.early import Early
from ..live.pulse import Pulse
from .causes import Causes
from .runner import Invocation


class Journal:
    """Record of a run's events, in one order. `pulse` counts operations for a live view; `causes` explain those that are fail or info. `effects`: see
    `Plan.effects`. `hint` is given early findings, as they come.
    """

    def __init__(
        self,
        recorder: EventSink,
        effects: Mapping[tuple[str, str], str] | None = None,
        hint: Callable[[str], None] | None = None,
    ) -> None:
        self._recorder = recorder
        self._effects = {of: {EFFECT: effect} for of, effect in (effects or {}).items()}
        self.pulse = Pulse()
        self.causes = Causes()
        self.early = None if hint is None else Early(hint)

    def invoked(self, now_ns: int, invocation: Invocation) -> None:
        op = invocation.op
        self.pulse.invoked(now_ns, invocation.process)
        if self.early is not None:
            self.early.invoked(now_ns, invocation.process, op)
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
        """Record a completion. `traceback` is that of a client's error."""
        op = invocation.op
        value = op.value if outcome.value is None and op.f != "read" else outcome.value
        self.pulse.completed(now_ns, invocation.process, invocation.slot.node, outcome.type, outcome.extra)
        self.causes.add(outcome, traceback)
        if self.early is not None:
            self.early.completed(now_ns, invocation.process, invocation.slot.node, op, outcome)
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
        if self.early is not None:
            self.early.nemesis(now_ns, what, value)
        self._recorder.record(now_ns, NEMESIS, "info", what, dict(value))
