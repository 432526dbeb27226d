"""The witness of an anomaly as a table: the operations that prove it, among their neighbours, each with a bar in time.

Neighbours are operations on the same keys (and workload), nearest in the order of the history. Operations left out between them are counted, so that
the table never suggests that nothing else happened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tribulation.checkers.traces.traces import Clocks
from tribulation.histories import History, Operation, canonical

from . import words
from .nodes.lines import Line, of_trace
from .nodes.traces import placed
from .pictures.cycle import PARTS, Cycle, cycle_of
from .pictures.outline import Entry, outline
from .pictures.spacetime import Diagram, diagram
from .story import Moment, Surroundings, story, traced_lines

_NEIGHBOURS = 2
_MOST_ROWS = 40
"""The most rows of one witness."""
MOST_DIAGRAMS = 3


class Operations:
    """The operations of a history, found by the index of their invocation or completion."""

    def __init__(self, history: History) -> None:
        self.all: Sequence[Operation] = history.operations()
        self._places = {op.complete_index: at for at, op in enumerate(self.all) if op.complete_index is not None}
        self._places |= {op.invoke_index: at for at, op in enumerate(self.all)}
        self._groups: dict[tuple[Any, Any], list[int]] | None = None

    def place(self, index: int) -> int | None:
        """The position in `all` of the operation with this index."""
        return self._places.get(index)

    def on_keys_of(self, proof: Sequence[int]) -> list[int]:
        """Positions of the operations on the same keys, in order."""
        if self._groups is None:
            self._groups = {}
            for at, op in enumerate(self.all):
                self._groups.setdefault((op.workload, canonical(op.key)), []).append(at)
        about = {(self.all[at].workload, canonical(self.all[at].key)) for at in proof}
        return sorted(at for one in about for at in self._groups[one])


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
    """An anomaly with its explanation. `hidden_after` counts operations after the last row. `details` are what the rest does not show.

    `from_s` and `until_s` are where the timeline shows it, both 0 where its time is unknown.
    """

    checker: str
    kind: str
    explanation: str
    rows: Sequence[Row]
    hidden_after: int
    cycle: Cycle | None
    diagrams: Sequence[Diagram]
    details: Sequence[Entry]
    missing: Sequence[int]
    story: Sequence[Moment]
    from_s: float
    until_s: float


def witness(
    checker: str, anomaly: Mapping[str, Any], of: Operations, around: Surroundings, clocks: Clocks | None = None
) -> Witness:
    """Build the view of a witness; `anomaly` is as in `verdict.json`; its `ops` may be indices of invocations or of completions."""
    named = [int(index) for index in anomaly.get("ops", ())]
    places = {index: of.place(index) for index in named}
    proof = sorted({at for at in places.values() if at is not None})
    related = of.on_keys_of(proof)
    shown = _with_neighbours(related, set(proof))
    details = anomaly.get("details") or {}
    cycle = cycle_of(details)
    not_drawn = {name: value for name, value in details.items() if cycle is None or name not in PARTS}
    moments = story([of.all[at] for at in proof], _traced(details, clocks), around)
    own = [moment.at_ns for moment in moments if moment.in_proof]
    ends_ns = [of.all[at].complete_ns or of.all[at].invoke_ns for at in proof]
    return Witness(
        checker=checker,
        kind=str(anomaly.get("kind", "anomaly")),
        explanation=str(anomaly.get("explanation", "")),
        rows=_rows(of.all, related, shown, set(proof)),
        hidden_after=len(related) - 1 - related.index(shown[-1]) if shown else 0,
        cycle=cycle,
        diagrams=[one for op in drawn_of([of.all[at] for at in proof]) if (one := _diagram(op, around)) is not None],
        details=outline(not_drawn),
        missing=[index for index, at in places.items() if at is None],
        story=moments,
        from_s=min(own, default=0) / 1e9,
        until_s=max([*own, *ends_ns], default=0) / 1e9,
    )


def drawn_of(proof: Sequence[Operation]) -> Sequence[Operation]:
    """The operations of a witness that have a space-time diagram: the last ones, which often saw what is impossible."""
    return proof[-MOST_DIAGRAMS:]


def _diagram(op: Operation, around: Surroundings) -> Diagram | None:
    return diagram(op, words.operation(op), around.nodes, around.messages, around.lines)


def _traced(details: Mapping[str, Any], clocks: Clocks | None) -> list[Line]:
    """The lines of traces that prove the anomaly."""
    found = []
    for fields in traced_lines(details):
        at_ns = placed(clocks or Clocks({}), str(fields["node"]), fields["mono_ns"], fields.get("incarnation", 0))
        found.append(of_trace(str(fields["node"]), at_ns, fields))
    return found


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
