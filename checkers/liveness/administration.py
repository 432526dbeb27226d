"""Checker `administration`: answers to administrators are true, and their requests take effect.

In a simulated run every request for other voters is known with its answer. One that was answered ok must be in the log: the active configuration at
the index of the answer has the requested weights. A request that failed although no fault touched the leader, or a quorum before and after the
change, is without effect. A leader that nothing disturbed appends no configuration most of whose weight has been down for long: it would have no
quorum. On hosts a change that no node confirmed, while no other fault was near, is a doubt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..base.findings import Findings
from ..base.result import Budget, CheckResult, Fault, RunRecord, Verdict
from ..base.selection import NOTHING
from ..base.wording import seconds
from ..faults.kinds import STOPS, called, changes_voters, stopped, touched
from ..traces.columns import of
from ..traces.traces import FOREVER_NS, Incarnation, Line, Traces, excerpt, read_traces
from .served import ASKED, followings, healthy, is_near
from .simulated_truth import Administered, Truth, known_truth

VOTERS = "voters"
RIGHTLY_REFUSED = frozenset({"busy", "not-voter", "superseded", "bad-request"})
"""Errors that explain why a change was not begun, or was given up for another."""


class AdministrationChecker:
    name = "administration"
    operations = NOTHING

    def applies(self, record: RunRecord) -> bool:
        return bool(record.truth.get("administered")) or any(map(changes_voters, record.faults))

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        findings, truth = Findings(), known_truth(record)
        asked = [one for one in (truth.administered if truth is not None else ()) if one.what == VOTERS]
        stats: dict[str, Any] = {"asked": len(asked), "ok": sum(one.status == "ok" for one in asked)}
        if truth is not None and any(record.traces.values()):
            traces = read_traces(record)
            _answered_ok(asked, traces, findings)
            _without_effect(asked, record, truth, traces, findings)
            _without_quorum(record, truth, traces, findings)
        if findings.counts:
            return CheckResult(self.name, Verdict.INVALID, tuple(findings.kept), stats)
        doubts = _unconfirmed(record)
        return CheckResult(
            self.name, Verdict.UNKNOWN if doubts else Verdict.VALID, (), stats, "; ".join(doubts) or None
        )


def _answered_ok(asked: Sequence[Administered], traces: Traces, findings: Findings) -> None:
    commits = sorted((line for life in traces for line in of(life.lines, ("commit",))), key=lambda line: line["index"])
    for one in asked:
        if one.status != "ok" or one.index is None:
            continue
        force = _in_force(commits, one.index)
        if force is not None and _weights(force["voters"]) != _weights(one.voters):
            text = (
                f"The voters {_weights(one.voters)} were asked of {one.node} at {seconds(one.at_ns)} and answered ok at index {one.index} of the log, "
                f"where {_weights(force['voters'])} vote."
            )
            findings.add("acknowledged-without-effect", text, details={"traces": [excerpt(force)]})


def _in_force(commits: Sequence[Line], index: int) -> Line | None:
    """Return the latest commit that is not beyond the index."""
    return next((line for line in reversed(commits) if line["index"] <= index), None)


def _weights(voters: Mapping[str, int]) -> dict[str, int]:
    return {node: weight for node, weight in sorted(voters.items()) if weight}


def _without_effect(
    asked: Sequence[Administered], record: RunRecord, truth: Truth, traces: Traces, findings: Findings
) -> None:
    failed = [one for one in asked if one.status not in (None, "ok") and one.error not in RIGHTLY_REFUSED]
    if not failed or not truth.fair or not truth.lossless:
        return
    known = followings(traces)
    for one in failed:
        until_ns = one.answered_ns or one.at_ns
        if until_ns - one.at_ns < truth.election_ns + truth.patience_ns:
            continue
        following = healthy(record, truth, known, one.node, (one.at_ns, until_ns), _weights(one.voters))
        if following is not None:
            text = (
                f"The voters {_weights(one.voters)} were asked of {one.node} at {seconds(one.at_ns)}, and it answered {one.error} at {seconds(until_ns)}, although "
                f"{following.leader} led all the time and no fault touched it, or a quorum."
            )
            findings.add("change-without-effect", text, details={"node": one.node, "error": one.error})


def _without_quorum(record: RunRecord, truth: Truth, traces: Traces, findings: Findings) -> None:
    """Report configurations that a leader appended although half of their weight or more had been down for over two election timeouts."""
    stops = [fault for fault in record.faults if fault.kind in STOPS and fault.verified]
    if not truth.fair or not stops:
        return
    boots = [(life.node, traces.place(life.start)) for life in traces if life.start is not None]
    for config in (line for life in traces for line in _proposed(life)):
        at_ns = traces.place(config).low_ns
        from_ns = at_ns - 2 * truth.election_ns - truth.settle_ns
        near = [fault for fault in record.faults if fault.kind not in ASKED and is_near(fault, from_ns, at_ns)]
        if any(config["node"] in touched(fault) for fault in near):
            continue
        down = {node for fault in stops if _lasts(fault, from_ns, at_ns) for node in stopped(fault)}
        down -= {node for node, boot in boots if from_ns <= boot.high_ns and boot.low_ns <= at_ns}
        weights = _weights(config["voters"])
        if 2 * sum(weight for node, weight in weights.items() if node in down) >= sum(weights.values()):
            text = (
                f"The leader {config['node']} changed the voters to {weights} at {seconds(at_ns)}, although {', '.join(sorted(down))} had been down since "
                f"{seconds(from_ns)} or longer: the others are not a quorum."
            )
            findings.add("change-without-quorum", text, details={"traces": [excerpt(config)]})


def _lasts(fault: Fault, from_ns: int, to_ns: int) -> bool:
    """Return whether the fault was certainly on from one moment to the other."""
    heal_ns = FOREVER_NS if fault.heal_ns is None else fault.heal_ns
    return fault.injected_ns is not None and fault.injected_ns <= from_ns and to_ns < heal_ns


def _proposed(life: Incarnation) -> Iterable[Line]:
    """Yield the configurations that the node appended as leader: their entries have a term that it led."""
    if not of(life.lines, ("config",)):
        return
    led, adopted = set[int](), dict[int, Line]()
    for line in of(life.lines, ("leader", "config", "append")):
        if line["event"] == "leader":
            led.add(line["term"])
        elif line["event"] == "config":
            adopted[line["index"]] = line
        elif adopted:
            for index, term, _ in line["entries"]:
                config = adopted.pop(index, None)
                if config is not None and term in led:
                    yield config


def _unconfirmed(record: RunRecord) -> list[str]:
    """Return changes that were not observed to take effect, without another fault that may be the reason."""
    end_ns = record.phases.get("end", record.history.duration_ns)
    found = []
    for fault in record.faults:
        if not changes_voters(fault) or fault.verified or fault.injected_ns is None:
            continue
        until_ns = fault.seen_ns if fault.seen_ns is not None else end_ns
        others = [other for other in record.faults if other is not fault and other.start_ns < until_ns]
        if not any(other.over_ns is None or other.over_ns > fault.start_ns for other in others):
            found.append(
                f"the {called(fault.kind)} {fault.id} was not seen to take effect, although no other fault was active"
            )
    return found
