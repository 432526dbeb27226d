"""Submission of other machines' commands to the log. A command is proposed here or sent to the leader, again and again, until this node applies it.

The leader sends no answer. A command may therefore be appended more than once, by this leader and by the next; the submitting machine makes sure that
the second copy has no effect. An applied command is recognised by its text, so the same command from any node completes a proposal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...bounded import within
from ...config.node import MS, NodeConfig
from ..interface.cluster_messages import SubmitCommand
from ..interface.entry import Command, canonical
from ..interface.machine import Member
from ..interface.messages import Message
from ..interface.outbox import Outbox
from ..interface.rng import Chance
from ..interface.signals import Applied, LeaderChanged, Propose, Submit, Submitted, Withdraw

RETRY = "submitter/retry"
RETRY_NS = 400 * MS
PROPOSAL_LIMIT = 20_000
Problem = Callable[[str, Mapping[str, Any]], "str | None"]


@dataclass(slots=True)
class PendingProposal:
    command: Command
    text: str
    sent_ns: int = -RETRY_NS


class Submitter(Member):
    """Submitter of commands. `problem` asks the command's application for an error in the command, before it enters the log."""

    name = "submitter"

    def __init__(self, config: NodeConfig, out: Outbox, incarnation: int, chance: Chance, problem: Problem) -> None:
        self._out = out
        self._problem = problem
        self._proposals: dict[str, PendingProposal] = {}
        self._by_text: dict[str, dict[str, None]] = {}
        self._leader: str | None = None
        self._here = False
        self._armed = False
        self.refused = 0
        """Commands that were not accepted: ill-formed, or beyond the bound."""
        self.signals: Mapping[type[Any], Callable[[int, Any], None]] = {
            Submit: self._on_submit,
            Withdraw: lambda now, signal: self._forget(signal.key),
            Applied: self._on_applied,
            LeaderChanged: self._on_leader,
        }

    def on_message(self, now_ns: int, peer: str, message: Message) -> None:
        assert isinstance(message, SubmitCommand)
        command = message.work.get("command")
        if not _shaped(command) or not within(command) or self._problem(command[0], command[1]) is not None:
            self.refused += 1
        elif self._here:
            self._out.emit(Propose(0, command))

    def on_timer(self, now_ns: int, key: str) -> None:
        self._armed = False
        for proposal in self._proposals.values():
            if now_ns - proposal.sent_ns >= RETRY_NS:
                self._bring(now_ns, proposal)

    def flush(self, now_ns: int) -> None:
        if self._proposals and not self._armed:
            self._armed = True
            self._out.set_timer(RETRY, now_ns + RETRY_NS)

    def status(self) -> dict[str, Any]:
        return {"wishes": len(self._proposals)}

    def check(self) -> None:
        assert len(self._proposals) <= PROPOSAL_LIMIT
        assert sum(len(keys) for keys in self._by_text.values()) == len(self._proposals)

    def fingerprint(self) -> Any:
        return [[key, proposal.text] for key, proposal in self._proposals.items()]

    def _on_submit(self, now_ns: int, signal: Submit) -> None:
        text = canonical(signal.command)
        known = self._proposals.get(signal.key)
        if known is not None and known.text == text:
            return
        self._forget(signal.key)
        problem = self._problem(signal.command[0], signal.command[1])
        assert problem is None, f"{signal.command[0]} of {signal.key}: {problem}"
        if len(self._proposals) >= PROPOSAL_LIMIT:
            self.refused += 1
            return
        proposal = self._proposals[signal.key] = PendingProposal(signal.command, text)
        self._by_text.setdefault(text, {})[signal.key] = None
        self._bring(now_ns, proposal)

    def _bring(self, now_ns: int, proposal: PendingProposal) -> None:
        if self._here:
            self._out.emit(Propose(0, proposal.command))
        elif self._leader is not None:
            self._out.send(self._leader, SubmitCommand({"command": proposal.command}))
        else:
            return
        proposal.sent_ns = now_ns

    def _on_leader(self, now_ns: int, signal: LeaderChanged) -> None:
        """Submit everything again: what the former leader received may be lost with it."""
        if (self._leader, self._here) == (signal.leader, signal.here):
            return
        self._leader, self._here = signal.leader, signal.here
        for proposal in self._proposals.values():
            self._bring(now_ns, proposal)

    def _on_applied(self, now_ns: int, signal: Applied) -> None:
        if not self._by_text:
            return
        for entry, result in zip(signal.entries, signal.results, strict=True):
            for key in self._by_text.pop(entry.text, ()):
                del self._proposals[key]
                self._out.emit(Submitted(key, entry.index, result or {}))

    def _forget(self, key: str) -> None:
        proposal = self._proposals.pop(key, None)
        if proposal is not None:
            keys = self._by_text[proposal.text]
            del keys[key]
            if not keys:
                del self._by_text[proposal.text]


def _shaped(command: Any) -> bool:
    return (
        isinstance(command, list) and len(command) == 2 and isinstance(command[0], str) and isinstance(command[1], dict)
    )
