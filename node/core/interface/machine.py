"""What `Core` needs of every machine, and what a machine does of itself: nothing. Each spells out what it hears, and no more.

    class Echo(Member):
        name = "echo"

        def __init__(self, config, out, incarnation, chance) -> None:
            self.signals = {Changed: self._on_changed}

A machine is told of messages and timers by the prefix of their tag or key, of signals by their type, and of everything else like all others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from .datagrams import Note
from .events import Connected, Datagram, Disconnected
from .messages import Message


class Machine(Protocol):
    """`signals` maps the types that it handles to the handlers, which are given the time and the signal."""

    name: str
    signals: Mapping[type[Any], Callable[[int, Any], None]]

    def on_message(self, now_ns: int, peer: str, message: Message) -> None:
        raise AssertionError(f"no message is for {self.name}: {message}")

    def on_timer(self, now_ns: int, key: str) -> None:
        """One that it set is due."""
        return

    def on_storage(self, now_ns: int, op: int) -> None:
        """An operation on disk is done, perhaps another machine's."""
        return

    def on_connection(self, now_ns: int, event: Connected | Disconnected) -> None:
        """A connection to another node was made, or broke."""
        return

    def flush(self, now_ns: int) -> None:
        """All events of the step are taken, and all signals of it heard."""
        return

    def status(self) -> dict[str, Any]:
        """Its part of what `{"admin": "status"}` answers."""
        ...

    def check(self) -> None:
        """Assert every invariant, in full."""
        ...

    def fingerprint(self) -> Any:
        """Its whole state as JSON: equal after equal inputs."""
        ...


class Member(Machine, Protocol):
    """A machine of the cluster's optional parts: it is started, and may take datagrams."""

    def start(self, now_ns: int) -> None:
        """At the first step of this process."""
        return

    def on_datagram(self, now_ns: int, datagram: Datagram, note: Note) -> None:
        """One that is for it by its prefix; anybody may have sent it."""
        return
