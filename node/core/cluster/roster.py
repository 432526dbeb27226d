"""Roster: which nodes this one may talk to, and which nodes receive the log.

Configured nodes and voters are known by name from the start; their addresses may be unknown. Other nodes become known through discovery, and receive
the log once they are members. The roster asks the driver to connect to every node with a new address. It decides nothing about quorums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...config.node import MS, NodeConfig
from ..interface.effects import Meet, Part
from ..interface.machine import Member
from ..interface.outbox import Outbox
from ..interface.rng import Chance
from ..interface.signals import Changed, Found, RosterChanged

TIMER = "roster/farewell"
FAREWELL_NS = 2000 * MS
UNREGISTERED_LIMIT = 64
"""Nodes that were found and are not members, at most; the one found first is forgotten first."""


class Roster(Member):
    name = "roster"

    def __init__(self, config: NodeConfig, out: Outbox, incarnation: int, chance: Chance) -> None:
        self._me = config.node
        self._out = out
        self._settled = dict.fromkeys((*config.peers, *config.voters))
        """Names from the configuration; they stay."""
        self._addresses: dict[str, tuple[str, int]] = dict(config.peers)
        self._members: dict[str, None] = {}
        self._unregistered: dict[str, None] = {}
        self._leaving: dict[str, int] = {}
        """Removed members, and until when they still receive the log: they must learn of their removal."""
        self.signals: Mapping[type[Any], Callable[[int, Any], None]] = {
            Found: self._on_found,
            Changed: self._on_changed,
        }

    def __contains__(self, name: str) -> bool:
        return any(name in known for known in (self._settled, self._members, self._leaving, self._unregistered))

    @property
    def names(self) -> list[str]:
        """Nodes that receive the log: configured nodes, voters and members, including this node."""
        return list(dict.fromkeys((*self._settled, *self._members, *self._leaving)))

    def on_timer(self, now_ns: int, key: str) -> None:
        """Stop sending the log to removed members: each still receives it for a limited time after its removal."""
        before = self.names
        for name, at_ns in list(self._leaving.items()):
            if at_ns <= now_ns:
                del self._leaving[name]
                self._forget(name)
        self._announce(before)
        if self._leaving:
            self._out.set_timer(TIMER, min(self._leaving.values()))

    def status(self) -> dict[str, Any]:
        return {}

    def check(self) -> None:
        assert len(self._unregistered) <= UNREGISTERED_LIMIT
        assert not any(name in self._members for name in self._unregistered)

    def fingerprint(self) -> Any:
        known = [list(self._members), list(self._unregistered), sorted(self._leaving.items())]
        return [sorted(self._addresses.items()), *known]

    def _on_found(self, now_ns: int, signal: Found) -> None:
        if signal.name == self._me:
            return
        if signal.name not in self:
            self._unregistered[signal.name] = None
            if len(self._unregistered) > UNREGISTERED_LIMIT:
                self._forget(next(iter(self._unregistered)))
        self._meet(signal.name, signal.host, signal.port)

    def _on_changed(self, now_ns: int, signal: Changed) -> None:
        if signal.app != "members":
            return
        before = self.names
        for name in signal.ids:
            record = signal.view.get(name)
            if record is not None:
                self._unregistered.pop(name, None)
                self._members[name] = None
                self._meet(name, record["host"], record["port"])
                self._leaving.pop(name, None)
            elif name in self._members:
                del self._members[name]
                if name not in self._settled:
                    self._leaving[name] = now_ns + FAREWELL_NS
                    self._out.set_timer(TIMER, min(self._leaving.values()))
        self._announce(before)

    def _announce(self, before: list[str]) -> None:
        if self.names != before:
            self._out.emit(RosterChanged(tuple(self.names)))

    def _meet(self, name: str, host: str, port: int) -> None:
        if name != self._me and self._addresses.get(name) != (host, port):
            self._addresses[name] = (host, port)
            self._out.perform(Meet(name, host, port))

    def _forget(self, name: str) -> None:
        self._unregistered.pop(name, None)
        if self._addresses.pop(name, None) is not None and name != self._me:
            self._out.perform(Part(name))
