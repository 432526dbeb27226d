"""Checker `crdt`: replicas that were delivered the same updates are in the same state, and states only grow.

It reads only trace lines, each about one `object`. `crdt-deliver` (`updates`: ids delivered for the first time, the replica's own among them; after a
boot all that it recovered, with `upto`); `crdt-state` (`digest`; optionally `clock`, `value` and `final`); `crdt-merge` (`before`, `received`,
`after`: clocks); `crdt-delta` and `crdt-full` (`from`, `low`, `high`); `crdt-add` (`update`, `element`) and `crdt-remove` (`update`, `element`,
`observed`: ids of the adds that it saw). A delivered set is one number, the exclusive or of its ids' hashes, so that comparing all states takes time
linear in the lines.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from tribulation.histories import canonical

from ...base.conclusion import all_of, conclude, sentence
from ...base.findings import Findings
from ...base.result import Budget, CheckResult, RunRecord
from ...base.selection import NOTHING
from ...base.wording import show
from ...traces.columns import events
from ...traces.traces import Incarnation, Line, excerpt, read_traces
from .crdt_sets import OrSet, Tags, survey_tags

PREFIX = "crdt-"


class CrdtChecker:
    name = "crdt"
    operations = NOTHING

    def applies(self, record: RunRecord) -> bool:
        return any(str(event).startswith(PREFIX) for event in events(record.traces))

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        traces = read_traces(record)
        survey = Survey(survey_tags(traces))
        for incarnation in traces:
            survey.walk(incarnation)
        survey.finish()
        doubts = list(traces.problems)
        if not survey.counts["compared"] and not survey.counts["merges"] and not survey.counts["deltas"]:
            doubts.append(
                "the traces have no two states after the same updates, no merge and no delta: nothing to compare"
            )
        return conclude(self.name, survey.findings, survey.counts, all_of(doubts))


@dataclass(slots=True)
class Replica:
    """One object in one life of a node, while its trace is whole. `untraced`: the creation of some delivered update was not traced."""

    delivered: set[Hashable] = field(default_factory=set)
    sum: int = 0
    clock: dict[str, int] = field(default_factory=dict)
    clock_line: Line | None = None
    upto: dict[str, int] = field(default_factory=dict)
    untraced: bool = False
    elements: OrSet = field(default_factory=OrSet)


@dataclass(slots=True)
class Survey:
    """Findings of the walk over all traces. `state_of`: (object, delivered set) → the first state seen of it."""

    tags: Tags
    findings: Findings = field(default_factory=Findings)
    state_of: dict[tuple[Hashable, int, int], Line] = field(default_factory=dict)
    finals: dict[Hashable, list[tuple[str, set[Hashable], Line]]] = field(default_factory=dict)
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("deliveries", "states", "compared", "merges", "deltas"), 0)
    )

    def walk(self, incarnation: Incarnation) -> None:
        """Walk the lines of one life, up to the first gap: after a gap it is unknown what was delivered."""
        replicas: dict[Hashable, Replica] = {}
        whole = incarnation.gaps[0] if incarnation.gaps else len(incarnation.lines)
        for line in incarnation.lines[:whole]:
            if not line["event"].startswith(PREFIX):
                continue
            replica = replicas.setdefault(canonical(line["object"]), Replica())
            match line["event"]:
                case "crdt-deliver":
                    self._deliver(replica, line)
                case "crdt-state":
                    self._state(replica, line)
                case "crdt-merge":
                    self._merge(line)
                case "crdt-delta" | "crdt-full":
                    self._delta(replica, line)

    def _deliver(self, replica: Replica, line: Line) -> None:
        name = canonical(line["object"])
        replica.upto.update(line.get("upto", {}))
        for update in map(canonical, line["updates"]):
            if update in replica.delivered:
                continue
            self.counts["deliveries"] += 1
            replica.delivered.add(update)
            replica.sum ^= _hash(update)
            if not self.tags.traced(name, update):
                replica.untraced = True
            replica.elements.deliver(update, self.tags, name)

    def _state(self, replica: Replica, line: Line) -> None:
        self.counts["states"] += 1
        name = canonical(line["object"])
        first = self.state_of.setdefault((name, len(replica.delivered), replica.sum), line)
        if first is not line:
            self.counts["compared"] += 1
            if first["digest"] != line["digest"]:
                text = (
                    f"{first['node']} and {line['node']} had been delivered the same {len(replica.delivered)} updates of {show(name)}, "
                    f"and their states differ: digest {show(first['digest'])} and {show(line['digest'])}"
                )
                self._found("states-differ", text, name, first, line, {"updates": _some(replica.delivered)})
        self._clock(replica, line, name)
        self._value(replica, line, name)
        if line.get("final"):
            self.finals.setdefault(name, []).append((line["node"], set(replica.delivered), line))

    def _clock(self, replica: Replica, line: Line, name: Hashable) -> None:
        """Judge that a state never shrinks within one life."""
        if "clock" not in line:
            return
        clock: Mapping[str, int] = line["clock"]
        for who, count in replica.clock.items():
            if clock.get(who, 0) < count and replica.clock_line is not None:
                text = f"the state of {show(name)} at {line['node']} went back: it had {count} updates of {who}, then {clock.get(who, 0)}"
                self._found("state-shrank", text, name, replica.clock_line, line, {"replica": who})
                break
        replica.clock, replica.clock_line = dict(clock), line

    def _value(self, replica: Replica, line: Line, name: Hashable) -> None:
        """Judge that an element is there exactly if some add of it was delivered that no delivered remove had seen."""
        if "value" not in line or name not in self.tags.objects or replica.untraced:
            return
        value = {canonical(element) for element in line["value"]}
        wanted = replica.elements.present()
        self.counts["compared"] += 1
        for element in sorted(wanted - value, key=repr)[:1]:
            add = self.tags.add_line(name, replica.elements.adds_of(element)[0])
            text = f"{show(element)} is missing from {show(name)} at {line['node']}, although an add of it was delivered that no delivered remove had seen"
            self._found("lost-add", text, name, add, line, {"element": element})
        for element in sorted(value - wanted, key=repr)[:1]:
            text = f"{show(element)} is in {show(name)} at {line['node']}, although every delivered add of it was seen by a delivered remove, or there is none"
            self._found("removed-element-back", text, name, line, line, {"element": element})

    def _merge(self, line: Line) -> None:
        """Judge merges: a join is the least state above both: per replica the larger count."""
        self.counts["merges"] += 1
        before, received, after = line["before"], line["received"], line["after"]
        for who in sorted(before.keys() | received.keys() | after.keys()):
            wanted = max(before.get(who, 0), received.get(who, 0))
            if after.get(who, 0) != wanted:
                text = (
                    f"{line['node']} joined {before.get(who, 0)} and {received.get(who, 0)} updates of {who} in {show(line['object'])} "
                    f"to {after.get(who, 0)}, not {wanted}"
                )
                self._found("join-is-no-least-upper-bound", text, line["object"], line, line, {"replica": who})
                return

    def _delta(self, replica: Replica, line: Line) -> None:
        """Judge deltas: one from `low` may be joined only where everything of its sender below `low` is there."""
        self.counts["deltas"] += 1
        sender, have = line["from"], replica.upto.get(line["from"], 0)
        if line["event"] == "crdt-delta" and line["low"] > have:
            text = (
                f"{line['node']} joined the updates {line['low']} to {line['high']} of {sender} to {show(line['object'])}, having those below {have} only: "
                f"{line['low'] - have} are missing between"
            )
            self._found("delta-gap", text, line["object"], line, line, {"have": have})
        replica.upto[sender] = max(have, line["high"])

    def finish(self) -> None:
        """Judge that at the end every node has been delivered what any has."""
        for name, states in self.finals.items():
            latest = {node: (delivered, line) for node, delivered, line in states}
            union = set().union(*(delivered for delivered, _ in latest.values()))
            for node, (delivered, line) in sorted(latest.items()):
                missing = union - delivered
                if missing:
                    update = min(missing, key=repr)
                    other, (_, has) = next(item for item in latest.items() if update in item[1][0])
                    text = f"at the end {node} lacks {len(missing)} updates of {show(name)} that {other} has, such as {show(update)}"
                    self._found("update-not-delivered", text, name, has, line, {"updates": _some(missing)})

    def _found(
        self, kind: str, text: str, name: Any, first: Line | None, second: Line, more: Mapping[str, Any]
    ) -> None:
        lines = [excerpt(second)] if first is None or first is second else [excerpt(first), excerpt(second)]
        apart = None
        if first is not None and first is not second and first["node"] == second["node"]:
            apart = (second["mono_ns"] - first["mono_ns"]) / 1e6
            text = f"{text}, {apart:g} ms later"
        self.findings.add(kind, sentence(text), details={"object": name, "traces": lines, "apart_ms": apart, **more})


def _hash(update: Hashable) -> int:
    return int.from_bytes(blake2b(repr(update).encode(), digest_size=16).digest(), "big")


def _some(updates: set[Hashable]) -> list[Any]:
    return sorted(updates, key=repr)[:10]
