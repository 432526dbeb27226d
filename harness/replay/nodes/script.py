"""A cluster's recordings as one script: each node's steps over all its lives, and the send of each received message."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tribulation.node.core.interface.effects import Send
from tribulation.node.core.interface.events import Received
from tribulation.node.core.interface.messages import Message, to_wire
from tribulation.node.runtime.telemetry.recording import RecordedStep
from tribulation.node.wire import encode_payload

from .nodes import Incarnation, play
from .player import Player
from .provenance import BEYOND, UNEXPLAINED, Life, match


@dataclass(slots=True)
class Messages:
    """Counts of the messages of all links."""

    sent: int = 0
    received: int = 0
    matched: int = 0
    beyond: int = 0
    unexplained: list[str] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Sent and never received: dropped without a connection, in a cut, by a kill, or still on their way at the end."""
        return self.sent - self.matched


@dataclass(slots=True)
class Script:
    """One node's steps over all its lives. `senders[i]` has, for each `Received` of step i, the sender and the number of its send, or None."""

    node: str
    lives: Sequence[Incarnation]
    steps: list[tuple[Incarnation, int, RecordedStep]] = field(default_factory=list)
    senders: list[list[tuple[str, int] | None]] = field(default_factory=list)
    done: int = 0


def scripts_of(lives: Sequence[Incarnation]) -> tuple[dict[str, Script], Messages]:
    """Every node's script, and the counts of the messages between them."""
    scripts = _scripts(lives)
    messages = Messages()
    sent = {node: _sent(script) for node, script in scripts.items()}
    for script in scripts.values():
        _find_senders(script, sent, scripts, messages)
    messages.sent = sum(len(keys) for by_peer in sent.values() for of_lives in by_peer.values() for keys in of_lives)
    return scripts, messages


def _scripts(lives: Sequence[Incarnation]) -> dict[str, Script]:
    scripts: dict[str, Script] = {}
    for node in sorted({life.node for life in lives}):
        own = [life for life in lives if life.node == node]
        script = scripts[node] = Script(node, own)
        for life in own:
            script.steps += [(life, number, step) for number, step in enumerate(life.recording.steps, start=1)]
    return scripts


def key_of(message: Message) -> bytes:
    """A message's content in sixteen bytes."""
    return hashlib.blake2b(encode_payload(to_wire(message)), digest_size=16).digest()


def _sent(script: Script) -> dict[str, list[list[bytes]]]:
    """Peer → for each life the keys of messages sent to that peer, in order; found by a replay of each life by itself."""
    sent: dict[str, list[list[bytes]]] = {}
    peers = sorted(
        {peer for life in script.lives if life.recording.header for peer in life.recording.header["config"]["peers"]}
    )
    for peer in peers:
        sent[peer] = [[] for _ in script.lives]
    for place, life in enumerate(script.lives):
        if not life.recording.steps:
            continue
        player = Player(life.recording.header["config"])
        for number, step in enumerate(life.recording.steps, start=1):
            if play(player, number, step) is not None:
                break  # Tier A reports it, and the step itself will when its turn comes.
            for effect in player.released:
                if isinstance(effect, Send) and effect.peer in sent:
                    sent[effect.peer][place].append(key_of(effect.message))
            player.released.clear()
    return sent


def _find_senders(
    script: Script,
    sent: Mapping[str, Mapping[str, list[list[bytes]]]],
    scripts: Mapping[str, Script],
    messages: Messages,
) -> None:
    received: dict[str, list[tuple[int, int, bytes]]] = {}
    for index, (_, _, step) in enumerate(script.steps):
        events = [event for event in step.events if isinstance(event, Received)]
        script.senders.append([None] * len(events))
        for place, event in enumerate(events):
            received.setdefault(event.peer, []).append((index, place, key_of(event.message)))
    for peer, taken in received.items():
        messages.received += len(taken)
        if peer not in scripts:
            messages.beyond += len(taken)
            continue
        # A first life whose recording was removed to make room sent nothing that is known.
        missing = [Life(())] if scripts[peer].lives[0].number > 1 else []
        lives = missing + [Life(keys) for keys in sent[peer].get(script.node, [])]
        for (index, place, _), found in zip(taken, match(lives, [key for _, _, key in taken]), strict=True):
            if found >= 0:
                script.senders[index][place] = (peer, found)
                messages.matched += 1
            elif found == BEYOND:
                messages.beyond += 1
            else:
                assert found == UNEXPLAINED
                life, number, _step = script.steps[index]
                messages.unexplained.append(
                    f"{script.node} incarnation {life.number} step {number}: a message from {peer}"
                )
