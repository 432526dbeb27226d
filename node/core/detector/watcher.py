"""Interface of both failure detectors: pure state that receives members, notes and time, and returns what to send and what it believes.

A belief is about one incarnation of a member. It begins as None: the member was not heard yet, and is trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ..interface.value import frozen

ALIVE, SUSPECT, FAILED = "alive", "suspect", "failed"

Draw = Callable[[str, int, int], int]
"""`(purpose, low, high)` → a number, both ends included."""


@frozen
class Send:
    """A note to send: to the member `to`, or to the sender of the note that is being answered."""

    to: str
    tag: str
    body: Any


@frozen
class Change:
    name: str
    incarnation: int
    belief: str


class Watcher(Protocol):
    """The machine empties `sends` and `changes` after each call. `next_ns`: when `on_time` is wanted; None: never."""

    sends: list[Send]
    changes: list[Change]

    @property
    def next_ns(self) -> int | None: ...

    def watch(self, now_ns: int, members: Mapping[str, int]) -> None:
        """Set the members, by name, with their incarnations, including this node if it is one. A node that is no member watches none."""
        ...

    def on_note(self, now_ns: int, sender: str, tag: str, body: Any) -> None:
        """Handle a note from another node. Raises ValueError for anything that is not a note of this detector."""
        ...

    def on_time(self, now_ns: int) -> None: ...

    def status(self) -> dict[str, Any]: ...

    def check(self) -> None: ...

    def dump(self) -> Any: ...
