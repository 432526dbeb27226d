"""Acknowledged writes against the one log: the index of an acknowledged write must hold that write forever (SB3).

Four kinds of proof: two writes acknowledged at one index; an index that holds an entry of a later term than the acknowledgement; an entry
acknowledged by a leader that held another one than was applied; a later leader whose log ends before what a leader acknowledged.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tribulation.histories import Operation
from tribulation.histories.model.columns import ABSENT, NO_NUMBER

from ..base import acknowledged
from ..base.findings import Findings
from ..base.logged import Logged
from ..traces.traces import FOREVER_NS, excerpt
from .facts import Ack, Reign, Survey
from .structures.rows import NONE, highest_of_each

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class AckCount:
    """Number of acknowledged writes with an index, and number of these that met an applied entry or a trace to compare with."""

    writes: int
    indexed: int
    compared: int


def judge_acknowledged(view: Logged, facts: Survey | None, findings: Findings) -> AckCount:
    writes = int(np.count_nonzero(view.acknowledged))
    indexed = np.flatnonzero(view.acknowledged & view.indexed)
    _judge_one_index(view, indexed, findings)
    if facts is None:
        return AckCount(writes, len(indexed), len(indexed))
    compared = _judge_replaced(view, indexed, facts, findings)
    by_command = _ByCommand(view, indexed)
    _judge_held(facts, by_command, findings)
    _judge_leaders(facts, by_command, findings)
    return AckCount(writes, len(indexed), compared)


def _judge_one_index(view: Logged, indexed: Rows, findings: Findings) -> None:
    _, first, which = np.unique(view.index[indexed], return_index=True, return_inverse=True)
    mine, theirs = view.command[indexed], view.command[indexed[first[which]]]
    for place in np.flatnonzero((mine != theirs) & (mine != ABSENT) & (theirs != ABSENT)):
        known, op = view.operation(indexed[first[which[place]]]), view.operation(indexed[place])
        index = acknowledged.log_index(op)
        findings.add(
            "SB3-two-writes-one-index",
            f"{acknowledged.describe(known)} and {acknowledged.describe(op)} were both acknowledged at log index {index}, by {acknowledged.served_by(known)} in term "
            f"{acknowledged.term(known)} and by {acknowledged.served_by(op)} in term {acknowledged.term(op)}: two logs took writes.",
            ops=(known.invoke_index, op.invoke_index),
            details={
                "index": index,
                "commands": [list(view.commands[theirs[place]]), list(view.commands[mine[place]])],
            },
        )


def _judge_replaced(view: Logged, indexed: Rows, facts: Survey, findings: Findings) -> int:
    rows = indexed[(view.term[indexed] != NO_NUMBER) & (np.abs(view.index[indexed]) < FOREVER_NS)]
    applied_term, term = facts.applied.terms(view.index[rows].astype(np.int64)), view.term[rows]
    for place in np.flatnonzero((applied_term != NONE) & (applied_term > term)):
        op, applied = view.operation(rows[place]), facts.applied.get(int(view.index[rows[place]]))
        assert applied is not None
        findings.add(
            "SB3-lost-acknowledged-write",
            f"{acknowledged.describe(op)} was acknowledged by {acknowledged.served_by(op)} at log index {applied[0]} in term {term[place]}, but that index holds an "
            f"entry of term {applied[1]}: the write was acknowledged and then replaced.",
            ops=(op.invoke_index,),
            details={"index": applied[0], "acknowledged_term": int(term[place]), "applied": applied},
        )
    return int(np.count_nonzero(applied_term != NONE))


class _ByCommand:
    """The operation of a command that a node acknowledged, for witnesses."""

    def __init__(self, view: Logged, indexed: Rows) -> None:
        self._view, self._indexed = view, indexed
        self._rows: dict[tuple[Any, Any], int] | None = None

    def of(self, ack: Ack) -> Operation | None:
        if self._rows is None:
            found = zip(self._view.command[self._indexed].tolist(), self._indexed.tolist(), strict=True)
            self._rows = {self._view.commands[command]: row for command, row in found if command != ABSENT}
        row = self._rows.get(
            (acknowledged.as_key(ack.line.get("session")), acknowledged.as_key(ack.line.get("command")))
        )
        return None if row is None else self._view.operation(row)


def _judge_held(facts: Survey, by_command: _ByCommand, findings: Findings) -> None:
    applied_term, held_term = facts.applied.terms(facts.acks.column("index")), facts.acks.column("entry_term")
    for row in np.flatnonzero((applied_term != NONE) & (held_term != NONE) & (applied_term != held_term)).tolist():
        ack = facts.acks.get(row)
        index = ack.line["index"]
        applied = facts.applied.get(index)
        assert applied is not None
        if ack.leader_term is None and applied[1] <= ack.line.get("term", applied[1]):
            # A follower passes the leader's answer on; its own log may be behind.
            continue
        op = by_command.of(ack)
        findings.add(
            "SB3-lost-acknowledged-write",
            f"{ack.line['node']} acknowledged {acknowledged.describe(op) if op else 'a write'} at log index {index}, where it held an entry of term "
            f"{ack.entry_term}, but an entry of term {applied[1]} was applied there.",
            ops=(op.invoke_index,) if op else (),
            details={"index": index, "applied": applied, "trace": [excerpt(ack.line)]},
        )


def _judge_leaders(facts: Survey, by_command: _ByCommand, findings: Findings) -> None:
    """Judge leaders: what a leader acknowledged was committed in its term at the latest, so the leaders of all later terms must hold it."""
    furthest = highest_of_each(facts.acks.column("leader_term"), facts.acks.column("index"))
    best = {term: facts.acks.get(row) for term, row in furthest.items()}
    terms = sorted(best)
    highest: list[Ack] = []
    for term in terms:
        before = highest[-1] if highest else best[term]
        highest.append(max(before, best[term], key=lambda ack: int(ack.line["index"])))
    for reign in facts.reigns:
        earlier = bisect_left(terms, reign.term) - 1
        if earlier >= 0 and reign.last_index < highest[earlier].line["index"]:
            _report_short_leader(highest[earlier], reign, by_command, findings)


def _report_short_leader(ack: Ack, reign: Reign, by_command: _ByCommand, findings: Findings) -> None:
    op = by_command.of(ack)
    findings.add(
        "SB3-lost-acknowledged-write",
        f"{ack.line['node']}, leading term {ack.leader_term}, acknowledged {acknowledged.describe(op) if op else 'a write'} at log index "
        f"{ack.line['index']}, but {reign.node} became leader of term {reign.term} with a log that ends at {reign.last_index}.",
        ops=(op.invoke_index,) if op else (),
        details={"index": ack.line["index"], "trace": [excerpt(ack.line), excerpt(reign.line)]},
    )
