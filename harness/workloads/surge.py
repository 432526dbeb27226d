"""Bursts: operations that come denser at the end of each period."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..systems.base import Op, Outcome
from .generators import Context, Emit, Generator, drawn, gap_of

SHARES = 1_000_000
"""Parts of an operation, in which times between operations are counted."""


@dataclass(frozen=True)
class Surge(Generator):
    """Generator like `Stagger`, but denser in bursts: windows of `burst_ns` at the end of each period, in which an operation takes only as much time as
    `burst_mean_ns` says.

    The time between two operations is drawn in shares of an operation, which pass faster in a burst: none is so long that it leaps over one.
    """

    mean_ns: int
    burst_mean_ns: int
    every_ns: int
    burst_ns: int
    inner: Generator
    due_ns: int | None = None
    steady: bool = False

    def next(self, context: Context) -> tuple[Emit | None, Generator]:
        emit, inner = drawn(self.inner, context)
        if emit is None:
            return None, replace(self, inner=inner)
        start_ns = context.now_ns if self.due_ns is None else self.due_ns
        share = gap_of(context, 2 * SHARES, left=self.steady and self.due_ns is None)
        due_ns = self._after(start_ns, share)
        return Emit(emit.op, max(due_ns, emit.at_ns)), replace(self, inner=inner, due_ns=due_ns)

    def update(self, op: Op, outcome: Outcome) -> Generator:
        inner = self.inner.update(op, outcome)
        return self if inner is self.inner else replace(self, inner=inner)

    def _after(self, at_ns: int, share: int) -> int:
        """Return the time at which `share` of an operation has passed since `at_ns`."""
        while True:
            into_ns = at_ns % self.every_ns
            calm_ns = self.every_ns - self.burst_ns
            bursting = into_ns >= calm_ns
            mean_ns = self.burst_mean_ns if bursting else self.mean_ns
            left_ns = (self.every_ns if bursting else calm_ns) - into_ns
            needed_ns = -(-share * mean_ns // SHARES)
            if needed_ns <= left_ns:
                return at_ns + needed_ns
            at_ns += left_ns
            share -= left_ns * SHARES // mean_ns


def surge(
    mean_ns: int, burst_mean_ns: int, every_ns: int, burst_ns: int, inner: Generator, steady: bool = False
) -> Generator:
    return Surge(mean_ns, burst_mean_ns, every_ns, burst_ns, inner, steady=steady)
