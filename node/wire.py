"""Frames of the wire protocol (docs/reference/protocol.md): bytes to frames and back, without a socket.

    | magic "TR" | version 1 | kind | length, big-endian | payload: UTF-8 JSON |

A `CHECKED` frame is a node's message after a CRC-32 of the message. Nodes send it to peers whose hello has `"checked": true`. The decoder returns it
as a `MESSAGE`, or refuses it when a bit has changed on the way. TCP's own checksum covers the wire, not the memory of devices in between.

`Decoder` takes bytes in pieces of any size and yields whole frames. Invalid bytes raise `FrameError`, whose fields become the error frame that the
other side receives. The decoder knows nothing of senders or of the meaning of payloads.

    decoder = Decoder()
    decoder.feed(encode(Kind.REQUEST, {"id": 1}))
    decoder.next()      # Frame(kind=Kind.REQUEST, payload={"id": 1}, raw=b'{"id":1}')
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, NamedTuple

from .bounded import STRICT, WIDE, OutOfBounds, read_json, refuse_surrogates
from .json_text import encoder

MAGIC = b"TR"
VERSION = 1
MAX_PAYLOAD = 1_048_576
HEADER = struct.Struct(">2sBBI")
CHECK = struct.Struct(">I")

_dumps = encoder()


class Kind(IntEnum):
    """Kind of a frame. `PING` and `PONG` belong to the transport between nodes; the core never sees them."""

    HELLO = 1
    MESSAGE = 2
    REQUEST = 3
    REPLY = 4
    ERROR = 5
    PING = 6
    PONG = 7
    CHECKED = 8


_KINDS = {int(kind): kind for kind in Kind}


class Frame(NamedTuple):
    """`payload` is the decoded JSON (a list for `MESSAGE`, else an object), `raw` its original bytes."""

    kind: Kind
    payload: Any
    raw: bytes


_SKIPPED = Frame(Kind.MESSAGE, None, b"")


class FrameError(Exception):
    """Bytes that are not a frame. `reason` is a short word for programs, `message` has the value, `hint` what to do."""

    def __init__(self, reason: str, message: str, hint: str) -> None:
        super().__init__(f"{message}\nhint: {hint}")
        self.reason = reason
        self.message = message
        self.hint = hint

    def body(self) -> dict[str, str]:
        """Return the payload of the error frame that answers it."""
        return {"error": self.reason, "message": self.message, "hint": self.hint}


def encode_payload(body: Mapping[str, Any] | list[Any]) -> bytes:
    """Encode compact JSON. Key order is the mapping's: equal effects give equal bytes."""
    return _dumps(body).encode("ascii")


def frame(kind: Kind, payload: bytes) -> bytes:
    """Make a frame of an encoded payload. Raises `FrameError` above 1 MiB, as every receiver would."""
    if len(payload) > MAX_PAYLOAD:
        raise _too_large(len(payload))
    return HEADER.pack(MAGIC, VERSION, kind, len(payload)) + payload


def checked(payload: bytes) -> bytes:
    """Make the frame of a node's message with its checksum. Raises `FrameError` as `frame` does."""
    if len(payload) > MAX_PAYLOAD:
        raise _too_large(len(payload))
    header = HEADER.pack(MAGIC, VERSION, Kind.CHECKED, CHECK.size + len(payload))
    return header + CHECK.pack(zlib.crc32(payload)) + payload


def encode(kind: Kind, body: Mapping[str, Any]) -> bytes:
    return frame(kind, encode_payload(body))


