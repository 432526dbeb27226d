"""Tasks as clients, workers and the resource saw them: submissions, claims, effects and acknowledgements, each with its evidence.

An *effect* is the committed side effect of a task, not its start. There are two sources of effects: `effects` operations, whose result is the
resource's own list in order (task ids, or `{"task", "claim"}`), of which the last is taken; else the trace lines `task-effect` (`task`, `claim`,
`worker`). Trace lines `task-claim` (`task`, `claim`, `worker`) and `task-ack` (`task`) give the rest. Claims of a task are numbered, later ones
higher.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tribulation.histories import Operation, Type, canonical

from ...base.result import RunRecord
from ...traces.traces import Line, Traces

SUBMIT, EFFECTS = "submit", "effects"
CLAIM, EFFECT, ACK = "task-claim", "task-effect", "task-ack"


@dataclass(frozen=True, slots=True)
class Effect:
    """An effect of a task. Those of one `source` (a node, or the resource's own list) happened in order of `place`."""

    task: Hashable
    claim: int | None
    source: str
    place: int
    line: Line | None
    read: Operation | None


@dataclass(slots=True)
class Tasks:
    """Facts of each task. `submits` may have happened. `certain`: a missing effect is not a gap in what was recorded."""

    submits: dict[Hashable, list[Operation]] = field(default_factory=dict)
    refused: dict[Hashable, Operation] = field(default_factory=dict)
    effects: dict[Hashable, list[Effect]] = field(default_factory=dict)
    claims: dict[Hashable, list[Line]] = field(default_factory=dict)
    acks: dict[Hashable, list[Line]] = field(default_factory=dict)
    certain: bool = True


def read_tasks(record: RunRecord, traces: Traces) -> Tasks:
    tasks = Tasks()
    reads: dict[str | None, Operation] = {}
    for op in record.history.operations():
        if op.f == SUBMIT:
            task = canonical(op.argument)
            if op.type is Type.FAIL:
                tasks.refused.setdefault(task, op)
            else:
                tasks.submits.setdefault(task, []).append(op)
        elif op.f == EFFECTS and op.type is Type.OK:
            reads[op.workload] = op
    _traced(traces, tasks, effects_too=not reads)
    for workload, op in reads.items():
        _listed(op, f"the list of {workload or 'effects'}", tasks)
    if not reads:
        # The last lines that a killed node traced may be lost with it.
        tasks.certain = not traces.problems and all(len(lives) == 1 for lives in traces.incarnations.values())
    return tasks


def _listed(op: Operation, source: str, tasks: Tasks) -> None:
    entries: Sequence[Any] = op.result or ()
    for place, entry in enumerate(entries):
        record = entry if isinstance(entry, Mapping) else {"task": entry}
        task = canonical(record["task"])
        tasks.effects.setdefault(task, []).append(Effect(task, record.get("claim"), source, place, None, op))


def _traced(traces: Traces, tasks: Tasks, effects_too: bool) -> None:
    place = 0
    for incarnation in traces:
        for line in incarnation.lines:
            place += 1
            if line["event"] == CLAIM:
                tasks.claims.setdefault(canonical(line["task"]), []).append(line)
            elif line["event"] == ACK:
                tasks.acks.setdefault(canonical(line["task"]), []).append(line)
            elif line["event"] == EFFECT and effects_too:
                task = canonical(line["task"])
                effect = Effect(task, line.get("claim"), incarnation.node, place, line, None)
                tasks.effects.setdefault(task, []).append(effect)


def comes_before(one: Line, other: Line, traces: Traces) -> bool:
    """Return whether a trace line is certainly earlier than another: by place in one trace, else by the clocks."""
    if one["node"] == other["node"]:
        return (one["incarnation"], one["seq"]) < (other["incarnation"], other["seq"])
    return traces.place(one).surely_before(traces.place(other))
