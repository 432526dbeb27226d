"""Checker `agents`: each epoch of an agent belongs to one host, work of an older epoch than the newest is refused, a host without contact to a quorum
runs none, and no host runs more than it has places for. In a simulated run, which knows true times, no two hosts run one agent at one time for long.

An agent's *epoch* is the index of the log entry that placed it, so a later placement has a greater one. Whether an epoch was still the newest when
something was accepted needs no clock: entry `index` was accepted for `epoch`, and an epoch between the two had been granted meanwhile.

Trace lines: `agent-started`, `agent-stopped` and `agent-suspended` (`agent`, `epoch`) of a host; `agent-checkpoint` (`agent`, `epoch`, `index`) and
`task-effect` (`worker`, `epoch`, `index`), what was accepted at that index of the log; `no-quorum` and `quorum`; `agent-standing`, the
pause at the end of a migration, and `agent-move-cancelled`, its cancellation by the log (both `agent`, `epoch`); `agent-switched` (`pause_ns`, `bytes`), `agent-lost`
(`keys`) for the figures; `capacity` (`places`), how many agents the host can take by its own configuration. How long a migration may pause its agent
is a bound that the campaign gives: `max_pause_s`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import Any

from ...base.conclusion import all_of, conclude, quantiles_ms, sentence
from ...base.findings import Findings
from ...base.options import bound, settings_of
from ...base.result import Budget, CheckResult, RunRecord
from ...base.selection import judges
from ...traces.columns import events
from ...traces.traces import Incarnation, Line, Traces, excerpt, read_traces
from .migrated_state import whole_state_moves
from .one_host import one_host_at_a_time

STARTED, STOPPED, SUSPENDED = "agent-started", "agent-stopped", "agent-suspended"
STANDING, CANCELLED = "agent-standing", "agent-move-cancelled"
CAPACITY = "capacity"
_MEASURES = ("slots", "cpu_percent", "memory_mib")
_ACCEPTED = {"agent-checkpoint": ("agent", "a checkpoint"), "task-effect": ("worker", "the effect of a task")}


class AgentsChecker:
    name = "agents"
    operations = judges("spawn", "deploy", "migrate", "stop", having=["spawn", "deploy"], in_workload=True)
    options = (bound("max_pause_s", None, "how long a migration may stop its agent"),)

    def applies(self, record: RunRecord) -> bool:
        return STARTED in events(record.traces)

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        traces = read_traces(record)
        findings = Findings()
        max_pause_s = settings_of(record, self)["max_pause_s"]
        epochs = _one_host_an_epoch(traces, findings)
        for incarnation in traces:
            _suspended_without_quorum(incarnation, findings)
            _within_capacity(incarnation, findings)
            _newest_only(incarnation, epochs, findings)
            _rolled_back_by_the_log(incarnation, findings)
            _pauses(incarnation, max_pause_s, findings)
        one_host_at_a_time(record, traces, findings)
        whole_state_moves(traces, findings)
        doubts = list(traces.problems)
        if not epochs:
            doubts.append("no agent was ever started")
        return conclude(self.name, findings, _stats(traces, epochs), all_of(doubts))


def _one_host_an_epoch(traces: Traces, findings: Findings) -> Mapping[str, Mapping[int, Line]]:
    """Return by agent and epoch the line of the first start. An epoch that started on two hosts is reported."""
    epochs: dict[str, dict[int, Line]] = {}
    for incarnation in traces:
        for line in incarnation.lines:
            if line["event"] != STARTED:
                continue
            first = epochs.setdefault(line["agent"], {}).setdefault(line["epoch"], line)
            if first["node"] != line["node"]:
                text = f"agent {line['agent']} of epoch {line['epoch']} was started on {first['node']} and on {line['node']}"
                details = {
                    "agent": line["agent"],
                    "epoch": line["epoch"],
                    "traces": [excerpt(first), excerpt(line)],
                }
                findings.add("two-hosts-in-one-epoch", sentence(text), details=details)
    return epochs


def _suspended_without_quorum(incarnation: Incarnation, findings: Findings) -> None:
    """Report agents that still run when anything else happens on a host after it had noticed that it lost contact with the quorum."""
    running: dict[str, Line] = {}
    lost: Line | None = None
    for line in incarnation.lines:
        if lost is not None and line["mono_ns"] > lost["mono_ns"]:
            for started in running.values():
                text = (
                    f"{incarnation.node} had no contact with a quorum and went on running agent {started['agent']} "
                    f"(epoch {started['epoch']}), at the least for {(line['mono_ns'] - lost['mono_ns']) / 1e6:g} ms"
                )
                details = {
                    "agent": started["agent"],
                    "traces": [excerpt(started), excerpt(lost), excerpt(line)],
                }
                findings.add("runs-without-quorum", sentence(text), details=details)
            lost = None
        event = line["event"]
        if event == STARTED:
            running[line["agent"]] = line
        elif event in (STOPPED, SUSPENDED):
            running.pop(line["agent"], None)
        elif event == "no-quorum":
            lost = line
        elif event == "quorum":
            lost = None


def _within_capacity(incarnation: Incarnation, findings: Findings) -> None:
    """Judge that a host runs no more agents than it has places for; the first violation is reported."""
    running: dict[str, Line] = {}
    capacity: Line | None = None
    for position, line in enumerate(incarnation.lines):
        if position in incarnation.gaps:
            running.clear()  # Some may have been stopped in the lines that are missing.
        event = line["event"]
        if event == CAPACITY:
            capacity = line
        elif event == STARTED:
            running[line["agent"]] = line
        elif event in (STOPPED, SUSPENDED):
            running.pop(line["agent"], None)
        if event == STARTED and capacity is not None and len(running) > capacity["places"]:
            offers = ", ".join(f"{name} {capacity[name]}" for name in _MEASURES if name in capacity)
            text = f"{incarnation.node} ran {len(running)} agents at one time, and has places for {capacity['places']} ({offers})"
            details = {"agents": sorted(running), "traces": [excerpt(capacity), excerpt(line)]}
            findings.add("beyond-capacity", sentence(text), details=details)
            return


def _newest_only(incarnation: Incarnation, epochs: Mapping[str, Mapping[int, Line]], findings: Findings) -> None:
    ordered = {agent: sorted(known) for agent, known in epochs.items()}
    for line in incarnation.lines:
        if line["event"] not in _ACCEPTED:
            continue
        field, what = _ACCEPTED[line["event"]]
        agent, epoch, index = line.get(field), line.get("epoch"), line.get("index")
        if agent not in ordered or epoch is None or index is None:
            continue
        # The newest epoch before the entry: granted, and even started, before this was accepted.
        known = ordered[agent]
        place = bisect_left(known, index)
        if place and known[place - 1] > epoch:
            newer = epochs[agent][known[place - 1]]
            text = (
                f"{what} of agent {agent} was accepted for epoch {epoch} at index {index} of the log, "
                f"although epoch {newer['epoch']} had been granted to {newer['node']} before"
            )
            details = {"agent": agent, "epoch": epoch, "traces": [excerpt(line), excerpt(newer)]}
            findings.add("work-of-an-old-epoch", sentence(text), details=details)


def _rolled_back_by_the_log(incarnation: Incarnation, findings: Findings) -> None:
    """Judge rollbacks: an agent that is paused at the end of its migration may already run elsewhere; only the log can give it back to this host."""
    standing: dict[tuple[str, int], Line] = {}
    for line in incarnation.lines:
        event = line["event"]
        if event not in (STANDING, CANCELLED, STARTED):
            continue
        which = (str(line["agent"]), int(line["epoch"]))
        if event == STANDING:
            standing[which] = line
        elif event == CANCELLED:
            standing.pop(which, None)
        elif event == STARTED and which in standing:
            stood = standing.pop(which)
            text = (
                f"{incarnation.node} ran agent {line['agent']} (epoch {line['epoch']}) again, which stood for the end of its migration, "
                f"{(line['mono_ns'] - stood['mono_ns']) / 1e6:g} ms later and without the log's word that it had been given up"
            )
            details = {"agent": line["agent"], "traces": [excerpt(stood), excerpt(line)]}
            findings.add("resumed-without-the-log", sentence(text), details=details)


def _pauses(incarnation: Incarnation, limit_s: float | None, findings: Findings) -> None:
    for line in incarnation.lines:
        if limit_s is None or line["event"] != "agent-switched" or line.get("pause_ns") is None:
            continue
        if line["pause_ns"] > float(limit_s) * 1e9:
            text = (
                f"the migration of agent {line['agent']} stopped it for {line['pause_ns'] / 1e6:g} ms "
                f"(allowed: {float(limit_s) * 1e3:g} ms)"
            )
            findings.add("long-pause", sentence(text), details={"agent": line["agent"], "traces": [excerpt(line)]})


def _stats(traces: Traces, epochs: Mapping[str, Mapping[int, Line]]) -> dict[str, Any]:
    lines = [line for incarnation in traces for line in incarnation.lines]
    switched = [line for line in lines if line["event"] == "agent-switched"]
    return {
        "agents": len(epochs),
        "placements": sum(map(len, epochs.values())),
        "migrations": len(switched),
        "pause_ms": quantiles_ms([line["pause_ns"] for line in switched if line.get("pause_ns") is not None]),
        "keys_lost": sum(line.get("keys", 0) for line in lines if line["event"] == "agent-lost"),
    }
