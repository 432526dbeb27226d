"""Raft's promises, checked line by line while a simulation runs: the first broken one is kept.

| promise | checked on |
|---|---|
| election safety: one leader a term | `leader` |
| one vote a term and node, terms never go back, over all incarnations | `vote`, `term`, `start` |
| a leader was elected by votes that were given, of more than half of the weight | `leader` |
| log matching: index and term name one entry and one predecessor | `append` |
| state-machine safety: every node applies the same entry at an index, in order | `apply` |
| leader completeness: a new leader holds every committed entry | `leader` |
| a commit is durable on more than half of the weight, and of the leader's own term | `commit` |
| the state never goes back within an incarnation | `snapshot-installed` |
| an acknowledged write is the committed entry of its index, forever | `ack` |

It is the simulator's tripwire: all traces are complete and in true order. `checkers` judge recorded runs, where neither is certain. A disk that loses
what was synced binds its node to nothing, so a run with such a fault is not watched (`failures.trial`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ..cluster.cluster import SimCluster
from ..errors import SafetyViolation

Line = Mapping[str, Any]


@dataclass
class _NodeView:
    """View of one node by its traces: its log as index → (term, crc) above `base`, and how far it is durable and applied."""

    base: int = 0
    log: dict[int, tuple[int, int]] = field(default_factory=dict)
    last: int = 0
    durable: int = 0
    applied: int = 0
    term: int = 0
    cuts: list[tuple[int, dict[int, tuple[int, int]]]] = field(default_factory=list)
    """Where the log was cut and what was there, while nothing after the cut is durable: a crash may undo it."""

    def cut(self, first: int) -> None:
        removed = {index: self.log.pop(index) for index in range(first, self.last + 1) if index in self.log}
        if removed:
            self.cuts.append((first, removed))
        self.last = min(self.last, first - 1)
        self.durable = min(self.durable, first - 1)

    def synced(self, index: int) -> None:
        """Record that an entry of this log is durable at `index`. So the cuts before it, or before what it follows, are durable too."""
        done = max((place for place, (first, _) in enumerate(self.cuts, 1) if first <= index), default=0)
        del self.cuts[:done]

    def boot(self, last: int, term: int) -> None:
        """Load the log of an earlier moment from the disk: the latest one at which entry `last` was of `term`."""
        while self.cuts and self.log.get(last, (None, 0))[0] != term:
            first, removed = self.cuts.pop()
            self.log = {index: entry for index, entry in self.log.items() if index < first} | removed
            self.last = max(removed)
        self.cuts.clear()

    def reset(self, index: int) -> None:
        self.log.clear()
        self.cuts.clear()
        self.base = self.last = self.durable = index


class Promises:
    """Raft's promises in one run: after `simulate(plan, watch=promises.attach)`, `broken` is the first broken one, as `kind: sentence`."""

    def __init__(self) -> None:
        self.broken: str | None = None
        self.committed_to = 0
        self._last_term = 0
        """The highest term that elected a leader so far."""
        self._nodes: dict[str, _NodeView] = {}
        self._leaders: dict[int, str] = {}
        self._votes: dict[tuple[str, int], str] = {}
        self._entries: dict[tuple[int, int], tuple[int, int | None]] = {}
        self._committed: dict[int, tuple[int, int]] = {}

    def attach(self, cluster: SimCluster) -> None:
        cluster.watchers.append(self._watch)

    def _watch(self, line: dict[str, Any]) -> None:
        if self.broken is not None:
            return
        try:
            self.see(line)
        except SafetyViolation as error:
            self.broken = error.message

    def see(self, line: Line) -> None:
        """Check a trace line. Raises `SafetyViolation`."""
        handler = _HANDLERS.get(line["event"])
        if handler is not None:
            handler(self, line, self._nodes.setdefault(line["node"], _NodeView()))

    def _start(self, line: Line, node: _NodeView) -> None:
        snapshot, last = line["snapshot_index"], line["last_index"]
        if line["term"] < node.term and not line.get("torn"):
            self._fail("term-went-back", line, f"its term was {node.term}")
        if last < node.durable and not line.get("torn"):
            self._fail("durable-entries-lost", line, f"its log was durable to {node.durable}")
        voted = self._votes.get((line["node"], line["term"]))
        if voted is not None and line["voted_for"] != voted and not line.get("torn"):
            self._fail("forgotten-vote", line, f"it voted for {voted} in that term")
        known_durable = node.durable
        node.boot(last, line["last_term"])
        if snapshot > node.last:
            node.reset(snapshot)
        node.cut(last + 1)
        node.cuts.clear()
        node.last, node.base = max(last, snapshot), max(node.base, snapshot)
        # What a boot finds may be in the page cache alone: only `durable` and `term` lines add knowledge.
        node.durable, node.applied = min(known_durable, node.last), 0
        node.term = min(node.term, line["term"])

    def _term(self, line: Line, node: _NodeView) -> None:
        if line["term"] < node.term:
            self._fail("term-went-back", line, f"its term was {node.term}")
        node.term = line["term"]

    def _vote(self, line: Line, node: _NodeView) -> None:
        known = self._votes.setdefault((line["node"], line["term"]), line["candidate"])
        if known != line["candidate"]:
            self._fail("two-votes", line, f"it voted for {known} in that term before")

    def _elected(self, line: Line, node: _NodeView) -> None:
        term, name = line["term"], line["node"]
        known = self._leaders.setdefault(term, name)
        if known != name:
            self._fail("two-leaders", line, f"{known} was elected in term {term} before")
        weight = sum(line["voters"].get(voter, 0) for voter in line["votes"])
        if 2 * weight <= sum(line["voters"].values()):
            self._fail("elected-without-quorum", line, f"its votes weigh {weight}")
        for voter in line["votes"]:
            if self._votes.get((voter, term)) != name:
                self._fail("vote-not-given", line, f"{voter} voted for {self._votes.get((voter, term))} in that term")
        if term > self._last_term:
            self._last_term = term
            self._complete(line, node)

    def _complete(self, line: Line, node: _NodeView) -> None:
        for index in range(node.base + 1, self.committed_to + 1):
            entry = self._committed.get(index)
            if entry is not None and entry[0] < line["term"] and node.log.get(index) != entry:
                self._fail(
                    "incomplete-leader", line, f"entry {index}, committed as {entry}, is {node.log.get(index)} there"
                )

    def _append(self, line: Line, node: _NodeView) -> None:
        for index, term, crc in line["entries"]:
            if index <= node.last:
                node.cut(index)
            if index != node.last + 1:
                self._fail("gap-in-log", line, f"entry {index} follows {node.last}")
            before = node.log.get(index - 1, (None, 0))[0]
            known = self._entries.setdefault((index, term), (crc, before))
            if known[0] != crc or (None not in (known[1], before) and known[1] != before):
                self._fail(
                    "log-mismatch", line, f"entry ({index}, {term}) was {known} before and is {(crc, before)} now"
                )
            node.log[index] = (term, crc)
            node.last = index

    def _truncate(self, line: Line, node: _NodeView) -> None:
        committed = [i for i in range(line["from"], node.last + 1) if self._committed.get(i) == node.log.get(i, 0)]
        if committed:
            self._fail("committed-entry-removed", line, f"entry {committed[0]} is committed")
        node.cut(line["from"])

    def _durable(self, line: Line, node: _NodeView) -> None:
        if node.log.get(line["index"], (None, 0))[0] == line["term"]:
            node.synced(line["index"])
        node.durable = max(node.durable, min(line["index"], node.last))

    def _commit(self, line: Line, node: _NodeView) -> None:
        index, voters = line["index"], line["voters"]
        entry = node.log.get(index)
        if entry is None:
            self._fail("commit-of-nothing", line, f"entry {index} is not in its log, which ends at {node.last}")
        if entry[0] != line["term"]:
            self._fail("commit-of-old-term", line, f"entry {index} is of term {entry[0]}")
        holders = [name for name in sorted(voters) if self._holds(name, index, entry)]
        weight = sum(voters[name] for name in holders)
        if 2 * weight <= sum(voters.values()):
            self._fail("commit-without-quorum", line, f"durable on {holders} alone")
        for below in range(self.committed_to + 1, index + 1):
            if below in node.log:
                self._commit_entry(line, below, node.log[below])
        self.committed_to = max(self.committed_to, index)

    def _holds(self, name: str, index: int, entry: tuple[int, int]) -> bool:
        node = self._nodes.get(name)
        return node is not None and (node.base >= index or (node.durable >= index and node.log.get(index) == entry))

    def _commit_entry(self, line: Line, index: int, entry: tuple[int, int]) -> None:
        known = self._committed.setdefault(index, entry)
        if known != entry:
            self._fail("two-entries-committed", line, f"entry {index} is {known} and {entry}")

    def _apply(self, line: Line, node: _NodeView) -> None:
        for index, term, crc in line["entries"]:
            if node.applied and index != node.applied + 1:
                self._fail("applied-out-of-order", line, f"{index} follows {node.applied}")
            node.applied = index
            self._commit_entry(line, index, (term, crc))

    def _ack(self, line: Line, node: _NodeView) -> None:
        if line["kind"] == "write" and line["index"] not in self._committed:
            self._fail("ack-of-uncommitted", line, f"nothing is committed at {line['index']}")

    def _installed(self, line: Line, node: _NodeView) -> None:
        if line["index"] > self.committed_to:
            self._fail("snapshot-of-uncommitted", line, f"committed is {self.committed_to}")
        if line["index"] < node.applied:
            self._fail("state-went-back", line, f"it had applied {node.applied}")
        keeps = node.log.get(line["index"], (None, 0))[0] == line["term"]
        node.applied = line["index"]
        if keeps:
            node.base = max(node.base, line["index"])
            node.durable = max(node.durable, line["index"])
        else:
            node.reset(line["index"])

    def _fail(self, kind: str, line: Line, why: str) -> NoReturn:
        short = {name: value if len(str(value)) < 200 else "…" for name, value in line.items()}
        raise SafetyViolation(f"{kind}: {line['node']} traced {short}, but {why}", "run the same seed and plan again")


_HANDLERS = {
    "start": Promises._start,
    "term": Promises._term,
    "vote": Promises._vote,
    "leader": Promises._elected,
    "append": Promises._append,
    "truncate": Promises._truncate,
    "durable": Promises._durable,
    "commit": Promises._commit,
    "apply": Promises._apply,
    "ack": Promises._ack,
    "snapshot-installed": Promises._installed,
}