class Decoder:
    """Reassembles frames. After a `FrameError` the position in the stream is lost, so the decoder refuses to go on.

    It holds at most one incomplete frame and the bytes fed after it, so its memory is bounded by one frame and one `feed`.
    """

    def __init__(self, max_payload: int = MAX_PAYLOAD) -> None:
        self._buffer = bytearray()
        self._at = 0
        self._max_payload = max_payload
        self._failed: FrameError | None = None
        self.skipped = 0
        """Messages beyond the bounds."""

    def feed(self, data: bytes) -> None:
        if self._at:
            del self._buffer[: self._at]
            self._at = 0
        self._buffer += data

    @property
    def pending(self) -> int:
        """Bytes held that have not been returned as a frame."""
        return len(self._buffer) - self._at

    def discard(self) -> None:
        """Drop what was fed and not yet returned."""
        self._buffer.clear()
        self._at = 0

    def next(self) -> Frame | None:
        """Return the next whole frame, or None when more bytes are needed. Raises `FrameError`."""
        if self._failed is not None:
            raise self._failed
        try:
            while (found := self._next()) is _SKIPPED:
                self.skipped += 1
            return found
        except FrameError as error:
            self._failed = error
            self.discard()
            raise

    def _next(self) -> Frame | None:
        available = len(self._buffer) - self._at
        if available < HEADER.size:
            # A foreign protocol is refused at its first bytes, not only once it has sent eight.
            if available:
                self._check_magic(bytes(self._buffer[self._at : self._at + min(2, available)]))
            return None
        magic, version, kind_number, length = HEADER.unpack_from(self._buffer, self._at)
        self._check_magic(magic)
        kind = _check_header(version, kind_number, length, self._max_payload)
        end = self._at + HEADER.size + length
        if len(self._buffer) < end:
            return None
        raw = bytes(memoryview(self._buffer)[self._at + HEADER.size : end])
        self._at = end
        if kind is Kind.CHECKED:
            kind, raw = Kind.MESSAGE, _unchecked(raw)
        return self._frame(kind, raw)

    def _frame(self, kind: Kind, raw: bytes) -> Frame:
        """Decode a frame. A message beyond the bounds is dropped, as messages may be: a value that a client gave to one node must not disconnect that
        node from another.
        """
        try:
            return Frame(kind, decode_payload(raw, kind), raw)
        except OutOfBounds as error:
            if kind is not Kind.MESSAGE:
                raise _not_json(str(error), raw) from None
        return _SKIPPED

    @staticmethod
    def _check_magic(first: bytes) -> None:
        if not MAGIC.startswith(first):
            raise FrameError(
                "bad-magic",
                f"the stream has {first!r} where a frame begins with {MAGIC!r}",
                "use the protocol of docs/reference/protocol.md on this port, from the first byte",
            )


def _check_header(version: int, kind_number: int, length: int, max_payload: int) -> Kind:
    if version != VERSION:
        raise FrameError(
            "bad-version",
            f"the frame has protocol version {version}; this node uses version {VERSION}",
            "run the same release on both sides",
        )
    kind = _KINDS.get(kind_number)
    if kind is None:
        raise FrameError(
            "bad-kind",
            f"the frame has kind {kind_number}; known are 1 to {max(_KINDS)}",
            "run the same release on both sides",
        )
    if length > max_payload + (CHECK.size if kind is Kind.CHECKED else 0):
        raise _too_large(length, max_payload)
    return kind


def _unchecked(raw: bytes) -> bytes:
    payload = raw[CHECK.size :]
    if len(raw) < CHECK.size or CHECK.unpack_from(raw)[0] != zlib.crc32(payload):
        raise FrameError(
            "bad-checksum",
            f"a message of {len(payload)} bytes is not what was sent; it begins with {payload[:40]!r}",
            "look for what changes bytes between these nodes: memory, a network card, a middlebox",
        )
    return payload


def _too_large(length: int, max_payload: int = MAX_PAYLOAD) -> FrameError:
    return FrameError(
        "too-large",
        f"the frame's payload has {length} bytes; at most {max_payload} are allowed",
        "split the request into smaller ones",
    )


def decode_payload(raw: bytes, kind: Kind) -> Any:
    """Return the JSON object or list of a payload. Raises `OutOfBounds`, also for what could not be written out again, and `FrameError` for text that is
    not JSON.
    """
    try:
        text = raw.decode("utf-8")
        value = read_json(text, WIDE if kind in (Kind.MESSAGE, Kind.REPLY) else STRICT)
        refuse_surrogates(text, value)
    except OutOfBounds:
        raise
    except ValueError as error:
        raise _not_json(str(error), raw) from None
    shape = list if kind is Kind.MESSAGE else dict
    if not isinstance(value, shape):
        raise FrameError(
            "bad-shape",
            f"the payload is a JSON {type(value).__name__}, not a {shape.__name__}",
            'requests are objects like {"id": 1, ...}, messages between nodes are lists',
        )
    return value


def _not_json(why: str, raw: bytes) -> FrameError:
    return FrameError(
        "not-json",
        f"the payload is not UTF-8 JSON: {why[:200]}; it begins with {raw[:40]!r}",
        "send one JSON object per frame",
    )
