"""The anomalies of a run for a reader: one finding for each kind of each checker, causes before their consequences. Pure.

One cause often makes hundreds of anomalies. The first witness of a kind stands for it, a few more can be opened, and the rest is counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tribulation.checkers.soundness.severity import rank
from tribulation.checkers.traces.traces import Clocks

from .kinds import meaning
from .pictures.spacetime import window_ns
from .story import Surroundings
from .witness import Operations, Witness, drawn_of, witness

MOST_WITNESSES = 3
"""Shown of each kind."""
MOST_MOMENTS = 400
"""Moments of one node."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`count` anomalies of one kind by one checker; `witnesses` are the first ones."""

    checker: str
    kind: str
    meaning: str
    count: int
    witnesses: Sequence[Witness]


def findings(verdict: Mapping[str, Any], operations: Operations, around: Surroundings, clocks: Clocks) -> list[Finding]:
    found = []
    for name, kind, anomalies in groups(verdict):
        shown = [witness(name, anomaly, operations, around, clocks) for anomaly in anomalies[:MOST_WITNESSES]]
        found.append(Finding(name, kind, meaning(kind), len(anomalies), shown))
    return found


def moments(verdict: Mapping[str, Any], operations: Operations) -> dict[str, list[int]]:
    """The times of operations in the shown witnesses, by node, around which trace lines are shown."""
    found: dict[str, list[int]] = {}
    for _, _, anomalies in groups(verdict):
        for index in [int(index) for anomaly in anomalies[:MOST_WITNESSES] for index in anomaly.get("ops") or ()]:
            at = operations.place(index)
            if at is None:
                continue
            op = operations.all[at]
            for node in {op.node, op.extra.get("served_by")}:
                if isinstance(node, str):
                    found.setdefault(node, []).extend([op.invoke_ns, op.complete_ns or op.invoke_ns])
    return {node: sorted(set(its))[:MOST_MOMENTS] for node, its in found.items()}


def drawn_spans_ns(verdict: Mapping[str, Any], operations: Operations) -> list[tuple[int, int]]:
    """Return the spans of time of which a space-time diagram is drawn."""
    found: dict[tuple[int, int], None] = {}
    for _, _, anomalies in groups(verdict):
        for anomaly in anomalies[:MOST_WITNESSES]:
            places = sorted(
                {at for index in anomaly.get("ops") or () if (at := operations.place(int(index))) is not None}
            )
            found |= {window_ns(op): None for op in drawn_of([operations.all[at] for at in places])}
    return list(found)


def groups(verdict: Mapping[str, Any]) -> list[tuple[str, str, list[Mapping[str, Any]]]]:
    """Return checker, kind, and its anomalies sorted by rank; the groups are in the order of their first anomalies' ranks."""
    by_kind: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for name, result in (verdict.get("checkers") or {}).items():
        for anomaly in result.get("anomalies") or ():
            by_kind.setdefault((name, str(anomaly.get("kind", "anomaly"))), []).append(anomaly)
    ranked = [(name, kind, sorted(anomalies, key=_rank)) for (name, kind), anomalies in by_kind.items()]
    return sorted(ranked, key=lambda group: (_rank(group[2][0]), group[0]))


def _rank(anomaly: Mapping[str, Any]) -> tuple[int, bool, int]:
    return rank(str(anomaly.get("kind")), [int(index) for index in anomaly.get("ops") or ()])
