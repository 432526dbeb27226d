"""A space-time diagram of one operation of a witness: lanes for its client and the nodes, arrows for messages from sent to arrived. Pure.

Time runs to the right. Coordinates are those of an SVG. Everything that is drawn is also listed in words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tribulation.histories import Operation

from ..nodes.lines import Line
from ..nodes.messages import Message

MOST_ARROWS = 60
MOST_MARKS = 24
MOST_LANES = 10
LONGEST_NS = 400_000_000
"""The longest drawn time; of a longer operation only the last part is drawn."""
_PAD_NS = 4_000_000
_WIDTH, _LEFT, _RIGHT, _TOP, _LANE = 980, 92, 24, 34, 46
_MOST_LABELS = 8


@dataclass(frozen=True, slots=True)
class Lane:
    name: str
    y: int


@dataclass(frozen=True, slots=True)
class Arrow:
    """`state` is arrived, late (it arrives after the drawing's end) or lost. `text` is the message in words."""

    x1: float
    y1: int
    x2: float
    y2: int
    state: str
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A line that a node wrote. `number` is its place in the list."""

    x: float
    y: int
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Diagram:
    """`bar` is the operation on its client's lane: from, to. `listed` has the time, lanes and words of all that is drawn, in order of time."""

    title: str
    width: int
    height: int
    lanes: Sequence[Lane]
    bar: tuple[float, float]
    answered: tuple[float, int] | None
    arrows: Sequence[Arrow]
    marks: Sequence[Mark]
    ticks: Sequence[tuple[float, str]]
    listed: Sequence[tuple[str, str, str]]
    hidden: int

    @property
    def alternative(self) -> str:
        lost = sum(arrow.state == "lost" for arrow in self.arrows)
        return f"{self.title}: {len(self.arrows)} messages between nodes, {lost} of them lost. The list below has all of them."


def window_ns(op: Operation) -> tuple[int, int]:
    """Return the time that is drawn of an operation: all of it if it is short, else its end; of an unanswered one, its beginning."""
    end_ns = op.invoke_ns + LONGEST_NS // 4 if op.complete_ns is None else op.complete_ns
    begin_ns = max(op.invoke_ns, end_ns - LONGEST_NS)
    pad_ns = max(_PAD_NS, (end_ns - begin_ns) // 8)
    return begin_ns - pad_ns, end_ns + pad_ns


def diagram(
    op: Operation, text: str, nodes: Sequence[str], messages: Sequence[Message], lines: Sequence[Line]
) -> Diagram | None:
    """Draw the space-time diagram of an operation; None if no messages and no lines of traces are known around the operation."""
    from_ns, until_ns = window_ns(op)
    near = [one for one in messages if one.sent_ns <= until_ns and _end_ns(one, until_ns) >= from_ns]
    written = [line for line in lines if line.at_ns is not None and from_ns <= line.at_ns <= until_ns]
    if not near and not any(line.source == "trace" for line in written):
        return None
    shown = _nearest(near, op, MOST_ARROWS)
    client = f"process {op.process}"
    names = _lanes(op, nodes, shown, written)
    lane = {name: _TOP + _LANE * (at + 1) for at, name in enumerate(names)}
    marks = sorted(
        (line for line in written if line.node in lane),
        key=lambda line: (not _is_answer(line, op), line.level == "info", abs((line.at_ns or 0) - _moment_ns(op))),
    )[:MOST_MARKS]

    def x(at_ns: int) -> float:
        share = (min(until_ns, max(from_ns, at_ns)) - from_ns) / (until_ns - from_ns)
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    arrows = [
        _arrow(one, x(one.sent_ns), x(_end_ns(one, until_ns)), lane, until_ns, labelled=len(shown) <= _MOST_LABELS)
        for one in shown
        if one.source in lane and one.target in lane
    ]
    answer = next((line for line in marks if _is_answer(line, op)), None)
    return Diagram(
        title=f"{client}: {text}",
        width=_WIDTH,
        height=_TOP + _LANE * len(names) + 44,
        lanes=[Lane(client, _TOP), *(Lane(name, y) for name, y in lane.items())],
        bar=(x(op.invoke_ns), x(until_ns if op.complete_ns is None else op.complete_ns)),
        answered=None if answer is None else (x(answer.at_ns or 0), lane[answer.node]),
        arrows=arrows,
        marks=[Mark(x(line.at_ns or 0), lane[line.node], line.level, f"{line.node} {line.text}") for line in marks],
        ticks=_ticks(from_ns, until_ns, x),
        listed=_listed(op, text, shown, marks),
        hidden=len(near) - len(shown),
    )


def _end_ns(one: Message, until_ns: int) -> int:
    """Return the time at which the message's line ends: its arrival, or for a lost one a little after it was sent."""
    return min(until_ns, one.sent_ns + _PAD_NS // 2) if one.arrived_ns is None else one.arrived_ns


def _moment_ns(op: Operation) -> int:
    return op.invoke_ns if op.complete_ns is None else op.complete_ns


def _nearest(messages: Sequence[Message], op: Operation, most: int) -> list[Message]:
    """Return the nearest messages: those of the operation's node first, and of these the nearest to its end; in order of time."""
    moment_ns = _moment_ns(op)
    order = sorted(messages, key=lambda one: (op.node not in (one.source, one.target), abs(one.sent_ns - moment_ns)))
    return sorted(order[:most], key=lambda one: one.sent_ns)


def _lanes(op: Operation, nodes: Sequence[str], messages: Sequence[Message], lines: Sequence[Line]) -> list[str]:
    """The operation's node first, then the run's nodes in their order."""
    met = [op.node] if op.node else []
    known = [
        *nodes,
        *(one.source for one in messages),
        *(one.target for one in messages),
        *(line.node for line in lines),
    ]
    return list(dict.fromkeys([*met, *known]))[:MOST_LANES]


def _is_answer(line: Line, op: Operation) -> bool:
    """The node's line about its answer to this operation."""
    return (
        line.event == "ack"
        and line.fields.get("index") is not None
        and line.fields.get("index") == op.extra.get("log_index")
        and op.invoke_ns <= (line.at_ns or 0) <= (op.complete_ns or 0)
        and line.node in (op.node, op.extra.get("served_by"))
    )


def _arrow(one: Message, x1: float, x2: float, lane: dict[str, int], until_ns: int, *, labelled: bool) -> Arrow:
    state = "lost" if one.arrived_ns is None else "late" if one.arrived_ns > until_ns else "arrived"
    y1, y2 = lane[one.source], lane[one.target]
    if state == "lost":
        # It ends between the lanes.
        y2 = y1 + (y2 - y1) * 2 // 5
    return Arrow(x1, y1, x2, y2, state, one.kind if labelled else "", f"{one.source} to {one.target}: {_said(one)}")


def _said(one: Message) -> str:
    if one.arrived_ns is None:
        return f"{one.text}, never arrived"
    took_ms = (one.arrived_ns - one.sent_ns) / 1e6
    return (
        f"{one.text}, arrived {took_ms:.3g} ms later"
        if took_ms < 1000
        else f"{one.text}, arrived at {_at(one.arrived_ns)}"
    )


def _at(at_ns: int) -> str:
    return f"{at_ns / 1e9:.4f} s"


def _ticks(from_ns: int, until_ns: int, x: Callable[[int], float]) -> list[tuple[float, str]]:
    raw_ns = (until_ns - from_ns) // 7
    power = 10 ** (len(str(raw_ns)) - 1)
    step_ns = next(step for step in (power, 2 * power, 5 * power, 10 * power) if step >= raw_ns)
    first_ns = -(-from_ns // step_ns) * step_ns
    return [(x(at_ns), _at(at_ns)) for at_ns in range(first_ns, until_ns + 1, step_ns)]


def _listed(op: Operation, text: str, messages: Sequence[Message], lines: Sequence[Line]) -> list[tuple[str, str, str]]:
    found = [(op.invoke_ns, f"process {op.process}", f"asks {op.node or 'the system'}: {text}")]
    if op.complete_ns is not None:
        found.append(
            (op.complete_ns, f"process {op.process}", f"has its answer: {op.type.value} {op.error or ''}".rstrip())
        )
    found += [(one.sent_ns, f"{one.source} → {one.target}", _said(one)) for one in messages]
    found += [(line.at_ns or 0, line.node, line.text) for line in lines]
    return [(_at(at_ns), who, what) for at_ns, who, what in sorted(found, key=lambda row: row[0])]
