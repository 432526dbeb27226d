"""Checker `tasks`: every acknowledged task takes effect, once, for a claim that is still the newest, in the order of its key.

*Lost*: acknowledged, and without effect at the end. *Duplicated*: more than one effect. *Phantom*: an effect of a task that was never submitted, or whose submission was refused. *Zombie*: an effect for a claim after a newer claim of the task was made. *Acknowledged before effect*: a worker reported the task done before it was. *Out of order*: of two tasks with one key, submitted one after the other, the later took effect first.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from tribulation.histories import Operation, Type, canonical

from ...base.conclusion import all_of, conclude, quantiles_ms, sentence
from ...base.findings import Findings
from ...base.result import Budget, CheckResult, RunRecord
from ...base.selection import judges, names
from ...base.wording import describe, indices, ms_between, show
from ...traces.traces import Line, Traces, excerpt, read_traces
from ..overtaking import overtaken
from .task_events import EFFECTS, SUBMIT, Effect, Tasks, comes_before, read_tasks


class TasksChecker:
    name = "tasks"
    operations = judges("spawn", "migrate", SUBMIT, EFFECTS, having=[SUBMIT], in_workload=True)

    def applies(self, record: RunRecord) -> bool:
        return SUBMIT in names(record)

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        traces = read_traces(record)
        tasks = read_tasks(record, traces)
        findings = Findings()
        doubts: list[str] = []
        _lost(tasks, record.phases.get("quiet_end"), findings, doubts)
        for task, effects in tasks.effects.items():
            _phantom(task, effects[0], tasks, findings)
            _duplicated(task, effects, findings)
            _zombies(task, effects, tasks, traces, findings)
            _early(task, effects, tasks, traces, findings)
        _order(tasks, findings)
        acknowledged = sum(op.type is Type.OK for ops in tasks.submits.values() for op in ops)
        if not acknowledged or not tasks.effects:
            doubts.append(
                f"{acknowledged} tasks were acknowledged and {len(tasks.effects)} took effect: nothing to compare"
            )
        return conclude(self.name, findings, _stats(tasks, traces, acknowledged, findings), all_of(doubts))


def _stats(tasks: Tasks, traces: Traces, acknowledged: int, findings: Findings) -> dict[str, Any]:
    found = findings.counts
    claims = [len({line["claim"] for line in lines}) for lines in tasks.claims.values()]
    delivery_ns = [
        max(0, traces.place(effects[0].line).low_ns - (tasks.submits[task][0].complete_ns or 0))
        for task, effects in tasks.effects.items()
        if effects[0].line is not None
        and traces.clocks.knows(effects[0].line["node"])
        and task in tasks.submits
        and tasks.submits[task][0].type is Type.OK
    ]
    return {
        "submitted": sum(map(len, tasks.submits.values())) + len(tasks.refused),
        "acknowledged": acknowledged,
        "effects": sum(map(len, tasks.effects.values())),
        "most_claims_of_a_task": max(claims, default=0),
        "delivery_ms": quantiles_ms(delivery_ns),
        "at_least_once": not found.get("lost-task"),
        "at_most_once": not found.get("duplicated-task"),
    }


def _lost(tasks: Tasks, quiet_ns: int | None, findings: Findings, doubts: list[str]) -> None:
    missing = [
        op
        for task, ops in tasks.submits.items()
        if task not in tasks.effects
        for op in ops[:1]
        if any(one.type is Type.OK for one in ops)
    ]
    if not missing:
        return
    if quiet_ns is None or not tasks.certain:
        why = (
            "lines of killed nodes may be missing"
            if quiet_ns is not None
            else "the run had no quiet period in which they could take effect"
        )
        doubts.append(f"{len(missing)} acknowledged tasks have no effect, and {why}")
        return
    for op in missing:
        waited_ms = round((quiet_ns - (op.complete_ns or op.invoke_ns)) / 1e6, 3)
        text = f"task {show(op.argument)} was acknowledged and took no effect in the {waited_ms:g} ms to the end of the quiet period: {describe(op)}"
        details: dict[str, Any] = {"task": op.argument, "waited_ms": waited_ms, "count": len(missing)}
        acks = tasks.acks.get(_task(op), [])
        if acks:
            text += f"; {acks[0]['node']} even reported it done"
            details["traces"] = [excerpt(acks[0])]
        findings.add("lost-task", sentence(text), ops=indices([op]), details=details)


def _phantom(task: Hashable, effect: Effect, tasks: Tasks, findings: Findings) -> None:
    if task in tasks.submits:
        return
    refused = tasks.refused.get(task)
    why = (
        "which no client submitted" if refused is None else f"although its submission was refused: {describe(refused)}"
    )
    text = f"task {show(task)} took effect{_at(effect)}, {why}"
    _add(findings, "phantom-task", text, task, [effect], [] if refused is None else [refused])


def _duplicated(task: Hashable, effects: Sequence[Effect], findings: Findings) -> None:
    if len(effects) > 1:
        one, other = effects[:2]
        text = f"task {show(task)} took effect {len(effects)} times:{_at(one)}{_for(one)}, and again{_at(other)}{_for(other)}"
        _add(findings, "duplicated-task", text, task, [one, other], [])


def _zombies(task: Hashable, effects: Sequence[Effect], tasks: Tasks, traces: Traces, findings: Findings) -> None:
    newest: dict[str, Effect] = {}
    for effect in effects:
        if effect.claim is None:
            continue
        before = newest.get(effect.source)
        if before is not None and before.claim is not None and effect.claim < before.claim:
            text = f"task {show(task)} took effect{_at(effect)} for claim {effect.claim} after it had for claim {before.claim}"
            _add(findings, "zombie", text, task, [before, effect], [])
            continue
        newest[effect.source] = effect
        for claim in tasks.claims.get(task, ()):
            if effect.line is not None and claim["claim"] > effect.claim and comes_before(claim, effect.line, traces):
                gap = _apart(claim, effect.line, traces)
                text = (
                    f"task {show(task)} took effect{_at(effect)} for claim {effect.claim}{gap} "
                    f"claim {claim['claim']} of it had been made by {show(claim.get('worker'))}"
                )
                _add(findings, "zombie", text, task, [effect], [], [claim])
                break


def _apart(before: Line, after: Line, traces: Traces) -> str:
    if before["node"] != after["node"]:
        least_ms = (traces.place(after).low_ns - traces.place(before).high_ns) / 1e6
        return f", at least {least_ms:g} ms after"
    return f", {(after['mono_ns'] - before['mono_ns']) / 1e6:g} ms after"


def _early(task: Hashable, effects: Sequence[Effect], tasks: Tasks, traces: Traces, findings: Findings) -> None:
    lines = [effect.line for effect in effects if effect.line is not None]
    if not lines:
        return
    for ack in tasks.acks.get(task, ()):
        if all(comes_before(ack, line, traces) for line in lines):
            text = f"task {show(task)} was reported done at {ack['node']} before it took effect{_at(effects[0])}: the effect came {_apart(ack, lines[0], traces)[2:]} it"
            _add(findings, "acknowledged-before-effect", text, task, effects[:1], [], [ack])
            return


def _order(tasks: Tasks, findings: Findings) -> None:
    """Judge, by key and source, that the first effects of tasks are in the order of their submissions."""
    groups: dict[tuple[str | None, Any, str], list[tuple[Operation, int]]] = {}
    first = {task: effects[0] for task, effects in tasks.effects.items()}
    ops = sorted(
        (ops[0] for task, ops in tasks.submits.items() if task in first and len(ops) == 1),
        key=lambda op: op.invoke_index,
    )
    for op in ops:
        if op.key is not None:
            effect = first[_task(op)]
            groups.setdefault((op.workload, show(op.key), effect.source), []).append((op, effect.place))
    for (_, key, source), ranked in groups.items():
        for before, after in overtaken(ranked):
            text = (
                f"on key {key}, task {show(after.argument)} was submitted {ms_between(before, after):g} ms after task {show(before.argument)} had been and took effect "
                f"before it at {source}: {describe(before)}; {describe(after)}"
            )
            effects = [first[_task(after)], first[_task(before)]]
            _add(findings, "out-of-order", text, after.argument, effects, [before, after])


def _task(op: Operation) -> Hashable:
    task: Hashable = canonical(op.argument)
    return task


def _at(effect: Effect) -> str:
    return f" at {effect.source}" if effect.read is None else f" as number {effect.place + 1} of {effect.source}"


def _for(effect: Effect) -> str:
    return "" if effect.claim is None else f" for claim {effect.claim}"


def _add(
    findings: Findings,
    kind: str,
    text: str,
    task: Any,
    effects: Sequence[Effect],
    ops: Sequence[Operation],
    lines: Sequence[Line] = (),
) -> None:
    shown = [*ops, *(effect.read for effect in effects if effect.read is not None)]
    traces = [excerpt(line) for line in (*lines, *(effect.line for effect in effects if effect.line is not None))]
    details: Mapping[str, Any] = {"task": task, "traces": traces}
    findings.add(kind, sentence(text), ops=indices(shown), details=details)
