"""The story of a witness: its operations in the order of time, with the faults, elections and restarts around them. Pure.

The operations alone show *that* something is wrong. What the cluster did between them often shows why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tribulation.checkers.base.result import Fault
from tribulation.histories import Operation

from . import words
from .nodes.lines import Line
from .nodes.messages import Message
from .nodes.states import Span, leaders

MOST_ROWS = 16
MOST_OPERATIONS = 8
_EVENTS = ("leader", "start", "truncate", "no-quorum", "quorum", "halt", "snapshot-installed")
OPERATION, FAULT, NODE = "operation", "fault", "node"


@dataclass(frozen=True, slots=True)
class Moment:
    """`kind` is operation, fault or node. `index` is that of an operation's invocation, None for the others.

    `in_proof`: the anomaly rests on it. `skipped` rows were left out before it.
    """

    kind: str
    at_ns: int
    at: str
    node: str
    text: str
    note: str = ""
    index: int | None = None
    in_proof: bool = False
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Further facts about a run's course."""

    faults: Sequence[Fault] = ()
    lines: Sequence[Line] = ()
    spans: Sequence[Span] = ()
    messages: Sequence[Message] = ()
    nodes: Sequence[str] = ()


def story(proof: Sequence[Operation], traced: Sequence[Line], around: Surroundings) -> list[Moment]:
    """The moments of a witness; `traced` are lines of traces that are part of its proof."""
    shown = list(proof)
    if len(shown) > MOST_OPERATIONS:
        shown = [*shown[: MOST_OPERATIONS // 2], *shown[-MOST_OPERATIONS // 2 :]]
    own = [_of_operation(op, around.spans) for op in shown]
    own += [_of_line(line, in_proof=True) for line in traced[:MOST_OPERATIONS] if line.at_ns is not None]
    if not own:
        return []
    first_ns = min(moment.at_ns for moment in own)
    last_ns = max(moment.at_ns for moment in own)
    between = [*_of_faults(around.faults, first_ns, last_ns), *_of_nodes(around.lines, first_ns, last_ns)]
    proven = {(moment.at_ns, moment.node, moment.text) for moment in own}
    between = [moment for moment in between if (moment.at_ns, moment.node, moment.text) not in proven]
    return _bounded(own, between)


def _bounded(own: Sequence[Moment], between: Sequence[Moment]) -> list[Moment]:
    """All moments of the proof, and as many others as fit, faults and elections first."""
    room = max(4, MOST_ROWS - len(own))
    order = {FAULT: 0, NODE: 1}
    kept = sorted(between, key=lambda moment: (order[moment.kind], "became leader" not in moment.text, moment.at_ns))[
        :room
    ]
    rows = sorted([*own, *between], key=lambda moment: (moment.at_ns, moment.kind))
    wanted = {id(moment) for moment in (*own, *kept)}
    found: list[Moment] = []
    skipped = 0
    for row in rows:
        if id(row) not in wanted:
            skipped += 1
            continue
        found.append(replace(row, skipped=skipped))
        skipped = 0
    return found


def at(time_ns: int) -> str:
    return f"{time_ns / 1e9:.3f} s"


def _of_operation(op: Operation, spans: Sequence[Span]) -> Moment:
    answer = op.type.value + (f" {op.error}" if op.error else "")
    took = "no answer" if op.complete_ns is None else f"{answer} after {words.duration(op.complete_ns - op.invoke_ns)}"
    text = f"process {op.process}: {words.operation(op)} ({took})"
    leading = ", ".join(f"{span.node} (term {span.term})" for span in leaders(spans, op.invoke_ns))
    served = op.extra.get("served_by")
    notes = [f"answered by {served}" if isinstance(served, str) and served != op.node else ""]
    if (term := op.extra.get("term")) is not None and (index := op.extra.get("log_index")) is not None:
        notes.append(f"in term {words.value(term)} at log index {words.value(index)}")
    notes.append(f"leading: {leading}" if leading else "")
    note = "; ".join(filter(None, notes))
    return Moment(OPERATION, op.invoke_ns, at(op.invoke_ns), op.node or "", text, note, op.invoke_index, in_proof=True)


def _of_line(line: Line, *, in_proof: bool = False) -> Moment:
    return Moment(NODE, line.at_ns or 0, at(line.at_ns or 0), line.node, line.text, in_proof=in_proof)


def _of_nodes(lines: Iterable[Line], first_ns: int, last_ns: int) -> list[Moment]:
    """Elections, restarts and similar events during the proof, and the last election before it."""
    dated = [line for line in lines if line.at_ns is not None and line.event in _EVENTS]
    earlier = [line for line in dated if line.event == "leader" and (line.at_ns or 0) < first_ns]
    inside = [line for line in dated if first_ns <= (line.at_ns or 0) <= last_ns]
    return [_of_line(line) for line in [*sorted(earlier, key=lambda line: line.at_ns or 0)[-1:], *inside]]


def _of_faults(faults: Sequence[Fault], first_ns: int, last_ns: int) -> list[Moment]:
    found = []
    for fault in faults:
        if fault.start_ns > last_ns or (fault.healed_ns is not None and fault.healed_ns < first_ns):
            continue
        what = words.described(fault)
        begun_ns = fault.start_ns if fault.injected_ns is None else fault.injected_ns
        unverified = "" if fault.verified else "not verified"
        found.append(Moment(FAULT, begun_ns, at(begun_ns), "", f"{what} begins", unverified))
        if fault.heal_ns is not None and first_ns <= fault.heal_ns <= last_ns:
            found.append(Moment(FAULT, fault.heal_ns, at(fault.heal_ns), "", f"{what} is healed"))
    return found


def traced_lines(details: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Lines of traces in an anomaly's details, wherever a checker put them."""
    found: list[Mapping[str, Any]] = []
    for value in details.values():
        items = value if isinstance(value, list) else [value]
        found += [item for item in items if isinstance(item, dict) and {"node", "mono_ns", "event"} <= item.keys()]
    return found
