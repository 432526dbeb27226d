"""Reading of the trace lines of an incarnation: facts for the survey, and violations that a single node's order of lines already proves.

Lines of one node may be released slightly out of order, when they wait for different disk writes; nothing here relies on the order of such lines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..base.findings import KEEP_PER_KIND
from ..traces.state_digests import scheme_of
from ..traces.traces import FOREVER_NS, Incarnation, Interval, Line, excerpt
from .elections import Ballots
from .facts import Part, Reign, Survey, round_form
from .membership import Adopted, Change, judge_order, judge_step
from .structures.durability import DurableHistory, Moment
from .structures.log import NodeLog


@dataclass(slots=True)
class Jump:
    """A skip of entries when applying. An installed snapshot may explain it, and its line may come later, since it waits for the disk.

    `settled`: an entry written after it became durable. Writes finish in order, so that line has come if there is one.
    """

    line: Line
    index: int
    expected: int
    settled: bool = False


class Walk:
    """State of one incarnation while its lines are read in order."""

    def __init__(
        self, facts: Survey, ballots: Ballots, incarnation: Incarnation, history: DurableHistory, ordinal: int
    ) -> None:
        self.facts = facts
        self.findings = facts.findings
        self.ballots = ballots
        self.incarnation = incarnation
        self.history = history
        self.first_ordinal = ordinal
        self.ordinal = ordinal
        self.at = facts.traces.place(incarnation.lines[0])
        self.log = NodeLog()
        self.adopted = Adopted()
        self.unwritten: dict[int, tuple[Change, int | None]] = {}
        self.reign: Reign | None = None
        self.committed: int | None = None
        self.next_apply: int | None = None
        self.jumps: list[Jump] = []
        self.installed: set[int] = set()
        self.truncated_as_leader: Line | None = None
        self.losses: Sequence[tuple[int, int]] = ()
        """When a fault removed synced data from the node's disk."""
        self.gaps = frozenset(incarnation.gaps)
        self.position = 0
        self.part = len(facts.parts)
        facts.parts.append(Part(incarnation, ordinal))

    @property
    def moment(self) -> Moment:
        """The place of the line that is being read."""
        return Moment(self.incarnation.node, self.ordinal, self.at)

    def read(self, position: int, line: Line, at: Interval) -> None:
        """Take the line at this position in. Lines before it that are not read were of no interest, or `place` was called."""
        if position and line["event"] == "start":
            self.history.saw(self.moment)
        self.place(position, at)
        if position in self.gaps:
            self._lose_track()
        handler = HANDLERS.get(line["event"])
        if handler is not None:
            handler(self, line)

    def place(self, position: int, at: Interval) -> None:
        self.position, self.ordinal, self.at = position, self.first_ordinal + position, at

    @property
    def row(self) -> tuple[int, int, int, int]:
        """The place of the line, for a row of facts."""
        return self.part, self.position, *self.at

    def end(self, following: Incarnation | None) -> None:
        """End the incarnation. What its lost last lines may have explained is dropped."""
        for jump in self.jumps:
            if jump.settled and jump.index - 1 not in self.installed:
                self._skipped(jump)
        if self.reign is not None:
            until = FOREVER_NS if following is None else self.facts.traces.place(following.lines[0]).high_ns
            self.reign.ends = Interval(self.at.low_ns, until)

    def _lose_track(self) -> None:
        self.log.forget()
        self.adopted.forget()
        self.unwritten.clear()
        self.next_apply = None
        self.truncated_as_leader = None
        self._step_down()

    def _step_down(self) -> None:
        if self.reign is not None:
            self.reign.ends = self.at
        self.reign, self.committed = None, None

    # -- elections and terms

    def start(self, line: Line) -> None:
        at = self.at
        forgot = any(at.high_ns >= from_ns and at.low_ns <= to_ns for from_ns, to_ns in self.losses)
        self.ballots.start(line, forgot)
        self.adopted.start(line)
        self.log.reset(line["last_index"], line["last_term"])
        self.next_apply = line["snapshot_index"] + 1
        self.history.booted(
            self.incarnation.number, line["last_index"], line["last_term"], bool(line.get("torn")), self.moment, forgot
        )

    def term(self, line: Line) -> None:
        self.ballots.term(line)
        if self.reign is not None and line["term"] > self.reign.term:
            self._step_down()

    def vote(self, line: Line) -> None:
        self.ballots.vote(line)

    def leader(self, line: Line) -> None:
        self.ballots.leader(line)
        self._step_down()
        last_index = line["last_index"]
        begins = self.at
        in_force = self.adopted.in_force
        self.reign = Reign(
            line, last_index, self.log.term(last_index), in_force, begins, Interval(begins.low_ns, FOREVER_NS)
        )
        self.facts.reigns.append(self.reign)
        self.truncated_as_leader = None

    def follower(self, line: Line) -> None:
        # It waits for the disk, so it may come late; it never ends a reign that began after it.
        if self.reign is not None and line["term"] >= self.reign.term:
            self._step_down()

    # -- the log

    def append(self, line: Line) -> None:
        log, add = self.log, self.facts.tree.add
        reign_term = -1 if self.reign is None else self.reign.term
        previous_index, previous_term = -1, None
        for index, term, crc in line["entries"]:
            if index <= log.last and term == reign_term:
                self._overwritten(line, index, term)
            if index - 1 != previous_index:
                previous_term = log.term(index - 1)
            if self.unwritten and index in self.unwritten:
                self._config_written(index, term == reign_term)
            add(index, term, crc, previous_term)
            log.append(index, term)
            if term != previous_term and previous_index == index - 1 and previous_term is not None:
                self.history.written(previous_index, previous_term, self.at.low_ns, self.ordinal)
            previous_index, previous_term = index, term
        if previous_term is not None:
            self.history.written(previous_index, previous_term, self.at.low_ns, self.ordinal)
        if self.truncated_as_leader is not None and line["entries"] and line["entries"][-1][1] == reign_term:
            self._prove_truncation(line)

    def truncate(self, line: Line) -> None:
        if self.reign is not None and line["from"] <= self.log.last:
            self.truncated_as_leader = line
        self.log.truncate(line["from"])
        self.unwritten.clear()
        self.adopted.truncate(line["from"])

    def snapshot_installed(self, line: Line) -> None:
        index, term = line["index"], line["term"]
        if self.next_apply is not None and index >= self.next_apply:
            self.next_apply = index + 1
        if self.log.term(index) != term and (self.log.last <= index or self.log.term(index) is not None):
            self.log.reset(index, term)
            self.adopted.forget()
        self.installed.add(index)
        self.history.written(index, term, self.at.low_ns, self.ordinal)
        self.history.durable(index, term, self.at.low_ns, self.ordinal)
        self._digest(line)

    def durable(self, line: Line) -> None:
        self.ballots.synced(line)
        for jump in self.jumps:
            jump.settled = jump.settled or line["index"] > jump.index
        if line["term"] is not None:
            self.history.durable(line["index"], line["term"], self.at.low_ns, self.ordinal)

    def config(self, line: Line) -> None:
        """Activate a configuration at once. Its entry's own line comes after it, if this node wrote it; one that a snapshot brought has none."""
        change = self.adopted.adopt(line)
        if change is not None and line["index"] > self.log.last:
            self.unwritten[line["index"]] = (change, self.committed)
        self.facts.configs.append((line, self.moment))

    def _config_written(self, index: int, led: bool) -> None:
        change, committed = self.unwritten.pop(index)
        judge_step(change, self.findings)
        if led:
            judge_order(change, committed, self.findings)

    # -- committing and applying

    def commit(self, line: Line) -> None:
        index = line["index"]
        reign_term = None if self.reign is None else self.reign.term
        leader_term = line.get("term") if reign_term is None else reign_term
        self.facts.commits.add(self.row, line, leader_term, self.log.term(index), self.adopted.in_force)
        if self.reign is None:
            return
        if self.committed is not None and index < self.committed:
            self.findings.add(
                "commit-regressed",
                f"The leader {line['node']} of term {reign_term} moved its commit index back from {self.committed} to {index}.",
                details={"trace": [excerpt(line)]},
            )
        if 0 <= self.log.last < index:
            self.findings.add(
                "commit-beyond-log",
                f"The leader {line['node']} of term {reign_term} committed index {index}, but its log ends at {self.log.last}.",
                details={"trace": [excerpt(line)]},
            )
        self.committed = index
        if self.truncated_as_leader is not None:
            self._prove_truncation(line)

    def apply(self, line: Line) -> None:
        applied, add, expected = self.facts.applied, self.facts.tree.add, self.next_apply
        for entry in line["entries"]:
            index, term, crc = entry
            known = applied.first(entry)
            if known[1] != term or known[2] != crc:
                self.facts.applied_conflicts.append((known, entry))
            add(index, term, crc, None)
            if expected is not None and index != expected:
                self._jumped(line, index, expected)
            expected = index + 1
        self.next_apply = expected

    def ack(self, line: Line) -> None:
        if line["kind"] == "write":
            self.facts.acks.add(self.row, line, self.log.term(line["index"]), self._acking_term(line))

    def _acking_term(self, line: Line) -> int | None:
        """Return the term that the node led when it answered; None if it did not lead, or that is unknown.

        The line of its stepping down waits for the disk, and answers that a later leader gave it to pass on may come before that line. An entry of a
        later term, or the removal of its own entries, shows that it no longer led.
        """
        if self.reign is None or self.truncated_as_leader is not None:
            return None
        newest = max(line.get("term") or 0, self.log.term(self.log.last) or 0)
        return self.reign.term if newest <= self.reign.term else None

    def read_confirmed(self, line: Line) -> None:
        form = round_form(line["node"], line["acks"], line["voters"])
        self.facts.confirmations.add(self.row, line["index"], form)

    def lease(self, line: Line) -> None:
        self.facts.leases.add(self.row, 0, (line["node"], line["clock"]))

    def snapshot(self, line: Line) -> None:
        self._digest(line)

    def digest(self, line: Line) -> None:
        self._digest(line)

    def _digest(self, line: Line) -> None:
        if line.get("digest") is None:
            return
        group = "digest" if line["event"] == "digest" else "snapshot"
        known = self.facts.digests.setdefault((group, line["index"], scheme_of(line["digest"])), line)
        if known["digest"] != line["digest"]:
            self.findings.add(
                "state-diverged",
                f"{known['node']} and {line['node']} applied the same log up to index {line['index']}, but their states differ "
                f"({known['digest']} and {line['digest']}).",
                details={"index": line["index"], "trace": [excerpt(known), excerpt(line)]},
            )

    # -- violations that one node's own lines prove

    def _overwritten(self, line: Line, index: int, term: int) -> None:
        old_term = self.log.term(index)
        if old_term is None or old_term == term:
            return
        self.findings.add(
            "leader-overwrote",
            f"{line['node']}, leading term {term}, replaced entry {index} of term {old_term} in its own log: a leader only appends.",
            details={"index": index, "trace": [excerpt(line, index)]},
        )

    def _prove_truncation(self, proof: Line) -> None:
        """Report a leader that removed its entries: it went on to act as leader of the same term, so it led when it removed them."""
        line = self.truncated_as_leader
        self.truncated_as_leader = None
        if line is None or self.reign is None:
            return
        self.findings.add(
            "leader-truncated",
            f"{line['node']}, leading term {self.reign.term}, removed its own entries from index {line['from']} on: a leader only appends.",
            details={"trace": [excerpt(self.reign.line), excerpt(line), excerpt(proof)]},
        )

    def _jumped(self, line: Line, index: int, expected: int) -> None:
        if index > expected:
            if index - 1 not in self.installed and len(self.jumps) < KEEP_PER_KIND:
                self.jumps.append(Jump(line, index, expected))
            return
        self.findings.add(
            "applied-again",
            f"{line['node']} applied entry {index} again in incarnation {line['incarnation']}; the next one was to be {expected}.",
            details={"index": index, "trace": [excerpt(line, index)]},
        )

    def _skipped(self, jump: Jump) -> None:
        node, incarnation = self.incarnation.node, self.incarnation.number
        self.findings.add(
            "apply-gap",
            f"{node} applied entry {jump.index} in incarnation {incarnation} without the ones from {jump.expected} on, "
            "and no installed snapshot explains it.",
            details={"index": jump.index, "trace": [excerpt(jump.line, jump.index)]},
        )


HANDLERS: dict[str, Callable[[Walk, Line], None]] = {
    "start": Walk.start,
    "term": Walk.term,
    "vote": Walk.vote,
    "leader": Walk.leader,
    "follower": Walk.follower,
    "append": Walk.append,
    "truncate": Walk.truncate,
    "snapshot-installed": Walk.snapshot_installed,
    "durable": Walk.durable,
    "config": Walk.config,
    "commit": Walk.commit,
    "apply": Walk.apply,
    "ack": Walk.ack,
    "read-confirmed": Walk.read_confirmed,
    "lease": Walk.lease,
    "snapshot": Walk.snapshot,
    "digest": Walk.digest,
}
