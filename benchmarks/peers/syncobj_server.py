"""One PySyncObj replica with a TCP front: `python syncobj_server.py TIMING PORT OWN PARTNER PARTNER`.

A request is one line, `w KEY VALUE` or `r KEY` or `leader`; the answer is one line. A write is answered when it is applied here; a read is local.
PySyncObj keeps its log in memory here, as it does by default.
"""

from __future__ import annotations

import socket
import sys
from contextlib import suppress

from pysyncobj import SyncObj, SyncObjConf, replicated
from pysyncobj.poller import POLL_EVENT_TYPE

TIMING_S = {
    "default": {"raftMinTimeout": 1.0, "raftMaxTimeout": 2.0, "appendEntriesPeriod": 0.1},
    "fast": {"raftMinTimeout": 0.3, "raftMaxTimeout": 0.6, "appendEntriesPeriod": 0.03},
}
READABLE = POLL_EVENT_TYPE.READ | POLL_EVENT_TYPE.ERROR


class Store(SyncObj):  # type: ignore[misc]
    def __init__(self, timing: str, own: str, partners: list[str]) -> None:
        super().__init__(own, partners, SyncObjConf(autoTick=False, appendEntriesUseBatch=False, **TIMING_S[timing]))
        self._data: dict[str, str] = {}

    @replicated  # type: ignore[untyped-decorator]
    def put(self, key: str, value: str) -> None:
        self._data[key] = value

    def read(self, key: str) -> str:
        return self._data.get(key, "")


class Front:
    """Clients' sockets wait in the replica's own poller, so that what they send is acted on at once."""

    def __init__(self, store: Store, port: int) -> None:
        self._store = store
        self._server = socket.create_server(("127.0.0.1", port), backlog=512)
        self._unread: dict[socket.socket, bytes] = {}
        store._poller.subscribe(self._server.fileno(), self._accept, READABLE)

    def run(self) -> None:
        while True:
            self._store.doTick(0.01)

    def _accept(self, *_: object) -> None:
        sock, _address = self._server.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._unread[sock] = b""
        self._store._poller.subscribe(sock.fileno(), lambda *_: self._hear(sock), READABLE)

    def _hear(self, sock: socket.socket) -> None:
        chunk = b""
        with suppress(ConnectionError):  # a client that goes with an answer under way resets
            chunk = sock.recv(1 << 16)
        if not chunk:
            self._store._poller.unsubscribe(sock.fileno())
            del self._unread[sock]
            sock.close()
            return
        *lines, self._unread[sock] = (self._unread[sock] + chunk).split(b"\n")
        for line in lines:
            self._answer(sock, line.decode().split(" ", 2))

    def _answer(self, sock: socket.socket, words: list[str]) -> None:
        if words[0] == "w":
            self._store.put(
                words[1], words[2], callback=lambda _, error: _send(sock, f"error {error}" if error else "ok")
            )
        elif words[0] == "r":
            _send(sock, f"ok {self._store.read(words[1])}")
        else:
            leader = self._store.getStatus()["leader"]
            _send(sock, f"ok {leader}" if leader is not None else "error none")


def _send(sock: socket.socket, line: str) -> None:
    with suppress(OSError):  # its client is gone
        sock.sendall(line.encode() + b"\n")


if __name__ == "__main__":
    Front(Store(sys.argv[1], sys.argv[3], sys.argv[4:]), int(sys.argv[2])).run()
