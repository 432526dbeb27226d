"""Brings other machines' commands to the log: proposed here or sent to whoever leads, and again, until they are seen applied.

Nothing is answered on the way. A command may so be appended more than once, by this leader and the next; whoever submits makes sure that the second time
does nothing. What was applied is known by its text: a wish is fulfilled by the same command from anybody.
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
WISH_LIMIT = 20_000
Problem = Callable[[str, Mapping[str, Any]], "str | None"]


@dataclass(slots=True)
class Wish:
    command: Command
    text: str
    sent_ns: int = -RETRY_NS


class Submitter(Member):
    """`problem` judges a command by the application's word, before it gets into the log."""

    name = "submitter"

    def __init__(self, config: NodeConfig, out: Outbox, incarnation: int, chance: Chance, problem: Problem) -> None:
        self._out = out
        self._problem = problem
        self._wishes: dict[str, Wish] = {}
        self._by_text: dict[str, dict[str, None]] = {}
        self._leader: str | None = None
        self._here = False
        self._armed = False
        self.refused = 0
        """Commands that were not taken: ill-formed, or beyond the bound."""
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
        for wish in self._wishes.values():
            if now_ns - wish.sent_ns >= RETRY_NS:
                self._bring(now_ns, wish)

    def flush(self, now_ns: int) -> None:
        if self._wishes and not self._armed:
            self._armed = True
            self._out.set_timer(RETRY, now_ns + RETRY_NS)

    def status(self) -> dict[str, Any]:
        return {"wishes": len(self._wishes)}

    def check(self) -> None:
        assert len(self._wishes) <= WISH_LIMIT
        assert sum(len(keys) for keys in self._by_text.values()) == len(self._wishes)

    def fingerprint(self) -> Any:
        return [[key, wish.text] for key, wish in self._wishes.items()]

    def _on_submit(self, now_ns: int, signal: Submit) -> None:
        text = canonical(signal.command)
        known = self._wishes.get(signal.key)
        if known is not None and known.text == text:
            return
        self._forget(signal.key)
        problem = self._problem(signal.command[0], signal.command[1])
        assert problem is None, f"{signal.command[0]} of {signal.key}: {problem}"
        if len(self._wishes) >= WISH_LIMIT:
            self.refused += 1
            return
        wish = self._wishes[signal.key] = Wish(signal.command, text)
        self._by_text.setdefault(text, {})[signal.key] = None
        self._bring(now_ns, wish)

    def _bring(self, now_ns: int, wish: Wish) -> None:
        if self._here:
            self._out.emit(Propose(0, wish.command))
        elif self._leader is not None:
            self._out.send(self._leader, SubmitCommand({"command": wish.command}))
        else:
            return
        wish.sent_ns = now_ns

    def _on_leader(self, now_ns: int, signal: LeaderChanged) -> None:
        """What the former leader was told may be lost with it."""
        if (self._leader, self._here) == (signal.leader, signal.here):
            return
        self._leader, self._here = signal.leader, signal.here
        for wish in self._wishes.values():
            self._bring(now_ns, wish)

    def _on_applied(self, now_ns: int, signal: Applied) -> None:
        if not self._by_text:
            return
        for entry, result in zip(signal.entries, signal.results, strict=True):
            for key in self._by_text.pop(entry.text, ()):
                del self._wishes[key]
                self._out.emit(Submitted(key, entry.index, result or {}))

    def _forget(self, key: str) -> None:
        wish = self._wishes.pop(key, None)
        if wish is not None:
            keys = self._by_text[wish.text]
            del keys[key]
            if not keys:
                del self._by_text[wish.text]


def _shaped(command: Any) -> bool:
    return (
        isinstance(command, list) and len(command) == 2 and isinstance(command[0], str) and isinstance(command[1], dict)
    )
