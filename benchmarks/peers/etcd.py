"""etcd (Debian's package): three processes, and clients that speak just enough HTTP/2 and gRPC for a put and a linearizable range.

A gRPC library would cost the client several times what a request costs a server; these clients cost about what those of the other systems do.
Frames: RFC 9113; header fields are literals without indexing (RFC 7541 6.2.2), so that no table of the peer is needed.
"""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

from tests.node.fuzz.processes import free_port

from .load import DEADLINE_S, VALUE, Processes

NODES = ("e1", "e2", "e3")
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
WINDOW = 1 << 30


class Etcd(Processes):
    name = "etcd"
    nodes = NODES
    durable = "on disk (fdatasync) at a majority"
    reads = "linearizable"

    def __init__(self, timing: str = "default") -> None:
        if shutil.which("etcd") is None:
            raise RuntimeError("etcd is not installed; hint: apt install etcd-server")
        self._folder = tempfile.TemporaryDirectory()
        ports = [free_port() for _ in range(6)]
        self._ports = dict(zip(NODES, ports[:3], strict=True))
        peers = dict(zip(NODES, ports[3:], strict=True))
        initial = ",".join(f"{node}=http://127.0.0.1:{port}" for node, port in peers.items())
        heartbeat_ms, election_ms = TIMING_MS[timing]
        self._commands = {
            node: [
                *("etcd", "--name", node, "--data-dir", f"{self._folder.name}/{node}"),
                *("--listen-client-urls", f"http://127.0.0.1:{self._ports[node]}"),
                *("--advertise-client-urls", f"http://127.0.0.1:{self._ports[node]}"),
                *("--listen-peer-urls", f"http://127.0.0.1:{peers[node]}"),
                *("--initial-advertise-peer-urls", f"http://127.0.0.1:{peers[node]}"),
                *("--initial-cluster", initial, "--log-level", "error"),
                *("--heartbeat-interval", str(heartbeat_ms), "--election-timeout", str(election_ms)),
            ]
            for node in NODES
        }
        super().__init__()

    def started(self, node: str) -> subprocess.Popen[bytes]:
        with open(Path(self._folder.name) / f"{node}.log", "ab") as log:
            return subprocess.Popen(self._commands[node], stdout=log, stderr=log)

    def leader(self) -> str:
        """The node whose identity is the leader's in its own answer (`StatusResponse`: header 1, leader 4; header: member_id 2)."""
        deadline_s = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline_s:
            for node, port in self._ports.items():
                try:
                    status = _fields(GrpcClient(port).call("/etcdserverpb.Maintenance/Status", b""))
                except (OSError, RuntimeError):
                    continue
                if status.get(4) and status[4] == _fields(_bytes(status[1])).get(2):
                    return node
            time.sleep(0.1)
        raise RuntimeError(f"{self.name} has no leader after {DEADLINE_S} s")

    def client(self, node: str, what: str, timeout_s: float = DEADLINE_S) -> _Client:
        return _Client(self._ports[node], what, timeout_s)

    def close(self) -> None:
        super().close()
        self._folder.cleanup()


TIMING_MS = {"default": (100, 1000), "fast": (30, 300)}
"""Heartbeat interval and election timeout, by the name of this project's timing."""


class GrpcClient:
    """One connection, one call under way."""

    def __init__(self, port: int, timeout_s: float = DEADLINE_S) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        settings = struct.pack(">HI", 4, WINDOW)
        window = struct.pack(">I", WINDOW)
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        self.sock.sendall(preface + _frame(SETTINGS, 0, 0, settings) + _frame(WINDOW_UPDATE, 0, 0, window))
        self._authority = f"127.0.0.1:{port}"
        self._heads: dict[str, bytes] = {}
        self._stream = -1
        self._unread = bytearray()
        self._received = 0
        self.message = b""

    def send(self, path: str, message: bytes) -> None:
        self._stream += 2
        if path not in self._heads:
            self._heads[path] = _headers(path, self._authority)
        self.message = b""
        head = _frame(HEADERS, END_HEADERS, self._stream, self._heads[path])
        body = _frame(DATA, END_STREAM, self._stream, struct.pack(">BI", 0, len(message)) + message)
        self.sock.sendall(head + body)

    def hear(self) -> int:
        """Read what came: 1 when the call has ended, its message in `message`; else 0."""
        chunk = self.sock.recv(1 << 16)
        if not chunk:
            raise ConnectionError("etcd ended the connection")
        self._unread += chunk
        done = 0
        while len(self._unread) >= 9:
            length = int.from_bytes(self._unread[:3])
            if len(self._unread) < 9 + length:
                break
            kind, flags = self._unread[3], self._unread[4]
            payload = bytes(self._unread[9 : 9 + length])
            del self._unread[: 9 + length]
            done += self._frame(kind, flags, payload)
        return done

    def _frame(self, kind: int, flags: int, payload: bytes) -> int:
        if kind == DATA:
            self.message += payload
            self._received += len(payload)
            if self._received > WINDOW // 2:
                self.sock.sendall(_frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", self._received)))
                self._received = 0
        elif kind == SETTINGS and not flags & ACK:
            self.sock.sendall(_frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            self.sock.sendall(_frame(PING, ACK, 0, payload))
        elif kind in (RST_STREAM, GOAWAY):
            raise RuntimeError(f"etcd refused a call: frame {kind}, {payload!r}")
        if kind not in (HEADERS, DATA) or not flags & END_STREAM:
            return 0
        if not self.message:
            raise RuntimeError("etcd answered a call with an error")
        return 1

    def call(self, path: str, message: bytes) -> bytes:
        """One call, waited for; then the connection is closed."""
        with self.sock:
            self.send(path, message)
            while not self.hear():
                pass
            return self.message[5:]


class _Client(GrpcClient):
    def __init__(self, port: int, what: str, timeout_s: float) -> None:
        super().__init__(port, timeout_s)
        self._what = what

    def ask(self, key: str) -> None:
        if self._what == "write":
            self.send("/etcdserverpb.KV/Put", _field(1, key.encode()) + _field(2, VALUE.encode()))
        else:
            self.send("/etcdserverpb.KV/Range", _field(1, key.encode()))


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload) << 8 | kind) + struct.pack(">BI", flags, stream) + payload


def _headers(path: str, authority: str) -> bytes:
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": authority,
        "content-type": "application/grpc",
        "te": "trailers",
    }
    return b"".join(b"\0" + _literal(name) + _literal(value) for name, value in fields.items())


def _literal(text: str) -> bytes:
    """A string of fewer than 127 bytes, without Huffman coding."""
    data = text.encode()
    return bytes([len(data)]) + data


def _field(number: int, data: bytes) -> bytes:
    """A length-delimited field of a protobuf message."""
    return bytes([number << 3 | 2]) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _fields(message: bytes) -> dict[int, int | bytes]:
    """The last value of each field of a protobuf message: integers and byte strings."""
    found: dict[int, int | bytes] = {}
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        value, at = _read_varint(message, at)
        if tag & 7 == 2:
            found[tag >> 3] = message[at : at + value]
            at += value
        else:
            found[tag >> 3] = value
    return found


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise RuntimeError(f"etcd answered {value} where a message was expected")
    return value
