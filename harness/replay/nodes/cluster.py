"""Tier B: all cores of a recorded cluster run together again, each gets the messages that the other cores send now.

Each core steps at its own recorded times, with the recorded timers, storage completions and client requests. What it receives is
what the sending core has sent *in this replay*. `provenance` maps each received message to its send, and a step waits until every
sender has come that far. This is a partial order, so no common clock is needed; if it has a cycle, the recordings contradict each other.

When every step has the recorded effects, and every received message was sent, the replay of the cluster is bit-exact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tribulation.node.core.interface.effects import Send
from tribulation.node.core.interface.events import Event, Received, Start, StorageDone
from tribulation.node.core.interface.messages import Message
from tribulation.node.runtime.telemetry.recording import RecordedStep

from .causes import Causes, Disk
from .nodes import Incarnation, StepDifference, play
from .player import Player
from .script import Messages, Script, scripts_of

TIER = "tier B"

Link = tuple[str, str]
"""Sender, receiver."""


@dataclass(slots=True)
class ClusterReplay:
    """`difference` is the first step that differs, with its node and life; `stuck` names steps that wait for each other.

    `boots` has the disk content that each later incarnation of a node found.
    """

    steps: int = 0
    recorded: int = 0
    lives: int = 0
    nodes: int = 0
    messages: Messages = field(default_factory=Messages)
    timers: int = 0
    storage: int = 0
    boots: Counter[str] = field(default_factory=Counter)
    difference: tuple[str, int, StepDifference] | None = None
    causeless: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)

    @property
    def exact(self) -> bool:
        return (
            self.difference is None
            and not self.stuck
            and not self.causeless
            and not self.messages.unexplained
            and self.steps == self.recorded
        )

    def to_json(self) -> dict[str, Any]:
        messages = self.messages
        return {
            "kind": TIER,
            "exact": self.exact,
            "nodes": self.nodes,
            "lives": self.lives,
            "steps": self.steps,
            "recorded": self.recorded,
            "messages": {
                "sent": messages.sent,
                "received": messages.received,
                "matched": messages.matched,
                "lost": messages.lost,
                "beyond": messages.beyond,
                "unexplained": messages.unexplained,
            },
            "timers": self.timers,
            "storage": self.storage,
            "boots": dict(self.boots),
            "difference": None if self.difference is None else [*self.difference[:2], self.difference[2].why],
            "causeless": self.causeless,
            "stuck": self.stuck,
        }


def replay_cluster(lives: Sequence[Incarnation]) -> ClusterReplay:
    """Run the cluster again. `lives` are those of all nodes, by node and number, as `read_incarnations` gives them."""
    scripts, messages = scripts_of(lives)
    recorded = sum(len(script.steps) for script in scripts.values())
    result = ClusterReplay(nodes=len(scripts), lives=len(lives), recorded=recorded, messages=messages)
    execute(scripts, result)
    return result


class _Stage:
    """A node in the joint execution: its current life's player, its disk, and what it has sent to each peer."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.player: Player | None = None
        self.causes = Causes()
        self.disk = Disk()
        self.outbox: dict[str, list[Message | None]] = {}
        self.life = 0

    def begin(self, life: Incarnation, start: Start, result: ClusterReplay) -> None:
        self._end(result)
        found = self.disk.boot(start.files)
        if self.player is not None and life.number == self.life + 1:
            result.boots[found.value] += 1
        self.life = life.number
        self.player, self.causes = Player(life.recording.header["config"]), Causes()

    def finish(self, result: ClusterReplay) -> None:
        self._end(result)

    def _end(self, result: ClusterReplay) -> None:
        result.timers += self.causes.timers
        result.storage += self.causes.storage
        if self.causes.complaint is not None:
            result.causeless.append(f"{self.script.node} incarnation {self.life}: {self.causes.complaint}")
        self.causes = Causes()

    def after(self, step: RecordedStep) -> None:
        """Store the messages that the step released."""
        assert self.player is not None
        for event in step.events:
            if isinstance(event, StorageDone):
                self.disk.ended(event.op, event.error)
        self.disk.issued(self.player.issued)
        self.player.issued.clear()
        for effect in self.player.released:
            if isinstance(effect, Send):
                self.outbox.setdefault(effect.peer, []).append(effect.message)
        self.player.released.clear()


def execute(scripts: Mapping[str, Script], result: ClusterReplay) -> None:
    """Step any node that can step, until none can. Fills `result`."""
    stages = {node: _Stage(script) for node, script in scripts.items()}
    moved = True
    while moved and result.difference is None:
        moved = False
        for stage in stages.values():
            while result.difference is None and _ready(stage, stages):
                _advance(stage, stages, result)
                moved = True
    for stage in stages.values():
        stage.finish(result)
        if result.difference is None and stage.script.done < len(stage.script.steps):
            life, number, _ = stage.script.steps[stage.script.done]
            waits = [
                f"{sender[0]}'s message {sender[1] + 1}" for sender in stage.script.senders[stage.script.done] if sender
            ]
            result.stuck.append(
                f"{stage.script.node} incarnation {life.number} step {number} waits for {', '.join(waits)}"
            )


def _ready(stage: _Stage, stages: Mapping[str, _Stage]) -> bool:
    script = stage.script
    if script.done >= len(script.steps):
        return False
    for sender in script.senders[script.done]:
        if sender is not None and len(stages[sender[0]].outbox.get(script.node, ())) <= sender[1]:
            return False
    return True


def _advance(stage: _Stage, stages: Mapping[str, _Stage], result: ClusterReplay) -> None:
    script = stage.script
    life, number, recorded = script.steps[script.done]
    step = RecordedStep(recorded.now_ns, _delivered(stage, stages, recorded.events), recorded.effects_crc)
    start = next((event for event in step.events if isinstance(event, Start)), None)
    if start is not None:
        stage.begin(life, start, result)
    assert stage.player is not None
    stage.causes.events(step.now_ns, step.events)
    difference = play(stage.player, number, step)
    script.done += 1
    if difference is not None:
        result.difference = (script.node, life.number, difference)
        return
    result.steps += 1
    stage.causes.effects(stage.player.last)
    stage.after(step)


def _delivered(stage: _Stage, stages: Mapping[str, _Stage], events: Sequence[Event]) -> tuple[Event, ...]:
    """The step's events, with each message taken from the core that sent it. A message from beyond a recording is the receiver's own record."""
    senders = iter(stage.script.senders[stage.script.done])
    delivered: list[Event] = []
    for event in events:
        if isinstance(event, Received) and (sender := next(senders)) is not None:
            outbox = stages[sender[0]].outbox[stage.script.node]
            message = outbox[sender[1]]
            assert message is not None, "a message is received once"
            outbox[sender[1]] = None
            event = Received(event.peer, message, event.wall_ns)
        delivered.append(event)
    return tuple(delivered)
