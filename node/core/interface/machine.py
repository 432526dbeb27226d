"""Interface of a machine, with defaults that do nothing. Each machine overrides only what it handles.

    class Echo(Member):
        name = "echo"

        def __init__(self, config, out, incarnation, chance) -> None:
            self.signals = {Changed: self._on_changed}

A machine receives messages and timers by the prefix of their tag or key, and signals by their type. All other inputs go to every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from .datagrams import Note
from .events import Connected, Datagram, Disconnected
from .messages import Message


class Machine(Protocol):
    """`signals` maps each handled type to its handler, which takes the time and the signal."""

    name: str
    signals: Mapping[type[Any], Callable[[int, Any], None]]

    def on_message(self, now_ns: int, peer: str, message: Message) -> None:
        raise AssertionError(f"no message is for {self.name}: {message}")

    def on_timer(self, now_ns: int, key: str) -> None:
        """Handle a timer that this machine set."""
        return

    def on_storage(self, now_ns: int, op: int) -> None:
        """Handle the end of a storage operation, perhaps of another machine."""
        return

    def on_connection(self, now_ns: int, event: Connected | Disconnected) -> None:
        """Handle a new or lost connection to another node."""
        return

    def flush(self, now_ns: int) -> None:
        """Finish a step: all its events and signals have been handled."""
        return

    def status(self) -> dict[str, Any]:
        """Return this machine's part of the answer to `{"admin": "status"}`."""
        ...

    def check(self) -> None:
        """Assert every invariant, in full."""
        ...

    def fingerprint(self) -> Any:
        """Return the whole state as JSON: equal after equal inputs."""
        ...


class Member(Machine, Protocol):
    """A machine of the optional parts of a cluster: it is started, and may receive datagrams."""

    def start(self, now_ns: int) -> None:
        """Run at the first step of this process."""
        return

    def on_datagram(self, now_ns: int, datagram: Datagram, note: Note) -> None:
        """Handle a datagram addressed to this machine by its prefix. The sender is not authenticated."""
        return
