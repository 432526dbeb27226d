"""Checker `pool`: every acknowledged agent that was not stopped is in the pool of agents, once, and runs; one that was stopped is not.

Operations: `spawn` (value: an agent), `deploy` (value: a list of agents, result: `placed` and `refused` by agent), `stop` (value: an agent), and
`pool`, a read of all agents: a list of `agent`, `host`, `epoch`, `state`. An agent *must* be in a pool when some acknowledged spawn of it ended
before the read began, and every stop that may have happened ended before that spawn. It must not when some acknowledged stop ended before the read
began, and every spawn that may have happened ended before that stop. In between, both are allowed. What timed out may happen at any time.

That an agent runs needs more than the pool's answer: where there are traces, its host must have traced `agent-started` for that epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tribulation.histories import Operation, Type

from ...base.conclusion import all_of, conclude, sentence
from ...base.findings import Findings
from ...base.result import Budget, CheckResult, RunRecord
from ...base.selection import LINEARIZABLE, judges, names
from ...base.wording import describe, indices
from ...traces.traces import Traces, read_traces

SPAWN, DEPLOY, STOP, POOL = "spawn", "deploy", "stop", "pool"
STARTED = "agent-started"
Listed = Mapping[str, Any]


@dataclass(slots=True)
class Life:
    """Requests about one agent: operations that took effect, or may have."""

    spawns: list[Operation] = field(default_factory=list)
    stops: list[Operation] = field(default_factory=list)


class PoolChecker:
    name = "pool"
    operations = judges(SPAWN, DEPLOY, STOP, POOL, having=[POOL], in_workload=True)

    def applies(self, record: RunRecord) -> bool:
        return POOL in names(record)

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        ops = record.history.operations()
        lives = read_lives(ops)
        reads = [op for op in ops if op.f == POOL and op.type is Type.OK and op.level in (None, LINEARIZABLE)]
        findings = Findings()
        for read in reads:
            _one_read(read, lives, findings)
        _epochs(reads, findings)
        doubts: list[str] = []
        last = _last(reads, record.phases.get("quiet_end"))
        if last is None:
            doubts.append(
                "no pool was read after the quiet period, so it is not known whether all agents run at the end"
            )
        else:
            _all_run(last, findings)
            if record.traces:
                traces = read_traces(record)
                doubts += _were_started(last, traces, findings)
        return conclude(self.name, findings, _stats(lives, reads, last), all_of(doubts))


def read_lives(ops: Iterable[Operation]) -> dict[str, Life]:
    lives: dict[str, Life] = {}
    for op in ops:
        if op.type is Type.FAIL or op.f not in (SPAWN, DEPLOY, STOP):
            continue
        refused = op.result.get("refused", {}) if op.f == DEPLOY and op.type is Type.OK else {}
        for agent in op.argument if op.f == DEPLOY else (op.argument,):
            if agent not in refused:
                life = lives.setdefault(agent, Life())
                (life.stops if op.f == STOP else life.spawns).append(op)
    return lives


def _one_read(read: Operation, lives: Mapping[str, Life], findings: Findings) -> None:
    listed: dict[str, Listed] = {}
    for one in read.result or ():
        if one["agent"] in listed:
            text = f"{describe(read)} lists agent {one['agent']} twice"
            findings.add("listed-twice", sentence(text), ops=indices([read]), details={"agent": one["agent"]})
        listed[one["agent"]] = one
    for agent, life in lives.items():
        if agent not in listed:
            sure = _surely(life.spawns, life.stops, read)
            if sure is not None:
                text = f"agent {agent} was spawned by {describe(sure)} and not stopped, and {describe(read)} does not have it"
                findings.add("lost-agent", sentence(text), ops=indices([sure, read]), details={"agent": agent})
        else:
            sure = _surely(life.stops, life.spawns, read)
            if sure is not None:
                text = f"agent {agent} was stopped by {describe(sure)} and not spawned again, and {describe(read)} has it on {listed[agent]['host']}"
                findings.add("stopped-agent", sentence(text), ops=indices([sure, read]), details={"agent": agent})
    for agent in listed:
        if agent not in lives or all(not _before_end(spawn, read) for spawn in lives[agent].spawns):
            text = f"{describe(read)} has agent {agent}, which no client had spawned"
            findings.add("phantom-agent", sentence(text), ops=indices([read]), details={"agent": agent})


def _surely(done: Iterable[Operation], undone: Iterable[Operation], read: Operation) -> Operation | None:
    """Return an acknowledged one of `done` that ended before the read began, and that none of `undone` may have come after; one that began after the
    read does not count.
    """
    may_undo = [op for op in undone if _before_end(op, read)]
    for op in done:
        if op.type is Type.OK and _precedes(op, read) and all(_precedes(other, op) for other in may_undo):
            return op
    return None


def _precedes(first: Operation, second: Operation) -> bool:
    """Return whether `first` certainly took effect before `second` began. What timed out may happen at any time after it began."""
    return first.type is Type.OK and first.complete_index is not None and first.complete_index < second.invoke_index


def _before_end(op: Operation, read: Operation) -> bool:
    return read.complete_index is None or op.invoke_index < read.complete_index


def _epochs(reads: Iterable[Operation], findings: Findings) -> None:
    """Judge that a read that began after another had ended has no older epoch of an agent."""
    newest: dict[str, tuple[int, Operation]] = {}
    waiting: list[Operation] = []
    for read in sorted(reads, key=lambda op: op.invoke_index):
        for ended in [op for op in waiting if _precedes(op, read)]:
            waiting.remove(ended)
            for one in ended.result:
                if one["agent"] not in newest or one["epoch"] > newest[one["agent"]][0]:
                    newest[one["agent"]] = (one["epoch"], ended)
        for one in read.result:
            epoch, earlier = newest.get(one["agent"], (one["epoch"], read))
            if one["epoch"] < epoch:
                text = f"{describe(read)} has agent {one['agent']} at epoch {one['epoch']}, after {describe(earlier)} had it at epoch {epoch}"
                findings.add(
                    "older-epoch", sentence(text), ops=indices([earlier, read]), details={"agent": one["agent"]}
                )
        waiting.append(read)


def _last(reads: Iterable[Operation], quiet_ns: int | None) -> Operation | None:
    found = [op for op in reads if quiet_ns is not None and op.invoke_ns >= quiet_ns]
    return max(found, key=lambda op: op.invoke_index, default=None)


def _all_run(last: Operation, findings: Findings) -> None:
    for one in last.result:
        if one["state"] != "running":
            text = f"after the quiet period agent {one['agent']} is {one['state']} on {one['host']}, and does not run"
            findings.add("idle-agent", sentence(text), ops=indices([last]), details=dict(one))


def _were_started(last: Operation, traces: Traces, findings: Findings) -> list[str]:
    """Report running agents that their host never started; where lines may be missing, return doubts instead."""
    started = {
        (line["node"], line["agent"], line["epoch"])
        for incarnation in traces
        for line in incarnation.lines
        if line["event"] == STARTED
    }
    silent = [
        one
        for one in last.result
        if one["state"] == "running" and (one["host"], one["agent"], one["epoch"]) not in started
    ]
    if silent and traces.problems:
        return list(traces.problems)
    for one in silent:
        text = (
            f"the pool has agent {one['agent']} (epoch {one['epoch']}) running on {one['host']}, which never started it"
        )
        findings.add("not-started", sentence(text), ops=indices([last]), details=dict(one))
    return []


def _stats(lives: Mapping[str, Life], reads: list[Operation], last: Operation | None) -> dict[str, Any]:
    """Return the figures; `in_doubt`: agents that the last read may or may not have contained, because an operation about them timed out."""
    sure = 0
    for life in lives.values():
        if last is not None:
            sure += (
                _surely(life.spawns, life.stops, last) is not None or _surely(life.stops, life.spawns, last) is not None
            )
    return {
        "spawned": sum(any(op.type is Type.OK for op in life.spawns) for life in lives.values()),
        "stopped": sum(any(op.type is Type.OK for op in life.stops) for life in lives.values()),
        "pools": len(reads),
        "at_the_end": None if last is None else len(last.result),
        "in_doubt": None if last is None else len(lives) - sure,
    }
