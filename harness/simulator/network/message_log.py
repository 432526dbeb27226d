"""Every message between the nodes of a simulated run: when it was sent and when it arrived, in columns.

    log = MessageLog(cluster)              # before anything happens; it changes nothing
    for message in log.between(spans): …   # those under way in these spans of virtual time

A message is kept as an object only while it is under way. Of one that arrives twice, the first arrival counts.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tribulation.node.core.interface.messages import Message

from ..event_loop import Kernel
from .tcp import Peers

NEVER = -1


class Sent(NamedTuple):
    """A message between nodes. `arrived_ns` is None for one that was lost, or was still under way at the end."""

    sent_ns: int
    arrived_ns: int | None
    source: str
    target: str
    kind: str
    about: str


class MessageLog:
    def __init__(self, kernel: Kernel, peers: Peers) -> None:
        self._kernel = kernel
        self._under_way: dict[tuple[str, str, int], tuple[Message, list[int]]] = {}
        self._numbers: dict[str, int] = {}
        self._sent_ns, self._arrived_ns = array("q"), array("q")
        self._names = array("l")
        peers.observer = self

    def sent(self, source: str, target: str, message: Message) -> None:
        _, times_ns = self._under_way.setdefault((source, target, id(message)), (message, []))
        times_ns.append(self._kernel.now_ns)

    def arrived(self, source: str, target: str, message: Message) -> None:
        key = (source, target, id(message))
        found = self._under_way.get(key)
        if found is None:
            return
        self._add(source, target, message, found[1].pop(0), self._kernel.now_ns)
        if not found[1]:
            del self._under_way[key]

    def between(self, spans_ns: Sequence[tuple[int, int]]) -> Iterator[Sent]:
        """Yield the messages that were sent, arrived or were under way in one of the spans."""
        names = [name.split("\n") for name in self._numbers]
        for sent_ns, arrived_ns, name in zip(self._sent_ns, self._arrived_ns, self._names, strict=True):
            if any(sent_ns <= until_ns and arrived_ns >= from_ns for from_ns, until_ns in spans_ns):
                source, target, kind, about = names[name]
                yield Sent(sent_ns, arrived_ns, source, target, kind, about)
        for (source, target, _), (message, times_ns) in self._under_way.items():
            for sent_ns in times_ns:
                if any(from_ns <= sent_ns <= until_ns for from_ns, until_ns in spans_ns):
                    yield Sent(sent_ns, None, source, target, *_words(message))

    def _add(self, source: str, target: str, message: Message, sent_ns: int, arrived_ns: int) -> None:
        text = "\n".join((source, target, *_words(message)))
        self._sent_ns.append(sent_ns)
        self._arrived_ns.append(arrived_ns)
        self._names.append(self._numbers.setdefault(text, len(self._numbers)))


def _words(message: Any) -> tuple[str, str]:
    """Return the kind of a message, and what it is about: `append`, `term 2, 3 entries`."""
    about = [f"term {message.term}"] if hasattr(message, "term") else []
    if entries := getattr(message, "entries", ()):
        about.append(f"{len(entries)} entries" if len(entries) > 1 else "1 entry")
    if (granted := getattr(message, "granted", None)) is not None:
        about.append("granted" if granted else "denied")
    if getattr(message, "ok", None) is False:
        about.append("refused")
    return message.TAG.partition(".")[2], ", ".join(about)
