"""The failure detector of this node, as configured: watches the members that the log names, and reports its belief about each.

It decides nothing. `Detected` makes the leader propose. `suspect`, `trust` and `failed` in the trace are this observer's changes of belief; it trusts
at first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...config.node import NodeConfig
from ...flaws.switch import Flaws
from ..interface.datagrams import Note, encode_datagram
from ..interface.events import Datagram
from ..interface.machine import Member
from ..interface.outbox import Outbox
from ..interface.rng import Chance
from ..interface.signals import Changed, Detected
from ..records.lifecycle import FAILED as FAILED_STATE
from ..records.lifecycle import HERE
from .heartbeat import Heartbeat
from .swim import Swim
from .watcher import ALIVE, FAILED, Change, Watcher

TIMER = "detector/tick"
SUSPECTS = 256
"""Names remembered as suspect, at most, whether members or not."""


class Detector(Member):
    name = "detector"

    def __init__(self, config: NodeConfig, out: Outbox, incarnation: int, chance: Chance) -> None:
        options = config.membership
        assert options is not None
        self._config = config
        self._out = out
        self._incarnation = incarnation

        def draw(purpose: str, low: int, high: int) -> int:
            return chance.between("detector", purpose, low, high)

        self.watcher: Watcher
        if options.detector == "swim":
            self.watcher = Swim(config.node, options, Flaws.from_names(config.flaws), draw)
        else:
            self.watcher = Heartbeat(config.node, options, draw)
        self._addresses: dict[str, tuple[str, int]] = {}
        self._lives: dict[str, int] = {}
        """The watched members, including this node, and their incarnations."""
        self._beliefs: dict[str, str] = {}
        """Last reported belief about each; absent: not heard yet."""
        self._suspected: dict[str, None] = {}
        """Members that the trace shows as suspect."""
        self._armed_ns: int | None = None
        self._touched = False
        """Whether the watcher may want another time since the timer was set."""
        self.sent = 0
        self.ignored = 0
        """Datagrams that were not for this detector."""
        self.signals: Mapping[type[Any], Callable[[int, Any], None]] = {Changed: self._on_changed}

    def on_datagram(self, now_ns: int, datagram: Datagram, note: Note) -> None:
        if note.sender == self._config.node:
            return
        try:
            self.watcher.on_note(now_ns, note.sender, note.tag, note.body)
        except ValueError:
            self.ignored += 1
            return
        self._say(note.sender, (datagram.host, datagram.port))

    def on_timer(self, now_ns: int, key: str) -> None:
        self._armed_ns = None
        self.watcher.on_time(now_ns)
        self._say()

    def flush(self, now_ns: int) -> None:
        if not self._touched:
            return
        self._touched = False
        next_ns = self.watcher.next_ns
        if next_ns != self._armed_ns:
            self._armed_ns = next_ns
            if next_ns is None:
                self._out.cancel_timer(TIMER)
            else:
                self._out.set_timer(TIMER, next_ns)

    def status(self) -> dict[str, Any]:
        counts = {"watched": len(self._lives), "suspects": len(self._suspected), "detector_datagrams": self.sent}
        return {**counts, **self.watcher.status()}

    def check(self) -> None:
        self.watcher.check()
        assert all(name in self._lives for name in self._beliefs)

    def fingerprint(self) -> Any:
        return [self.watcher.dump(), self._lives, self._beliefs, list(self._suspected)]

    def _on_changed(self, now_ns: int, signal: Changed) -> None:
        if signal.app != "members":
            return
        watched = {name: record for name, record in sorted(signal.view.items()) if record["state"] in HERE}
        lives = {name: record["incarnation"] for name, record in watched.items()}
        self._addresses = {name: (record["host"], record["udp_port"]) for name, record in watched.items()}
        if lives == self._lives:
            return
        for name, incarnation in lives.items():
            if self._lives.get(name) != incarnation:
                self._beliefs.pop(name, None)
                self._trust(name, incarnation)
        for name in [name for name in self._beliefs if name not in lives]:
            belief = self._beliefs.pop(name)
            record = signal.view.get(name)
            if belief != FAILED and record is not None and record["state"] == FAILED_STATE:
                # The log records what others found out; this observer adopts it.
                self._suspect(name, record["incarnation"])
                self._out.trace("failed", target=name, target_incarnation=record["incarnation"])
        self._lives = lives
        self.watcher.watch(now_ns, lives)
        self._say()

    def _say(self, answered: str | None = None, address: tuple[str, int] | None = None) -> None:
        """Send and report what the watcher wants; the answered node is at `address` if it is no member."""
        self._touched = True
        cluster, node = self._config.cluster, self._config.node
        for send in self.watcher.sends:
            to = self._addresses.get(send.to, address if send.to == answered else None)
            if to is not None:
                data = encode_datagram(cluster, Note(node, self._incarnation, send.tag, send.body))
                self.sent += 1
                self._out.datagram(*to, data)
        self.watcher.sends.clear()
        for change in self.watcher.changes:
            self._report(change)
        self.watcher.changes.clear()

    def _report(self, change: Change) -> None:
        name, incarnation, belief = change.name, change.incarnation, change.belief
        self._beliefs[name] = belief
        if belief == ALIVE:
            self._trust(name, incarnation)
        else:
            self._suspect(name, incarnation)
            if belief == FAILED:
                self._out.trace("failed", target=name, target_incarnation=incarnation)
        self._out.emit(Detected(name, incarnation, belief))

    def _suspect(self, name: str, incarnation: int) -> None:
        if name in self._suspected:
            return
        self._out.trace("suspect", target=name, target_incarnation=incarnation)
        self._suspected[name] = None
        if len(self._suspected) > SUSPECTS:
            del self._suspected[next(iter(self._suspected))]

    def _trust(self, name: str, incarnation: int) -> None:
        if name in self._suspected:
            del self._suspected[name]
            self._out.trace("trust", target=name, target_incarnation=incarnation)
