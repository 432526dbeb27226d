"""The way of a message between two processes: encoded, framed, cut into pieces, decoded.

Doing that for every message costs more than the core itself, so a keyed draw selects one in N. The others are passed
by reference, which is safe because messages and bodies are never changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tribulation.node.core.interface.messages import Message, from_wire, to_wire
from tribulation.node.wire import Decoder, FrameError, Kind, checked, encode, encode_payload

from ...keyed_random import draw, mix
from ..errors import ContractViolation


def framed(message: Message) -> bytes:
    """Return the bytes that a node writes to another one."""
    return checked(encode_payload(to_wire(message)))


def unframed(data: bytes) -> Message | None:
    """Return the message that the other node reads; None where it closes the connection instead. It stops at a frame's header if the length is too large."""
    decoder = Decoder()
    decoder.feed(data)
    try:
        found = decoder.next()
        return None if found is None or found.kind is not Kind.MESSAGE else from_wire(found.payload)
    except (FrameError, ValueError):
        return None


class Codec:
    def __init__(self, seed: int, one_in: int) -> None:
        self._key = draw(seed, 0xC0DEC)
        self._one_in = one_in
        self._seen = 0
        self._next = 1 if one_in else -1
        """Number of the next message that is encoded."""

    def carry(self, message: Message) -> Message:
        """Return the message as its receiver gets it."""
        if not self._chosen():
            return message
        received = from_wire(self._through(Kind.MESSAGE, to_wire(message)))
        if received != message:
            raise ContractViolation(f"{message!r} arrives as {received!r}", "to_wire and from_wire must be inverse")
        return received

    def body(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a client's request or a reply as the other side gets it."""
        if not self._chosen():
            return body
        received: Mapping[str, Any] = self._through(Kind.REQUEST, body)
        return received

    def _chosen(self) -> bool:
        """Return whether to encode this message. The gap to the next one is drawn, `one_in` on average."""
        self._seen += 1
        if self._seen != self._next:
            return False
        self._next += 1 + mix(self._key ^ self._seen) % (2 * self._one_in - 1)
        return True

    def _through(self, kind: Kind, payload: Any) -> Any:
        data = encode(kind, payload)
        cut = draw(self._key, self._seen, len(data)) % len(data)
        decoder = Decoder()
        decoder.feed(data[:cut])
        early = decoder.next()
        decoder.feed(data[cut:])
        frame = decoder.next()
        if early is not None or frame is None:
            raise ContractViolation(
                f"a frame of {len(data)} bytes cut at {cut} was not put together", "see node/wire.py"
            )
        return frame.payload
