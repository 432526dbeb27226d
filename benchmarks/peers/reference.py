"""This project's node: three processes on this machine, clients that speak its frames."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.node.fuzz.processes import NODES, Processes
from tests.node.runtime.one_node import FrameClient
from tribulation.node.wire import Decoder, Kind, encode

from .load import DEADLINE_S, VALUE, System

PLAIN: dict[str, Any] = {"membership": None, "agents": None, "memory": None}
"""Only what etcd has too: a replicated log and a key-value state."""


class Reference(System):
    name = "tribulation"
    durable = "on disk (fdatasync) at a majority"
    reads = "linearizable"

    def __init__(self, timing: str = "default") -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._cluster = Processes(Path(self._folder.name), [sys.executable], **PLAIN, timing=timing)
        self.leader()

    def pids(self) -> dict[str, int]:
        return {node: self._cluster.pid(node) for node in NODES if self._cluster.code(node) is None}

    def leader(self) -> str:
        deadline_s = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline_s:
            for node in NODES:
                try:
                    with self._cluster.client(node) as client:
                        found = client.ask({"id": 1, "admin": "status"}).get("leader")
                except OSError:
                    continue
                if found is not None:
                    return str(found)
            time.sleep(0.1)
        raise RuntimeError(f"{self.name} has no leader after {DEADLINE_S} s")

    def client(self, node: str, what: str, timeout_s: float = DEADLINE_S) -> _Client:
        frames = self._cluster.client(node)
        frames.sock.settimeout(timeout_s)
        try:
            return _Client(frames, what)
        except BaseException:
            frames.sock.close()
            raise

    def kill(self, node: str) -> None:
        os.kill(self._cluster.pid(node), signal.SIGKILL)

    def start_again(self, node: str) -> None:
        self._cluster.kill(node)
        self._cluster.start_again(node)

    def close(self) -> None:
        self._cluster.__exit__()
        self._folder.cleanup()


class _Client:
    def __init__(self, frames: FrameClient, what: str) -> None:
        answer = frames.ask({"id": 0, "open": True})
        if answer.get("status") != "ok":
            raise ConnectionError(f"the node opened no session: {answer}")
        self._session = answer["session"]
        self._frames = frames  # it closes its socket with it
        self.sock = frames.sock
        self._decoder = Decoder()
        self._what, self._seq = what, 0

    def ask(self, key: str) -> None:
        self._seq += 1
        op = ["w", key, VALUE] if self._what == "write" else ["r", key]
        body = {"id": self._seq, "session": self._session, "seq": self._seq, "ops": [op]}
        self.sock.sendall(encode(Kind.REQUEST, body))

    def hear(self) -> int:
        self._decoder.feed(self.sock.recv(1 << 16))
        done = 0
        while (found := self._decoder.next()) is not None:
            if found.kind is Kind.REPLY:
                if found.payload["status"] != "ok":
                    raise RuntimeError(f"the node answered {found.payload}")
                done += 1
        return done
