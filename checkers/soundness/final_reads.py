"""Checker `final-reads`: whether the system answers again after all faults are healed.

After the heal and the quiet period each workload reads all that it touched. An object without an ok final read makes the verdict unknown: its final
state was not seen, and a system that never answers again breaks no promise of the other checkers. A refusal is not an answer. The checker is for runs
only; a bare history has no heal.

The form of a workload's final reads follows from what its clients tried then: per key, or of the workload as a whole.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tribulation.histories.model.columns import ABSENT, NO_NUMBER

from ..base.logged import Logged, logged
from ..base.result import Budget, CheckResult, RunRecord, Verdict
from ..base.selection import NOTHING
from ..base.wording import seconds, show
from ..faults.windows import run_end_ns

MOST_NAMED = 5


class FinalReadsChecker:
    name = "final-reads"
    operations = NOTHING

    def applies(self, record: RunRecord) -> bool:
        return record.is_run

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        ops = logged(record)
        last_ok_ns = _last_ok_ns(ops)
        stats: dict[str, Any] = {
            "last_ok_ms": None if not last_ok_ns else round(max(last_ok_ns.values()) / 1e6, 3),
            "last_ok_ms_by_node": {node: _ms(last_ok_ns.get(node)) for node in _nodes(record, last_ok_ns)},
        }
        quiet_ns = record.phases.get("quiet_end")
        if quiet_ns is None or not len(ops):
            reason = "no operation was recorded" if not len(ops) else "the run ended before its final reads"
            return CheckResult(self.name, Verdict.UNKNOWN, (), stats, reason)
        finals = _finals(ops, quiet_ns)
        stats["objects"] = sum(len(final.touched) for final in finals.values())
        stats["not_read"] = sum(len(final.unread) for final in finals.values())
        doubts = [doubt for name, final in finals.items() for doubt in final.doubts(name)]
        if not doubts:
            return CheckResult(self.name, Verdict.VALID, (), stats)
        if not (ops.ok & (ops.invoke_ns >= quiet_ns)).any():
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


def _finals(ops: Logged, quiet_ns: int) -> Mapping[str | None, _Final]:
    found = {ops.workloads[ops.workload[at]]: _Final() for at in _first_of_each(ops.workload)}
    keys: list[Hashable] = [*ops.keys, None]
    before = np.flatnonzero((ops.invoke_ns < quiet_ns) & (ops.key != ABSENT))
    names = ops.workload[before].astype(np.int64) * len(keys) + ops.key[before]
    for row in before[_first_of_each(names)].tolist():
        found[ops.workloads[ops.workload[row]]].touched[keys[ops.key[row]]] = None
    # A removal that found nothing saw that nothing is left.
    answered = ops.ok | ops.empty
    for row in np.flatnonzero(ops.invoke_ns >= quiet_ns).tolist():
        final, tried = found[ops.workloads[ops.workload[row]]], (ops.f_names[ops.f[row]], keys[ops.key[row]])
        final.tried[tried] = None
        if answered[row]:
            final.answered.add(tried)
    for final in found.values():
        final.settle()
    return found


def _first_of_each(ids: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """The places of first use, in order."""
    return np.sort(np.unique(ids, return_index=True)[1])


def _last_ok_ns(ops: Logged) -> dict[str | None, int]:
    """Node (None where operations name none) → when its last ok operation ended."""
    rows = np.flatnonzero(ops.ok & (ops.complete_ns != NO_NUMBER))
    last_ns = np.zeros(len(ops.names) + 1, np.int64)
    np.maximum.at(last_ns, ops.node[rows], ops.complete_ns[rows])
    return {ops.name(number): int(last_ns[number]) for number in np.unique(ops.node[rows])}


def _nodes(record: RunRecord, last_ok_ns: Mapping[str | None, int]) -> Sequence[str]:
    return list(dict.fromkeys([*record.nodes, *sorted(node for node in last_ok_ns if node is not None)]))


def _ms(time_ns: int | None) -> float | None:
    return None if time_ns is None else round(time_ns / 1e6, 3)


def _never_back(last_ok_ns: Mapping[str | None, int], end_ns: int) -> str:
    if not last_ok_ns:
        return "no operation ever ended ok"
    last = seconds(max(last_ok_ns.values()))
    return f"the system did not come back: its last ok operation ended at {last} of {seconds(end_ns)}"
