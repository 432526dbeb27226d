"""Plain heartbeat detector: a datagram to every member each `heartbeat_ns`. A member that is silent for `silence_ns` has failed, and is suspect after
half of that.

Each node sends as many datagrams as there are members, so the cluster's traffic grows with their square. SWIM avoids that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...config.cluster import MembershipConfig
from .watcher import ALIVE, FAILED, SUSPECT, Change, Draw, Send

BEAT = "detector.beat"


@dataclass(slots=True)
class Heard:
    incarnation: int
    at_ns: int
    belief: str | None = None


class Heartbeat:
    def __init__(self, me: str, options: MembershipConfig, draw: Draw) -> None:
        self._me = me
        self._draw = draw
        self._every_ns = options.heartbeat_ns
        self._silence_ns = options.silence_ns
        self._peers: dict[str, Heard] = {}
        self._beat_ns: int | None = None
        """When the next heartbeat is due; None while this node is no member."""
        self.sends: list[Send] = []
        self.changes: list[Change] = []

    @property
    def next_ns(self) -> int | None:
        limits = {ALIVE: self._silence_ns // 2, SUSPECT: self._silence_ns}
        ends = [heard.at_ns + limits[heard.belief or ALIVE] for heard in self._peers.values() if heard.belief != FAILED]
        return min(ends if self._beat_ns is None else [self._beat_ns, *ends], default=None)

    def watch(self, now_ns: int, members: Mapping[str, int]) -> None:
        if self._me not in members:
            self._peers, self._beat_ns = {}, None
            return
        if self._beat_ns is None:
            self._beat_ns = now_ns + self._draw("first-beat", 0, self._every_ns // 8)
        kept = {name: heard for name, heard in self._peers.items() if members.get(name) == heard.incarnation}
        for name, incarnation in members.items():
            if name != self._me and name not in kept:
                kept[name] = Heard(incarnation, now_ns)
        self._peers = kept

    def on_note(self, now_ns: int, sender: str, tag: str, body: Any) -> None:
        if tag != BEAT or body is not None:
            raise ValueError(f"there is no {tag[:64]!r} of the heartbeat")
        heard = self._peers.get(sender)
        if heard is not None:
            heard.at_ns = now_ns
            self._believe(sender, heard, ALIVE)

    def on_time(self, now_ns: int) -> None:
        due_ns = self.next_ns
        if due_ns is not None and now_ns - due_ns > self._every_ns // 2:
            # This node did not run; what the others sent meanwhile waits in its socket.
            for heard in self._peers.values():
                heard.at_ns += now_ns - due_ns
        if self._beat_ns is not None and now_ns >= self._beat_ns:
            self.sends += [Send(name, BEAT, None) for name in self._peers]
            self._beat_ns = now_ns + self._every_ns
        for name, heard in self._peers.items():
            silent_ns = now_ns - heard.at_ns
            if silent_ns >= self._silence_ns:
                self._believe(name, heard, FAILED)
            elif silent_ns >= self._silence_ns // 2 and heard.belief != FAILED:
                self._believe(name, heard, SUSPECT)

    def status(self) -> dict[str, Any]:
        return {}

    def check(self) -> None:
        assert self._me not in self._peers

    def dump(self) -> Any:
        return [[name, heard.incarnation, heard.at_ns, heard.belief] for name, heard in self._peers.items()]

    def _believe(self, name: str, heard: Heard, belief: str) -> None:
        if heard.belief != belief:
            heard.belief = belief
            self.changes.append(Change(name, heard.incarnation, belief))
