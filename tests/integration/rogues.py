"""Those who should not get in: what they try at a node's port, and all that they hear."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import urllib.request
from collections.abc import Mapping
from typing import Any

from tribulation.node.wire import Decoder, FrameError, Kind, encode

PATIENCE_S = 10.0


def attempt(
    address: tuple[str, int], tls: ssl.SSLContext | None, hello: Mapping[str, Any], request: Mapping[str, Any], own: str
) -> bytes:
    """Say hello from the address `own` and ask, without waiting for an answer; all that comes, deciphered if need be."""
    heard = b""
    try:
        with socket.create_connection(address, PATIENCE_S, source_address=(own, 0)) as raw:
            sock = raw if tls is None else tls.wrap_socket(raw)
            sock.settimeout(PATIENCE_S)
            sock.sendall(encode(Kind.HELLO, hello) + encode(Kind.REQUEST, request))
            while data := sock.recv(65536):
                heard += data
    except OSError:
        pass  # Refused in the middle, by an alert or a reset: what was heard before counts.
    return heard


def kinds(heard: bytes) -> list[Kind]:
    """The frames among it; of what is no frame, nothing."""
    decoder, found = Decoder(), []
    decoder.feed(heard)
    try:
        while (frame := decoder.next()) is not None:
            found.append(frame.kind)
    except FrameError:
        pass
    return found


def status(metrics: str) -> Mapping[str, Any]:
    """What a node serves over HTTP."""
    with urllib.request.urlopen(f"http://{metrics}/status", timeout=PATIENCE_S) as answer:
        found: Mapping[str, Any] = json.load(answer)
        return found


class Impostor:
    """Listens in the place of a node and keeps all that it is reported: deciphered, and as it came."""

    def __init__(self, address: tuple[str, int], tls: ssl.SSLContext | None) -> None:
        self.raw = b""
        self.reported = b""
        self.dialled = 0
        self._tls = tls
        self._ended = threading.Event()
        self._listener = socket.create_server(address)
        self._listener.settimeout(0.05)
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Impostor:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._ended.is_set():
            try:
                sock, _ = self._listener.accept()
            except TimeoutError:
                continue
            self.dialled += 1
            with sock:
                sock.settimeout(2.0)
                try:
                    self._hear(sock)
                except OSError:
                    continue

    def _hear(self, sock: socket.socket) -> None:
        if self._tls is None:
            while data := sock.recv(65536):
                self.raw += data
                sock.sendall(encode(Kind.ERROR, {"message": "plain"}))
            return
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = self._tls.wrap_bio(incoming, outgoing, server_side=True)
        while data := sock.recv(65536):
            self.raw += data
            incoming.write(data)
            try:
                session.do_handshake()
                self.reported += session.read(65536)
            except ssl.SSLWantReadError:
                pass
            finally:
                sock.sendall(outgoing.read())
