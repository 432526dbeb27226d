"""Configurations as nodes adopted them: which one is active, and that each is one weight step from the one before.

A configuration is active on a node from the moment it is in its log. `Adopted` follows one incarnation; where the trace does not show it (a
truncation behind the boot, an installed snapshot) it returns None rather than guess.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..base.findings import Findings
from ..base.quorum_weights import Weights, disjoint_quorums, names, show, steps_between, weights_of
from ..traces.traces import Line, excerpt


@dataclass(frozen=True, slots=True)
class _Entry:
    index: int | None
    """None: the configuration that the boot found, somewhere in the log it recovered."""
    weights: Weights
    line: Line


@dataclass(frozen=True, slots=True)
class Change:
    before: _Entry
    after: _Entry


@dataclass(slots=True)
class Adopted:
    """The configurations in the log of one incarnation, as far as known, oldest first."""

    _entries: list[_Entry] = field(default_factory=list)
    _boot_index: int = 0

    def start(self, line: Line) -> None:
        self._boot_index = line["last_index"]
        self._entries = [_Entry(None, weights_of(line["voters"]), line)]

    def forget(self) -> None:
        self._entries = []

    def truncate(self, first: int) -> None:
        if first <= self._boot_index:
            self._boot_index = first - 1
            self.forget()
        while self._entries and (self._entries[-1].index or 0) >= first:
            self._entries.pop()

    @property
    def in_force(self) -> Weights | None:
        return self._entries[-1].weights if self._entries else None

    def adopt(self, line: Line) -> Change | None:
        """Activate a configuration. Returns its change, to be judged when its entry is seen to be written."""
        index, weights = line["index"], weights_of(line["voters"])
        while self._entries and (self._entries[-1].index or -1) >= index:
            self._entries.pop()
        before = self._entries[-1] if self._entries else None
        self._entries.append(_Entry(index, weights, line))
        return None if before is None or before.weights == weights else Change(before, self._entries[-1])


def judge_step(change: Change, findings: Findings) -> None:
    """Judge that one entry changes one voter's weight by one: then any two quorums of neighbours intersect."""
    before, after = change.before.weights, change.after.weights
    steps = steps_between(before, after)
    if steps == 1:
        return
    line = change.after.line
    apart = disjoint_quorums(before, after)
    danger = (
        f"{names(apart[0])} is a quorum of the old ones and {names(apart[1])} of the new ones, and they share no node"
        if apart
        else "here their quorums still overlap, but nothing guarantees it"
    )
    findings.add(
        "config-step",
        f"Entry {line['index']} on {line['node']} changes the voters from {show(before)} to {show(after)}, {steps} weight steps at once where "
        f"one is safe: {danger}.",
        details={
            "index": line["index"],
            "trace": [excerpt(change.before.line), excerpt(line)],
            "disjoint_quorums": [list(side) for side in apart or ()],
        },
    )


def judge_order(change: Change, committed: int | None, findings: Findings) -> None:
    """Judge that a leader, whose commit index in its own term was `committed`, starts a configuration only after the one before is committed."""
    index, line = change.before.index, change.after.line
    if committed is not None and committed >= (index or 0):
        return
    waits = (
        f"the one at index {index} is not committed"
        if committed is not None
        else "it has committed no entry of its own term"
    )
    findings.add(
        "config-too-early",
        f"The leader {line['node']} started the configuration at index {line['index']} while {waits}: the next leader may hold neither "
        "(Raft dissertation, section 4.1, and its erratum of 2015).",
        details={"index": line["index"], "trace": [excerpt(change.before.line), excerpt(line)]},
    )
