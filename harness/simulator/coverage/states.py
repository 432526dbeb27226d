"""The names of the states that simulated runs should reach sometimes, and what many runs counted of them together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

STATES: Mapping[str, str] = {
    "leader-changed-with-writes-in-flight": "a leader was elected while writes of clients waited for an answer",
    "two-nodes-believed-to-lead": "a leader was elected while one of an earlier term had not stepped down yet",
    "leader-died": "a node that led was killed, or its host lost power",
    "leader-stopped-past-its-lease": "a node with lease reads that led was stopped for longer than its lease",
    "leader-deposed-by-silence": "a leader stepped down because no quorum answered it",
    "election-without-winner": "a term in which votes were given passed without a leader",
    "leadership-handed-over": "a leader asked another node to start an election",
    "vote-asked-with-a-stale-log": "a node was asked for its vote by one whose log is older than its own",
    "log-truncated-by-several": "a conflict removed more than one entry from a log",
    "old-term-committed-with-new": "entries of an earlier term were committed by one of the leader's own",
    "retried-command-applied-again": "a command was in the log twice and was applied at its second place",
    "snapshot-taken": "a node made a snapshot durable",
    "snapshot-installed": "a leader's snapshot replaced the state of a node",
    "snapshot-installed-under-a-partition": "the same while a link was cut",
    "booted-from-a-snapshot": "a process started on a snapshot and the log after it",
    "read-waited-out-a-leader-change": "a linearizable read that arrived under one leader was answered under a later one",
    "lease-read-served": "a leader answered a read under its lease",
    "voters-changed": "a node adopted other voters",
    "voters-changed-while-a-leader-is-cut-off": "the same while a node that believed to lead had a link cut",
    "voter-removed-itself": "a leader left the voters and stepped down",
    "quorum-lost-and-found": "a node that had lost contact with a quorum had it again",
    "unsynced-bytes-lost": "a power loss lost bytes that had not been synced",
    "write-torn": "a power loss left a part of one write on a disk",
    "torn-tail-cut-at-boot": "a process found its log's tail damaged, cut it and did not vote",
    "node-stopped-itself": "a node halted, because of its disk or to keep a promise",
    "wall-clock-moved-under-a-leader": "the wall clock of a node that led was set",
    "message-lost": "a message between nodes was lost although no link was cut",
    "message-repeated": "a message between nodes arrived twice",
    "message-overtaken": "a message between nodes arrived after later ones",
    "frame-for-a-half-open-connection": "a frame arrived for a connection that its receiver did not hold any more",
    "stale-timer-fired": "a timer that had been replaced or cancelled fired anyway",
}
"""Every state by name, with what was then seen."""


def merged(total: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    """Return the sum of the counts of two runs, or of two sums of runs."""
    return {name: total.get(name, 0) + more.get(name, 0) for name in STATES}


def unreached(counts: Mapping[str, int]) -> list[str]:
    return [name for name in STATES if not counts.get(name)]


def table(counts: Mapping[str, int], runs: int | None = None) -> Table:
    """Return a table for a person: every state, how often it was seen, and what it is. One that was never seen is red."""
    from rich.table import Table

    missing = len(unreached(counts))
    of_runs = "" if runs is None else f" in {runs} runs"
    shown = Table(title=f"{len(STATES) - missing} of {len(STATES)} states reached{of_runs}", title_justify="left")
    shown.add_column("state", no_wrap=True)
    shown.add_column("seen", justify="right")
    shown.add_column("what was seen")
    for name, meaning in STATES.items():
        seen = counts.get(name, 0)
        shown.add_row(name, str(seen), meaning, style=None if seen else "red")
    return shown
