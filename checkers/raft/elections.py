"""Elections as traced: which node voted for which, which won which term, and that terms only grow.

Every statement counts, from any node: a voter's own `vote` line, the `voted_for` its disk held at a boot, and a winner's list of the votes that it
got. A vote that was never traced proves nothing (Raft paper, section 5.2). What a boot found may have been only in the page cache, left there by a
process that was killed before its fsync; a power loss legitimately takes it back, if the node had not gone on with it. So it counts once a line that
waits for the disk follows in the same incarnation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..base.findings import Findings
from ..traces.traces import Line, excerpt


@dataclass(frozen=True, slots=True)
class _Cast:
    candidate: str
    line: Line


@dataclass(slots=True)
class _Memory:
    """State that one node has on its disk, by its own trace."""

    term: int = 0
    term_line: Line | None = None
    voted_term: int = 0
    vote_line: Line | None = None
    openly_forgotten: bool = False
    """Whether a boot since the vote found the log's tail damaged, and reported it."""
    boot: Line | None = None
    """The last `start` line, as long as no line that waits for the disk has followed it."""


@dataclass(slots=True)
class Ballots:
    """Votes and terms of all nodes; takes the lines of each node in order."""

    findings: Findings
    winners: dict[int, Line] = field(default_factory=dict)
    torn_boots: int = 0
    _casts: dict[tuple[str, int], _Cast] = field(default_factory=dict)
    _memories: dict[str, _Memory] = field(default_factory=dict)

    def start(self, line: Line, forgot: bool = False) -> None:
        """Judge what a boot found on the disk. `forgot`: a fault removed data from it, which is then not a broken promise. Its votes still count."""
        if forgot:
            self._memories.pop(line["node"], None)
        memory = self._memory(line)
        term, voted_for = line["term"], line.get("voted_for") or None
        if line.get("torn"):
            # Its last batch was damaged; it reported the loss, and does not vote before it has caught up.
            self.torn_boots += 1
            memory.openly_forgotten = True
        elif term < memory.term:
            self._regressed(line, memory, f"booted with term {term} on its disk")
        elif memory.openly_forgotten and line["last_term"] == term:
            # It was made whole by that term's leader, whose entry it holds: any other candidate of the term lacks that entry, and gets no
            # vote.
            pass
        elif voted_for is None and memory.vote_line is not None and memory.voted_term == term:
            self.findings.add(
                "forgotten-vote",
                f"{line['node']} put its vote of term {term} for {memory.vote_line['candidate']} on disk, but booted again (incarnation "
                f"{line['incarnation']}) in that term without it: it can vote twice.",
                details={"trace": [excerpt(memory.vote_line), excerpt(line)]},
            )
        memory.boot = line

    def synced(self, line: Line) -> None:
        """Record a line that waits for the disk: what the boot before it found is durable too."""
        memory = self._memory(line)
        boot, memory.boot = memory.boot, None
        if boot is None or boot["incarnation"] != line["incarnation"]:
            return
        if boot["term"] >= memory.term:
            memory.term, memory.term_line = boot["term"], boot
        if boot.get("voted_for"):
            self._cast(boot["node"], boot["term"], boot["voted_for"], boot)

    def term(self, line: Line) -> None:
        self.synced(line)
        memory = self._memory(line)
        if line["term"] < memory.term:
            self._regressed(line, memory, f"went to term {line['term']}")
            return
        memory.term, memory.term_line = line["term"], line

    def vote(self, line: Line) -> None:
        self.synced(line)
        memory = self._memory(line)
        if line["term"] < memory.voted_term:
            self._regressed(line, memory, f"voted in term {line['term']}")
        self._cast(line["node"], line["term"], line["candidate"], line)
        memory.voted_term, memory.vote_line, memory.openly_forgotten = line["term"], line, False
        if line["term"] > memory.term:
            memory.term, memory.term_line = line["term"], line

    def leader(self, line: Line) -> None:
        self.synced(line)
        term, node = line["term"], line["node"]
        won = self.winners.setdefault(term, line)
        if won is not line:
            again = " twice, in two elections" if won["node"] == node else f" and so was {won['node']}"
            self.findings.add(
                "two-leaders",
                f"{node} was elected leader of term {term}{again}: one term had two leaders.",
                details={"term": term, "trace": [excerpt(won), excerpt(line)]},
            )
        for voter in line["votes"]:
            self._cast(voter, term, node, line)

    def _cast(self, voter: str, term: int, candidate: str, line: Line) -> None:
        cast = self._casts.setdefault((voter, term), _Cast(candidate, line))
        if cast.candidate != candidate:
            self.findings.add(
                "double-vote",
                f"{voter} voted twice in term {term}: for {cast.candidate} (says {_source(cast.line)}) and for {candidate} (says {_source(line)}).",
                details={"term": term, "voter": voter, "trace": [excerpt(cast.line), excerpt(line)]},
            )

    def _regressed(self, line: Line, memory: _Memory, what: str) -> None:
        trace: list[Any] = [excerpt(known) for known in (memory.term_line, line) if known is not None]
        self.findings.add(
            "term-regressed",
            f"{line['node']} had put term {max(memory.term, memory.voted_term)} on disk and then {what}: a term never goes back.",
            details={"trace": trace},
        )

    def _memory(self, line: Line) -> _Memory:
        return self._memories.setdefault(line["node"], _Memory())


def _source(line: Line) -> str:
    return f"{line['node']}'s {line['event']!r} line {line['incarnation']}/{line['seq']}"
