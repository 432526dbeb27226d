"""Checker `membership`: the nodes' views of the members agree in the end, and never go backwards.

Trace lines `view`: `epoch` (a number that grows with every change of the view) and `members` (a mapping of member to its incarnation number, or a
list of names). Within one life of a node epochs grow and no member's incarnation number falls. One epoch means one set of members on all nodes,
unless the option `epoch_is_global` is false. After the quiet period all nodes that are up have one view, which contains no node that is down.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from ...base.conclusion import all_of, conclude, sentence
from ...base.findings import Findings
from ...base.options import flag, settings_of
from ...base.result import Budget, CheckResult, RunRecord
from ...base.selection import NOTHING
from ...base.wording import show
from ...traces.columns import events, of
from ...traces.traces import Incarnation, Line, Traces, excerpt, read_traces
from ..liveness_bounds import down_at_end, perhaps_down_at_end

VIEW = "view"


class MembershipChecker:
    name = "membership"
    operations = NOTHING
    options = (
        flag("epoch_is_global", True, "an epoch stands for the same set of members on every node"),
        flag("expels", True, "views do not contain members that are down"),
    )

    def applies(self, record: RunRecord) -> bool:
        return VIEW in events(record.traces)

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        traces = read_traces(record)
        options = settings_of(record, self)
        findings = Findings()
        views = sum(_one_life(incarnation, findings) for incarnation in traces)
        if options["epoch_is_global"]:
            _one_epoch_one_set(traces, findings)
        down, perhaps_down = down_at_end(record), perhaps_down_at_end(record)
        last = {node: _last_view(traces, node) for node in traces.incarnations if node not in perhaps_down}
        here = frozenset(node for node in last if _lives(traces, node))
        if (record.is_run or "load_end" in record.phases) and "quiet_end" not in record.phases:
            # Faults that were not healed may have left no quorum, without which no view can change; a run that was interrupted gave views no time.
            doubts = ["the run had no complete quiet period, so the last views may not be final"]
        else:
            doubts = _agreement(last, down, here, options["expels"], findings)
        stats: dict[str, Any] = {"views": views, "nodes_up": len(last), "down": sorted(down)}
        converged_ms = _converged_ms(record, traces, last)
        if converged_ms is not None:
            stats["converged_ms_after_heal"] = converged_ms
        doubts += traces.problems
        if not views:
            doubts.append("no node traced a view")
        return conclude(self.name, findings, stats, all_of(doubts))


def members(line: Line) -> dict[str, int | None]:
    """Return by member its incarnation number, None where views carry none."""
    named = line["members"]
    return dict(named) if isinstance(named, Mapping) else dict.fromkeys(named)


def _one_life(incarnation: Incarnation, findings: Findings) -> int:
    """Judge that epochs and incarnation numbers of one life of a node do not fall. Returns how many views it had."""
    before: Line | None = None
    seen: dict[str, tuple[int, Line]] = {}
    count = 0
    for line in of(incarnation.lines, (VIEW,)):
        count += 1
        if before is not None and line["epoch"] < before["epoch"]:
            text = f"the view of {incarnation.node} went back from epoch {before['epoch']} to {line['epoch']}{_apart(before, line)}"
            findings.add("epoch-regressed", sentence(text), details={"traces": [excerpt(before), excerpt(line)]})
        before = line
        for member, number in members(line).items():
            if number is None:
                continue
            known = seen.get(member)
            if known is not None and number < known[0]:
                text = (
                    f"{incarnation.node} went back from incarnation {known[0]} of {member} to {number} in epoch {line['epoch']}"
                    f"{_apart(known[1], line)}"
                )
                details = {"member": member, "traces": [excerpt(known[1]), excerpt(line)]}
                findings.add("incarnation-regressed", sentence(text), details=details)
            seen[member] = (number, line)
    return count


def _apart(before: Line, line: Line) -> str:
    return f", {(line['mono_ns'] - before['mono_ns']) / 1e6:g} ms later"


def _one_epoch_one_set(traces: Traces, findings: Findings) -> None:
    first: dict[Any, Line] = {}
    for incarnation in traces:
        for line in of(incarnation.lines, (VIEW,)):
            before = first.setdefault(line["epoch"], line)
            if members(before).keys() != members(line).keys():
                text = f"epoch {line['epoch']} has the members {_named(before)} at {before['node']} and {_named(line)} at {line['node']}"
                details = {"epoch": line["epoch"], "traces": [excerpt(before), excerpt(line)]}
                findings.add("two-views-in-one-epoch", sentence(text), details=details)


def _named(line: Line) -> str:
    return " ".join(sorted(members(line))) or "(none)"


def _last_view(traces: Traces, node: str) -> Line | None:
    """Return the active view at the end of a node's last life; None when it traced none in it."""
    lines = traces.incarnations[node][-1].lines
    return next((line for line in reversed(lines) if line["event"] == VIEW), None)


def _lives(traces: Traces, node: str) -> bool:
    """Return whether the node's own last `lifecycle` line shows that it wants to be a member; a system that traces none gives no answer."""
    lines = traces.incarnations[node][-1].lines
    to = next((line["to"] for line in reversed(lines) if line["event"] == "lifecycle"), None)
    return to not in (None, "LEAVING", "REMOVED")


def _agreement(
    last: Mapping[str, Line | None], down: frozenset[str], here: frozenset[str], expels: bool, findings: Findings
) -> list[str]:
    """Judge that all nodes that are up have one last view, without those that are down and with those that did not leave (`here`). Returns what cannot
    be decided.
    """
    groups: dict[Hashable, list[Line]] = {}
    silent = []
    for node, line in sorted(last.items()):
        if line is None:
            silent.append(node)
        else:
            groups.setdefault(frozenset(members(line)), []).append(line)
    if len(groups) > 1:
        listed = "; ".join(
            f"{', '.join(line['node'] for line in lines)}: {_named(lines[0])}" for lines in groups.values()
        )
        details = {"traces": [excerpt(lines[0]) for lines in groups.values()]}
        findings.add("views-differ", sentence(f"the last views of nodes that are up differ: {listed}"), details=details)
    elif groups and expels:
        line = next(iter(groups.values()))[0]
        kept = sorted(down & members(line).keys())
        if kept:
            text = f"{', '.join(kept)} {'was' if len(kept) == 1 else 'were'} down to the end and is still in the view of epoch {show(line['epoch'])} at {line['node']}"
            findings.add("dead-member", sentence(text), details={"members": kept, "traces": [excerpt(line)]})
        absent = sorted(node for node in last if node in here and node not in members(line))
        if absent:
            text = f"{', '.join(absent)} {'is' if len(absent) == 1 else 'are'} up, did not leave, and {'is' if len(absent) == 1 else 'are'} not in the view of epoch {show(line['epoch'])} at {line['node']}"
            findings.add("absent-member", sentence(text), details={"members": absent, "traces": [excerpt(line)]})
    return [f"{node} traced no view since its last start" for node in silent]


def _converged_ms(record: RunRecord, traces: Traces, last: Mapping[str, Line | None]) -> float | None:
    """Return the time from the heal to the last change of any view that stayed."""
    healed_ns = record.phases.get("healed")
    lines = [line for line in last.values() if line is not None]
    if healed_ns is None or not lines or any(not traces.clocks.knows(line["node"]) for line in lines):
        return None
    latest_ns = max(traces.place(line).high_ns for line in lines)
    return round(max(0, latest_ns - healed_ns) / 1e6, 3)
