"""The other ends of a node's connections, played over real sockets: peers that answer pings, and clients.

Each connection has a reader thread. Everything received is kept for the test to look at.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from tribulation.node.core.interface.messages import Message, from_wire, to_wire
from tribulation.node.wire import Decoder, Frame, Kind, encode, encode_payload, frame

CLUSTER = "conformance"


class FrameSocket:
    """A blocking socket with a thread that hands each frame to `on_frame` until the stream ends."""

    def __init__(
        self, sock: socket.socket, on_frame: Callable[[FrameSocket, Frame], None], reading: bool = True
    ) -> None:
        self.sock = sock
        self.ended = threading.Event()
        self.reading = threading.Event()
        if reading:
            self.reading.set()
        self._on_frame = on_frame
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def send(self, data: bytes) -> None:
        # The other side may have closed already; what the test asserts is what arrived.
        with suppress(OSError):
            self.sock.sendall(data)

    def reset(self) -> None:
        with suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        self.reading.set()
        # Shutting down would send a FIN before the reset; detaching the reader needs neither.
        self.sock.close()

    def _read(self) -> None:
        decoder = Decoder()
        # A timeout, because closing a socket does not wake a thread that reads it.
        self.sock.settimeout(0.05)
        while True:
            self.reading.wait()
            try:
                data = self.sock.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                data = b""
            if not data:
                self.ended.set()
                return
            decoder.feed(data)
            while (found := decoder.next()) is not None:
                self._on_frame(self, found)


class SocketPeer:
    """Bound from the start (so that its port is known), listening from `let_in` on."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self._hello = encode(Kind.HELLO, {"cluster": CLUSTER, "role": "node", "name": name, "incarnation": 1})
        self._accepted: list[FrameSocket] = []
        self._dialled: FrameSocket | None = None
        self._messages: list[Message] = []
        self._closing = threading.Event()
        self._stalling = threading.Lock()
        self._stalled = False
        self._node_address: Callable[[], tuple[str, int]]

    def let_in(self, node_address: Callable[[], tuple[str, int]]) -> None:
        self._node_address = node_address
        self.listener.listen(64)
        self.listener.settimeout(0.05)
        threading.Thread(target=self._accept, daemon=True).start()
        threading.Thread(target=self._ping, daemon=True).start()

    def send(self, message: Message) -> None:
        if self._dialled is None or self._dialled.ended.is_set():
            sock = socket.create_connection(self._node_address(), timeout=5)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._dialled = FrameSocket(sock, lambda connection, found: None)
            self._dialled.send(self._hello)
        self._dialled.send(frame(Kind.MESSAGE, encode_payload(to_wire(message))))

    def received(self) -> list[Message]:
        return list(self._messages)

    def reset(self) -> None:
        for connection in [*self._accepted, *([self._dialled] if self._dialled else [])]:
            connection.reset()
        self._accepted.clear()
        self._dialled = None

    def die(self) -> None:
        self.close()

    def stall(self) -> None:
        with self._stalling:
            self._stalled = True
            for connection in self._accepted:
                connection.reading.clear()

    def unstall(self) -> None:
        with self._stalling:
            self._stalled = False
            for connection in self._accepted:
                connection.reading.set()

    def close(self) -> None:
        self._closing.set()
        self.unstall()
        self.reset()
        self.listener.close()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                sock, _ = self.listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            # Known before it is read: its first answer may already lead the test to stall it.
            with self._stalling:
                connection = FrameSocket(sock, self._take, reading=False)
                self._accepted.append(connection)
                if not self._stalled:
                    connection.reading.set()

    def _take(self, connection: FrameSocket, found: Frame) -> None:
        if found.kind is Kind.HELLO:
            connection.send(self._hello)
        elif found.kind is Kind.PING:
            connection.send(encode(Kind.PONG, {}))
        elif found.kind is Kind.MESSAGE:
            self._messages.append(from_wire(found.payload))

    def _ping(self) -> None:
        while not self._closing.wait(0.25):
            if self._dialled is not None and not self._stalled:
                self._dialled.send(encode(Kind.PING, {}))


class SocketClient:
    def __init__(self, node_address: tuple[str, int]) -> None:
        self._replies: list[Mapping[str, Any]] = []
        self._errors: list[Mapping[str, Any]] = []
        self._connection = FrameSocket(socket.create_connection(node_address, timeout=5), self._take)
        self._connection.send(encode(Kind.HELLO, {"cluster": CLUSTER, "role": "client", "name": "suite"}))

    def send(self, body: Mapping[str, Any]) -> None:
        self._connection.send(encode(Kind.REQUEST, body))

    def replies(self) -> list[Mapping[str, Any]]:
        return list(self._replies)

    def errors(self) -> list[Mapping[str, Any]]:
        return list(self._errors)

    def send_bytes(self, data: bytes) -> None:
        self._connection.send(data)

    def closed(self) -> bool:
        return self._connection.ended.is_set()

    def leave(self) -> None:
        self._connection.close()

    def _take(self, connection: FrameSocket, found: Frame) -> None:
        if found.kind is Kind.REPLY:
            self._replies.append(found.payload)
        elif found.kind is Kind.ERROR:
            self._errors.append(found.payload)


class SocketStation:
    def __init__(self, node: tuple[str, int]) -> None:
        self._node = node
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self._received: list[bytes] = []
        self.place: tuple[str, int] = self._socket.getsockname()

    def send(self, data: bytes) -> None:
        self._socket.sendto(data, self._node)

    def received(self) -> list[bytes]:
        with suppress(BlockingIOError):
            while True:
                self._received.append(self._socket.recv(65536))
        return self._received

    def close(self) -> None:
        self._socket.close()
