"""Collection of anomalies, with only a few of each kind: a broken run shows the same fault a thousand times, and a person needs it once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .result import Anomaly

KEEP_PER_KIND = 5
KEEP_OBJECTS = 1000
"""Objects of which each may have an anomaly of its own in a result: those beyond are counted, and have none."""


class Findings:
    """Anomalies in the order found. At most `KEEP_PER_KIND` of a kind are kept; all are counted."""

    __slots__ = ("counts", "kept")

    def __init__(self) -> None:
        self.kept: list[Anomaly] = []
        self.counts: dict[str, int] = {}

    def add(
        self, kind: str, explanation: str, *, ops: Sequence[int] = (), details: Mapping[str, Any] | None = None
    ) -> None:
        seen = self.counts.get(kind, 0)
        self.counts[kind] = seen + 1
        if seen < KEEP_PER_KIND:
            self.kept.append(Anomaly(kind, tuple(ops), explanation, details or {}))

    def extend(self, others: Findings) -> None:
        """Add another collection's findings to this one."""
        for anomaly in others.kept:
            if sum(own.kind == anomaly.kind for own in self.kept) < KEEP_PER_KIND:
                self.kept.append(anomaly)
        for kind, count in others.counts.items():
            self.counts[kind] = self.counts.get(kind, 0) + count

    def wants(self, kind: str) -> bool:
        """Return whether another one of `kind` would be kept, for callers whose witness is costly to collect."""
        return self.counts.get(kind, 0) < KEEP_PER_KIND

    def count(self, kind: str) -> None:
        """Count one of `kind` without keeping it."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
