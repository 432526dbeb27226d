"""One core alone, reported what happens by a test: the stage for literal stories.

Storage completes at once unless `slow`; what a step sends, replies and traces is kept in the order of release.
"""

from __future__ import annotations

from typing import Any

from tribulation.node.config.node import MS, NodeConfig
from tribulation.node.core.core import Core
from tribulation.node.core.interface.effects import Effect, Halt, Reply, Send, SetTimer, Trace
from tribulation.node.core.interface.events import Event, Received, Request, Start, StorageDone, TimerFired
from tribulation.node.core.interface.messages import Message, VoteReply

from .disk import Disk


class Solo:
    def __init__(
        self,
        node: str = "n1",
        nodes: int = 3,
        disk: Disk | None = None,
        incarnation: int = 1,
        storing: bool = True,
        **config: Any,
    ) -> None:
        peers = {f"n{i + 1}": ["127.0.0.1", 10000 + i] for i in range(nodes)}
        data = {"node": node, "cluster": "test", "peers": peers, "timing": "fast", **config}
        self.config = NodeConfig.from_json(data)
        self.core = Core(self.config)
        self.disk = disk or Disk()
        self.now = 1000 * MS
        self.wall = 0
        self.slow = not storing
        self.queue: list[Any] = []
        self.done: set[int] = set()
        self.held: list[Any] = []
        self.sent: list[tuple[str, Message]] = []
        self.replies: list[dict[str, Any]] = []
        self.traces: list[tuple[str, dict[str, Any]]] = []
        self.timers: dict[str, SetTimer] = {}
        self.halted: str | None = None
        self.step(Start(incarnation, 7, self.disk.files(), self.wall))

    def step(self, *events: Event) -> list[Effect]:
        effects = self.core.step(self.now, list(events))
        self.core.check()
        for effect in effects:
            if isinstance(effect, SetTimer):
                self.timers[effect.key] = effect
            elif isinstance(effect, Halt):
                self.halted = effect.reason
            elif isinstance(effect, (Send, Reply, Trace)):
                self.held.append(effect)
            elif hasattr(effect, "op"):
                self.queue.append(effect)
        self._release()
        if not self.slow:
            self.store()
        return effects

    def store(self) -> None:
        """Carry out everything that waits for the disk, and what follows from it."""
        while self.queue:
            effect = self.queue.pop(0)
            self.disk.apply(effect)
            self.done.add(effect.op)
            self._release()
            self.step(StorageDone(effect.op))

    def _release(self) -> None:
        held, self.held = self.held, []
        for effect in held:
            if not all(op in self.done for op in effect.after):
                self.held.append(effect)
            elif isinstance(effect, Send):
                self.sent.append((effect.peer, effect.message))
            elif isinstance(effect, Reply):
                self.replies.append(dict(effect.body))
            else:
                self.traces.append((effect.event, dict(effect.fields)))

    def receive(self, peer: str, message: Message) -> list[tuple[str, Message]]:
        """Deliver, and return what was sent in consequence."""
        self.sent = []
        self.step(Received(peer, message, self.wall))
        return self.sent

    def ask(self, **body: Any) -> list[dict[str, Any]]:
        self.replies = []
        self.step(Request("c1", {"id": 1, **body}, self.wall))
        return self.replies

    def pass_time(self, ms: int) -> list[tuple[str, Message]]:
        """Let time go by, firing timers when they are due."""
        self.sent, end = [], self.now + ms * MS
        while True:
            due = min((t for t in self.timers.values() if t.at_ns <= end), key=lambda t: t.at_ns, default=None)
            if due is None:
                break
            self.now = max(self.now, due.at_ns)
            del self.timers[due.key]
            self.step(TimerFired(due.key, due.generation, self.wall))
        self.now = end
        return self.sent

    def to(self, peer: str, kind: type[Any]) -> list[Any]:
        """Messages of a kind just sent to a peer."""
        return [message for receiver, message in self.sent if receiver == peer and isinstance(message, kind)]

    def traced(self, event: str) -> list[dict[str, Any]]:
        return [fields for name, fields in self.traces if name == event]

    def status(self) -> dict[str, Any]:
        return self.core.status()

    def lead(self) -> int:
        """Make it the leader, with the votes of all others. Returns the term."""
        from tribulation.node.core.interface.messages import PreVoteReply

        self.pass_time(700)
        others = [peer for peer in self.config.peers if peer != self.config.node]
        term = self.status()["term"]
        for peer in others:
            self.receive(peer, PreVoteReply(term, term + 1, True))
        for peer in others:
            self.receive(peer, VoteReply(term + 1, True))
        assert self.status()["role"] == "leader", self.status()
        return int(term + 1)
