"""A migration brings an agent's whole state: what begins at the target is what stood at the source.

Trace lines: `agent-switched` (`agent`, `epoch`, `digest`) of the source, which no longer changes the agent, and `agent-placed` (`agent`, `epoch`,
`origin`, `digest`) of the target. Both name the epoch that the switch granted, so no clock is needed.
"""

from __future__ import annotations

from ...base.conclusion import sentence
from ...base.findings import Findings
from ...traces.traces import Line, Traces, excerpt

SWITCHED, PLACED = "agent-switched", "agent-placed"


def whole_state_moves(traces: Traces, findings: Findings) -> None:
    """Report migrations after which the target began with another state than the source had."""
    left: dict[tuple[str, int], Line] = {}
    begun: dict[tuple[str, int], Line] = {}
    for incarnation in traces:
        for line in incarnation.lines:
            if line["event"] == SWITCHED:
                left[line["agent"], line["epoch"]] = line
            elif line["event"] == PLACED and line.get("origin") == "migration":
                begun[line["agent"], line["epoch"]] = line
    for which, source in sorted(left.items()):
        target = begun.get(which)
        if target is None or None in (source.get("digest"), target.get("digest")):
            continue
        if source["digest"] != target["digest"]:
            text = (
                f"agent {which[0]} moved from {source['node']} to {target['node']} (epoch {which[1]}) and began there with "
                "another state than it had when it left"
            )
            details = {"agent": which[0], "epoch": which[1], "traces": [excerpt(source), excerpt(target)]}
            findings.add("moved-with-another-state", sentence(text), details=details)
