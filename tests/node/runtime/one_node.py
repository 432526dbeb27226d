"""One real node of its own cluster in a thread: real core, real sockets, real files. And a client that speaks frames, good or bad."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tribulation.node.config.node import NodeConfig
from tribulation.node.core.core import Core
from tribulation.node.runtime.loop.loop import Runtime
from tribulation.node.runtime.options import Address, Limits, RuntimeOptions
from tribulation.node.wire import Decoder, Frame, Kind, encode

CLUSTER = "one"
DEADLINE_S = 20.0
LIMITS = Limits()


class OneNode:
    """It has begun when this is made, and is ended by `close`, which asserts that nothing else ended it."""

    def __init__(self, directory: Path, *, limits: Limits = LIMITS, workers: int = 0, **config: Any) -> None:
        directory.mkdir(exist_ok=True)
        data = {"node": "n1", "cluster": CLUSTER, "peers": {"n1": ["127.0.0.1", 1]}, "timing": "fast", **config}
        options = RuntimeOptions(
            node="n1",
            cluster=CLUSTER,
            listen=Address(socket.AF_INET, ("127.0.0.1", 0)),
            peers={},
            directory=directory,
            limits=limits,
            record_inputs=False,
            udp_port=0,
            workers=workers,
        )
        self.core = Core(NodeConfig.from_json(data))
        self.runtime = Runtime(options, self.core)
        self.failure: BaseException | None = None
        self.exit: int | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        wait_for(lambda: self.runtime.address is not None or self.ended, "the node's port")

    def __enter__(self) -> OneNode:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def address(self) -> tuple[str, int]:
        assert self.runtime.address is not None
        host, port = self.runtime.address.rsplit(":", 1)
        return host, int(port)

    @property
    def udp(self) -> tuple[str, int]:
        assert self.runtime.udp_port is not None
        return "127.0.0.1", self.runtime.udp_port

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    @property
    def broken(self) -> Mapping[str, int]:
        """By exception: what the guard has turned into the end of a connection."""
        return self.runtime._shared.guard.counts

    @property
    def dropped(self) -> Mapping[str, int]:
        return self.runtime._shared.dropped

    def client(self, source: str = "127.0.0.1") -> FrameClient:
        return FrameClient(self.address, source)

    def serves(self) -> None:
        """An honest client is served."""
        with self.client() as client:
            assert client.ask({"id": "honest", "admin": "status"})["status"] == "ok"

    def close(self) -> None:
        was_ended = self.ended
        self.runtime.stop()
        self._thread.join(DEADLINE_S)
        assert self.failure is None, f"the node ended by {self.failure!r}"
        assert not was_ended and self.exit == 0, f"the node had ended by itself, with {self.exit}"

    def _run(self) -> None:
        try:
            self.exit = self.runtime.run()
        except BaseException as error:
            self.failure = error


class FrameClient:
    """`role` None: no hello is said."""

    def __init__(self, address: tuple[str, int], source: str = "127.0.0.1", role: str | None = "client") -> None:
        self.sock = socket.create_connection(address, timeout=DEADLINE_S, source_address=(source, 0))
        self._decoder = Decoder()
        if role is not None:
            self.send(encode(Kind.HELLO, {"cluster": CLUSTER, "role": role, "name": "n2", "incarnation": 1}))

    def __enter__(self) -> FrameClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        """The other side may have closed already; what counts is what it answered."""
        with suppress(OSError):
            self.sock.sendall(data)

    def hear_all(self) -> None:
        """Say that nothing more comes, and read until the other side ends it: what is closed with something unread is reset, and what was sent is lost."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
            while self.sock.recv(1 << 20):
                pass

    def ask(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The next reply, or error frame, after this request; `{}` when the connection ended without one."""
        self.send(encode(Kind.REQUEST, body))
        return self.answer()

    def answer(self) -> dict[str, Any]:
        found = self.next(Kind.REPLY, Kind.ERROR)
        return {} if found is None else found.payload

    def next(self, *kinds: Kind) -> Frame | None:
        """The next frame of these kinds; None at the end of the stream."""
        while True:
            found = self._decoder.next()
            if found is None:
                try:
                    data = self.sock.recv(65536)
                except ConnectionError:
                    return None
                if not data:
                    return None
                self._decoder.feed(data)
            elif found.kind in kinds:
                return found


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = DEADLINE_S) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"waited {timeout_s:g} s for {what}"
        time.sleep(0.002)
