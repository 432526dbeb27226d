"""The witness of an anomaly as a table: the operations that prove it, among their neighbours, each with a bar in time.

Neighbours are operations on the same keys (and workload), nearest in the order of the history. Operations left out between them are counted, so that the
table never suggests that nothing else happened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tribulation.checkers.base.result import Fault
from tribulation.histories import History, Operation, canonical

from . import words

_NEIGHBOURS = 2
_MOST_ROWS = 40


@dataclass(frozen=True, slots=True)
class Row:
    """One operation. `left` and `width` place its bar, in percent of the table's span of time. `skipped`: how many were left out before it."""

    index: int
    process: str
    node: str
    text: str
    outcome: str
    error: str
    invoke_ms: str
    took: str
    in_witness: bool
    left: float
    width: float
    skipped: int


@dataclass(frozen=True, slots=True)
class Witness:
    """An anomaly with its explanation. `during` are the faults that were active between its first and last operation; `hidden_after` counts operations after the last row."""

    checker: str
    kind: str
    explanation: str
    rows: Sequence[Row]
    hidden_after: int
    during: Sequence[str]
    details: Mapping[str, Any]
    missing: Sequence[int]


def witness(checker: str, anomaly: Mapping[str, Any], history: History, faults: Sequence[Fault]) -> Witness:
    """`anomaly` as in `verdict.json`; its `ops` may be indices of invocations or of completions."""
    operations = history.operations()
    place = _places(operations)
    named = [int(index) for index in anomaly.get("ops", ())]
    proof = sorted({place[index] for index in named if index in place})
    related = _related(operations, proof)
    shown = _with_neighbours(related, set(proof))
    return Witness(
        checker=checker,
        kind=str(anomaly.get("kind", "anomaly")),
        explanation=str(anomaly.get("explanation", "")),
        rows=_rows(operations, related, shown, set(proof)),
        hidden_after=len(related) - 1 - related.index(shown[-1]) if shown else 0,
        during=_during([operations[at] for at in proof], faults),
        details=anomaly.get("details") or {},
        missing=[index for index in named if index not in place],
    )


def _places(operations: Sequence[Operation]) -> dict[int, int]:
    """History index → position of the operation that it belongs to."""
    places = {}
    for at, op in enumerate(operations):
        places[op.invoke_index] = at
        if op.complete_index is not None:
            places[op.complete_index] = at
    return places


def _related(operations: Sequence[Operation], proof: Sequence[int]) -> list[int]:
    about = {(operations[at].workload, canonical(operations[at].key)) for at in proof}
    return [at for at, op in enumerate(operations) if (op.workload, canonical(op.key)) in about]


def _with_neighbours(related: Sequence[int], proof: set[int]) -> list[int]:
    order = {at: rank for rank, at in enumerate(related)}
    wanted = set(sorted(proof)[:_MOST_ROWS])
    for distance in range(1, _NEIGHBOURS + 1):
        for at in sorted(proof):
            for rank in (order[at] - distance, order[at] + distance):
                if 0 <= rank < len(related) and len(wanted) < _MOST_ROWS:
                    wanted.add(related[rank])
    return sorted(wanted)


def _rows(operations: Sequence[Operation], related: Sequence[int], shown: Sequence[int], proof: set[int]) -> list[Row]:
    if not shown:
        return []
    first_ns = min(operations[at].invoke_ns for at in shown)
    ends = [operations[at].complete_ns for at in shown]
    last_ns = max([end for end in ends if end is not None] + [operations[at].invoke_ns for at in shown])
    span_ns = max(1, last_ns - first_ns)
    order = {at: rank for rank, at in enumerate(related)}
    rows = []
    previous_rank = -1
    for at in shown:
        rows.append(_row(operations[at], at in proof, first_ns, span_ns, order[at] - previous_rank - 1))
        previous_rank = order[at]
    return rows


def _row(op: Operation, in_witness: bool, first_ns: int, span_ns: int, skipped: int) -> Row:
    left = (op.invoke_ns - first_ns) / span_ns * 100
    end_ns = first_ns + span_ns if op.complete_ns is None else op.complete_ns
    return Row(
        index=op.invoke_index,
        process=str(op.process),
        node=op.node or "",
        text=words.operation(op),
        outcome=op.type.value,
        error=op.error or "",
        invoke_ms=words.milliseconds(op.invoke_ns),
        took="no answer" if op.complete_ns is None else words.duration(op.complete_ns - op.invoke_ns),
        in_witness=in_witness,
        left=round(left, 3),
        width=round(max(0.0, (end_ns - op.invoke_ns) / span_ns * 100), 3),
        skipped=skipped,
    )


def _during(proof: Sequence[Operation], faults: Sequence[Fault]) -> list[str]:
    if not proof:
        return []
    first_ns = min(op.invoke_ns for op in proof)
    last_ns = max(op.invoke_ns if op.complete_ns is None else op.complete_ns for op in proof)
    return [
        f"{words.fault(fault)} ({fault.id}, from {words.duration(fault.start_ns)})"
        for fault in faults
        if fault.start_ns <= last_ns and (fault.healed_ns is None or fault.healed_ns >= first_ns)
    ]
