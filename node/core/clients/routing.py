"""Routing of commands to the leader.

A command waits for a leader, is proposed here, or is forwarded with the term of the leader that it is meant for. A node that refuses a forward of
term t refuses it forever, because it never leads t again. The command may then go to another node. The refusal is definite if the node knows that it
did not propose an earlier copy of the forward: links may deliver one twice, and in between the node may have been deposed or restarted. If the
refusal is not definite, or the leader changes without an answer, the command is sent to the next leader *in doubt*. Its session makes it take effect
once. Only the answer of the state machine, or the deadline, ends a command in doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...bounded import within
from ...config.node import MS, weights_problem
from ...flaws.switch import Flaws
from ..interface.messages import Forward, ForwardReply
from ..interface.outbox import Outbox
from ..interface.signals import LeaderChanged, NotProposed, Propose, Proposed, SetVoters, Transfer
from ..records.commands import well_formed
from . import replies
from .pending import Origin, Pending, Stage, Table
from .replies import Body
from .request import Calls

NOT_LEADER = "not-leader"
MOST_TAKEN = 4096
"""Forwards of commands without a session that a leader remembers. A repeat that arrives after so many others takes effect again."""


class Router:
    def __init__(
        self,
        out: Outbox,
        incarnation: int,
        table: Table,
        finish: Callable[[Pending, Body], None],
        calls: Calls,
        known: Callable[[], Sequence[str]],
        flaws: Flaws,
    ) -> None:
        self._calls, self._known, self._flaws = calls, known, flaws
        self._out = out
        self._incarnation = incarnation
        self._table = table
        self._finish = finish
        self.leader: str | None = None
        self.term = 0
        self.here = False
        self.contact = True
        self.taken: dict[Origin, None] = {}
        """Forwards of commands without a session that were proposed here; a repeat of one is ignored. The term in it means that no other leader could
        accept it.
        """
        self._led: int | None = None
        """The last term that this life of the node led. It does not know what an earlier life proposed."""
        self._proposed: dict[str, tuple[int, int]] = {}
        """Peer → its incarnation, and the highest number of its forwards that was proposed here. Its numbers rise."""

    def route(self, now_ns: int, pending: Pending) -> None:
        """Propose, forward, hold or refuse the command, depending on the current leader."""
        if self.here:
            self._propose(pending)
        elif self.leader is not None:
            self._forward(now_ns, pending)
        elif not self.contact and not pending.doubt:
            self._finish(pending, replies.no_quorum(None, "command"))
        else:
            pending.stage = Stage.WAITING

    def take_forward(self, now_ns: int, pending: Pending) -> None:
        """Handle a command forwarded by another node: only the leader of the exact term that it was sent to accepts it."""
        assert pending.origin is not None
        if not self._well_formed(pending.work):
            self._finish(pending, replies.failed("bad-request", "a forwarded command is malformed"))
        elif not (self.here and self.term == pending.origin.term):
            self._finish(pending, self._refusal(pending.origin))
        else:
            if self._sent_once(pending):
                self._remember(pending.origin)
            self._propose(pending)

    def _remember(self, origin: Origin) -> None:
        self.taken[origin] = None
        if len(self.taken) > MOST_TAKEN:
            del self.taken[next(iter(self.taken))]

    def _sent_once(self, pending: Pending) -> bool:
        return (
            pending.work is not None
            and "command" in pending.work
            and pending.work["command"][0] in self._calls.sent_once
        )

    def on_proposed(self, signal: Proposed) -> None:
        pending = self._table.by_token.get(signal.token)
        if pending is not None:
            pending.stage, pending.index, pending.term = Stage.PROPOSED, signal.index, signal.term
            self._table.proposed[signal.index] = signal.token
            if (origin := pending.origin) is not None:
                number = (origin.incarnation, origin.id)
                self._proposed[origin.peer] = max(number, self._proposed.get(origin.peer, number))

    def on_not_proposed(self, signal: NotProposed) -> None:
        pending = self._table.by_token.get(signal.token)
        if pending is None:
            return
        if pending.origin is not None:
            self.taken.pop(pending.origin, None)
        if pending.origin is not None and not signal.retry:
            self._finish(pending, self._refusal(pending.origin))
        else:
            pending.stage = Stage.WAITING

    def on_leader(self, now_ns: int, signal: LeaderChanged) -> None:
        """Settle what the old leadership left open, and route again what can continue."""
        self.leader, self.term, self.here = signal.leader, signal.term, signal.here
        if self.here:
            self._led = self.term
        for pending in list(self._table.by_token.values()):
            if (pending.stage is Stage.PROPOSED and not (self.here and pending.term == self.term)) or (
                pending.stage is Stage.ADMIN and not self.here
            ):
                self._settle(pending)
            elif pending.stage is Stage.WAITING and pending.origin is not None:
                self.take_forward(now_ns, pending)
            elif pending.stage is Stage.WAITING and self.leader is not None:
                self.route(now_ns, pending)
            elif pending.stage is Stage.FORWARDED and self.leader is not None and pending.term != self.term:
                self._again(now_ns, pending)

    def _settle(self, pending: Pending) -> None:
        """Answer a request whose leadership ended: whether it takes effect is unknown."""
        if self._flaws.unknown_reported_as_failed:
            self._finish(pending, replies.failed("leader-changed", f"the leader of term {pending.term} was deposed"))
        elif not (self._flaws.answered_by_index_alone and pending.stage is Stage.PROPOSED):
            self._finish(pending, replies.deposed(pending.term))

    def on_quorum(self, now_ns: int, contact: bool) -> None:
        """Refuse the commands that were not tried, after one election timeout without contact with a quorum."""
        self.contact = contact
        if contact:
            return
        for pending in self._table.at(Stage.WAITING, Stage.READING):
            if pending.origin is None and not pending.doubt:
                what = "read" if pending.stage is Stage.READING else "command"
                self._finish(pending, replies.no_quorum(None, what))

    def on_connection(self, now_ns: int, peer: str) -> None:
        if peer == self.leader:
            for pending in self._table.at(Stage.FORWARDED):
                self._again(now_ns, pending)

    def on_forward_reply(self, now_ns: int, message: ForwardReply) -> None:
        pending = self._table.by_token.get(message.id)
        if pending is None or pending.origin is not None:
            return
        if message.incarnation != self._incarnation and not self._flaws.late_answer_of_an_earlier_life:
            return
        if pending.stage is Stage.AWAITING:
            return  # Answered before, by an attempt that was sent twice.
        body = message.body
        if body.get("error") == NOT_LEADER:
            if body.get("term") == pending.term and pending.stage is Stage.FORWARDED:
                self._on_refusal(now_ns, pending, body.get("definite") is True)
        elif pending.doubt and body.get("error") == "session-expired":
            self._finish(
                pending, replies.unknown("session-expired", "the session was evicted while an earlier attempt was open")
            )
        else:
            self._finish(pending, dict(body))

    def _on_refusal(self, now_ns: int, pending: Pending, definite: bool) -> None:
        if not definite and self._sent_once(pending):
            self._finish(pending, replies.unsure())
            return
        pending.doubt = pending.doubt or not definite
        if self.leader is None or self.term != pending.term:
            self.route(now_ns, pending)
        else:
            pending.stage = Stage.WAITING

    def _well_formed(self, work: Any) -> bool:
        if not isinstance(work, Mapping):
            return False
        if "command" in work:
            command = work["command"]
            if not isinstance(command, list) or not command:
                return False
            if not isinstance(command[0], str) or not within(command):
                return False
            if command[0] in self._calls.for_clients:
                return len(command) == 2 and self._calls.problem(command[0], command[1]) is None
            return well_formed(command)
        if "transfer" in work:
            return isinstance(work["transfer"], str) and work["transfer"] in self._known()
        voters = work.get("voters")
        return isinstance(voters, Mapping) and weights_problem(voters, dict.fromkeys(self._known())) is None

    def _propose(self, pending: Pending) -> None:
        work = pending.work
        assert work is not None
        if "command" in work:
            self._out.emit(Propose(pending.token, work["command"]))
        elif "transfer" in work:
            pending.stage, pending.term = Stage.ADMIN, self.term
            self._out.emit(Transfer(pending.token, work["transfer"]))
        else:
            pending.stage, pending.term = Stage.ADMIN, self.term
            self._out.emit(SetVoters(pending.token, work["voters"], work.get("force") is True))

    def _forward(self, now_ns: int, pending: Pending) -> None:
        assert self.leader is not None and pending.work is not None
        pending.stage, pending.term = Stage.FORWARDED, self.term
        left_ms = max(1, (pending.deadline_ns - now_ns) // MS)
        message = Forward(self.term, self._incarnation, pending.token, left_ms, pending.work)
        self._out.send(self.leader, message)

    def _again(self, now_ns: int, pending: Pending) -> None:
        """Send the command again. The first attempt may already be an entry, or become one. Sessions make that harmless; administrators repeat their
        requests themselves.

        A command without a session that may not take effect twice is answered as unknown instead: a spawn that was sent again and arrived late
        brought back an agent that had been stopped.
        """
        if pending.work is not None and "command" in pending.work:
            if self._sent_once(pending):
                self._finish(pending, replies.unsure())
                return
            pending.doubt = True
            self.route(now_ns, pending)

    def _refusal(self, origin: Origin) -> Body:
        """Refuse: this node does not lead the term that the command was meant for, and never will."""
        number = (origin.incarnation, origin.id)
        definite = origin.term == self._led and number > self._proposed.get(origin.peer, (0, 0))
        message = f"this node does not lead term {origin.term}"
        return replies.failed(NOT_LEADER, message, term=origin.term, definite=definite)
