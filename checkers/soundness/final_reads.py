"""Checker `final-reads`: did the system come back?

After the heal and the quiet period each workload reads all that it touched. An object without an ok final read makes the verdict unknown: its final
state was not seen, and a system that never answers again breaks no promise of the other checkers. A refusal is not an answer. The checker is for runs
only; a bare history has no heal.

The form of a workload's final reads follows from what its clients tried then: per key, or of the workload as a whole.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tribulation.histories import Operation, Type, canonical
from tribulation.histories.model.operation import FOUND_NOTHING

from ..base.result import Budget, CheckResult, RunRecord, Verdict
from ..base.wording import seconds, show
from ..faults.windows import run_end_ns

MOST_NAMED = 5


class FinalReadsChecker:
    name = "final-reads"

    def applies(self, record: RunRecord) -> bool:
        return record.is_run

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        ops = record.history.operations()
        last_ok_ns = _last_ok_ns(ops)
        stats: dict[str, Any] = {
            "last_ok_ms": None if not last_ok_ns else round(max(last_ok_ns.values()) / 1e6, 3),
            "last_ok_ms_by_node": {node: _ms(last_ok_ns.get(node)) for node in _nodes(record, last_ok_ns)},
        }
        quiet_ns = record.phases.get("quiet_end")
        if quiet_ns is None or not ops:
            reason = "no operation was recorded" if not ops else "the run ended before its final reads"
            return CheckResult(self.name, Verdict.UNKNOWN, (), stats, reason)
        finals = _finals(ops, quiet_ns)
        stats["objects"] = sum(len(final.touched) for final in finals.values())
        stats["not_read"] = sum(len(final.unread) for final in finals.values())
        doubts = [doubt for name, final in finals.items() for doubt in final.doubts(name)]
        if not doubts:
            return CheckResult(self.name, Verdict.VALID, (), stats)
        if not any(op.type is Type.OK and op.invoke_ns >= quiet_ns for op in ops):
            doubts.insert(0, _never_back(last_ok_ns, run_end_ns(record)))
        return CheckResult(self.name, Verdict.UNKNOWN, (), stats, "; ".join(doubts))


@dataclass(slots=True)
class _Final:
    """One workload: the objects it touched before its final reads (None: the whole), what was tried then, and what of it ended ok."""

    touched: dict[Hashable, None] = field(default_factory=dict)
    tried: dict[tuple[str, Hashable], None] = field(default_factory=dict)
    answered: set[tuple[str, Hashable]] = field(default_factory=set)

    @property
    def unread(self) -> list[Hashable]:
        """Return the objects with a final read that was never answered, or without any."""
        asked = {key for _, key in self.tried}
        silent = {key for f, key in self.tried if (f, key) not in self.answered}
        return [key for key in dict.fromkeys([*self.touched, *silent]) if key in silent or key not in asked]

    def settle(self) -> None:
        """Treat a workload whose final reads name no keys as one object."""
        if all(key is None for _, key in self.tried):
            self.touched = {None: None}

    def doubts(self, name: str | None) -> list[str]:
        unread = self.unread
        if not unread:
            return []
        of = "" if name is None else f" of workload {name}"
        if unread == [None]:
            names = [f for f, key in self.tried if key is None and (f, key) not in self.answered]
            return [f"no final {' and no '.join(names) or 'read'}{of} ended ok"]
        shown = ", ".join("the whole" if key is None else show(key) for key in unread[:MOST_NAMED])
        more = f" and {len(unread) - MOST_NAMED} more" if len(unread) > MOST_NAMED else ""
        verb = "was" if len(unread) == 1 else "were"
        return [f"{shown}{more}{of} {verb} not read after the heal"]


def _finals(ops: Iterable[Operation], quiet_ns: int) -> Mapping[str | None, _Final]:
    found: dict[str | None, _Final] = {}
    for op in ops:
        final = found.setdefault(op.workload, _Final())
        key: Hashable = canonical(op.key)
        if op.invoke_ns < quiet_ns:
            if op.key is not None:
                final.touched[key] = None
            continue
        final.tried[op.f, key] = None
        # A removal that found nothing saw that nothing is left.
        if op.type is Type.OK or (op.type is Type.FAIL and op.error in FOUND_NOTHING):
            final.answered.add((op.f, key))
    for final in found.values():
        final.settle()
    return found


def _last_ok_ns(ops: Iterable[Operation]) -> dict[str | None, int]:
    """Node (None where operations name none) → when its last ok operation ended."""
    found: dict[str | None, int] = {}
    for op in ops:
        if op.type is Type.OK and op.complete_ns is not None:
            found[op.node] = max(found.get(op.node, 0), op.complete_ns)
    return found


def _nodes(record: RunRecord, last_ok_ns: Mapping[str | None, int]) -> Sequence[str]:
    return list(dict.fromkeys([*record.nodes, *sorted(node for node in last_ok_ns if node is not None)]))


def _ms(time_ns: int | None) -> float | None:
    return None if time_ns is None else round(time_ns / 1e6, 3)


def _never_back(last_ok_ns: Mapping[str | None, int], end_ns: int) -> str:
    if not last_ok_ns:
        return "no operation ever ended ok"
    last = seconds(max(last_ok_ns.values()))
    return f"the system did not come back: its last ok operation ended at {last} of {seconds(end_ns)}"
