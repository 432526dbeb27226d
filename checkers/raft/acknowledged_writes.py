"""Acknowledged writes against the one log: the index of an acknowledged write must hold that write forever (SB3).

Four kinds of proof: two writes acknowledged at one index; an index that holds an entry of a later term than the acknowledgement; an entry
acknowledged by a node that held another one than was applied; a later leader whose log ends before what a leader acknowledged.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from tribulation.histories import Operation

from ..base import acknowledged
from ..base.findings import Findings
from ..traces.traces import excerpt
from .facts import Ack, Reign, Survey


@dataclass(frozen=True, slots=True)
class AckCount:
    """Number of acknowledged writes with an index, and number of these that met an applied entry or a trace to compare with."""

    writes: int
    indexed: int
    compared: int


def judge_acknowledged(operations: Sequence[Operation], facts: Survey | None, findings: Findings) -> AckCount:
    writes = acknowledged.acknowledged_writes(operations)
    indexed = [op for op in writes if acknowledged.log_index(op) is not None]
    _judge_one_index(indexed, findings)
    if facts is None:
        return AckCount(len(writes), len(indexed), len(indexed))
    compared = _judge_replaced(indexed, facts, findings)
    by_command = {acknowledged.command(op): op for op in indexed if acknowledged.command(op) is not None}
    _judge_held(facts, by_command, findings)
    _judge_leaders(facts, by_command, findings)
    return AckCount(len(writes), len(indexed), compared)


def _judge_one_index(indexed: Sequence[Operation], findings: Findings) -> None:
    first: dict[int, Operation] = {}
    for op in indexed:
        index = acknowledged.log_index(op)
        assert index is not None
        known = first.setdefault(index, op)
        mine, theirs = acknowledged.command(op), acknowledged.command(known)
        if mine is None or theirs is None or mine == theirs:
            continue
        findings.add(
            "SB3-two-writes-one-index",
            f"{acknowledged.describe(known)} and {acknowledged.describe(op)} were both acknowledged at log index {index}, by {acknowledged.served_by(known)} in term "
            f"{acknowledged.term(known)} and by {acknowledged.served_by(op)} in term {acknowledged.term(op)}: two logs took writes.",
            ops=(known.invoke_index, op.invoke_index),
            details={"index": index, "commands": [list(theirs), list(mine)]},
        )


def _judge_replaced(indexed: Sequence[Operation], facts: Survey, findings: Findings) -> int:
    compared = 0
    for op in indexed:
        index, term = acknowledged.log_index(op), acknowledged.term(op)
        assert index is not None
        applied = facts.applied.get(index)
        if applied is None or term is None:
            continue
        compared += 1
        if applied[1] > term:
            findings.add(
                "SB3-lost-acknowledged-write",
                f"{acknowledged.describe(op)} was acknowledged by {acknowledged.served_by(op)} at log index {index} in term {term}, but that index holds an "
                f"entry of term {applied[1]}: the write was acknowledged and then replaced.",
                ops=(op.invoke_index,),
                details={"index": index, "acknowledged_term": term, "applied": list(applied)},
            )
    return compared


def _judge_held(facts: Survey, by_command: dict[tuple[object, object] | None, Operation], findings: Findings) -> None:
    for ack in facts.acks:
        index = ack.line["index"]
        applied = facts.applied.get(index)
        if applied is None or ack.entry_term is None or applied[1] == ack.entry_term:
            continue
        op = _operation(ack, by_command)
        findings.add(
            "SB3-lost-acknowledged-write",
            f"{ack.line['node']} acknowledged {acknowledged.describe(op) if op else 'a write'} at log index {index}, where it held an entry of term "
            f"{ack.entry_term}, but an entry of term {applied[1]} was applied there.",
            ops=(op.invoke_index,) if op else (),
            details={"index": index, "applied": list(applied), "trace": [excerpt(ack.line)]},
        )


def _judge_leaders(
    facts: Survey, by_command: dict[tuple[object, object] | None, Operation], findings: Findings
) -> None:
    """Judge leaders: what a leader acknowledged was committed in its term at the latest, so the leaders of all later terms must hold it."""
    best: dict[int, Ack] = {}
    for ack in facts.acks:
        if ack.leader_term is not None:
            known = best.setdefault(ack.leader_term, ack)
            if known.line["index"] < ack.line["index"]:
                best[ack.leader_term] = ack
    terms = sorted(best)
    highest: list[Ack] = []
    for term in terms:
        before = highest[-1] if highest else best[term]
        highest.append(max(before, best[term], key=lambda ack: int(ack.line["index"])))
    for reign in facts.reigns:
        earlier = bisect_left(terms, reign.term) - 1
        if earlier >= 0 and reign.last_index < highest[earlier].line["index"]:
            _report_short_leader(highest[earlier], reign, by_command, findings)


def _report_short_leader(
    ack: Ack, reign: Reign, by_command: dict[tuple[object, object] | None, Operation], findings: Findings
) -> None:
    op = _operation(ack, by_command)
    findings.add(
        "SB3-lost-acknowledged-write",
        f"{ack.line['node']}, leading term {ack.leader_term}, acknowledged {acknowledged.describe(op) if op else 'a write'} at log index "
        f"{ack.line['index']}, but {reign.node} became leader of term {reign.term} with a log that ends at {reign.last_index}.",
        ops=(op.invoke_index,) if op else (),
        details={"index": ack.line["index"], "trace": [excerpt(ack.line), excerpt(reign.line)]},
    )


def _operation(ack: Ack, by_command: dict[tuple[object, object] | None, Operation]) -> Operation | None:
    return by_command.get((ack.line.get("session"), ack.line.get("command")))
