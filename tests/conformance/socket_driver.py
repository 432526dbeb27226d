"""The suite's driver for the socket runtime: a real `Runtime` in a thread, real sockets on loopback, a real directory."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

from tribulation.node.runtime.loop.loop import Runtime
from tribulation.node.runtime.options import EXIT_HALTED, Address, RuntimeOptions

from .endpoints import CLUSTER, SocketClient, SocketPeer, SocketStation
from .faulty_disk import Faults, FaultyDisk
from .suite import NODE, PEERS, ScriptedCore


class SocketDriver:
    capabilities = frozenset({"bytes", "half-open", "pings", "fail-stop"})

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._peers = {name: SocketPeer(name) for name in PEERS}
        self._let_in: set[str] = set()
        self._clients: list[SocketClient] = []
        self._stations: list[SocketStation] = []
        self._faults = Faults()
        self._runtime: Runtime
        self._thread: threading.Thread | None = None
        self._disk: FaultyDisk
        self._exit: str | None = None

    def boot(self, core: ScriptedCore) -> None:
        self._exit = None
        peers = {name: Address(socket.AF_INET, peer.address) for name, peer in self._peers.items()}
        options = RuntimeOptions(
            node=NODE,
            cluster=CLUSTER,
            listen=Address(socket.AF_INET, ("127.0.0.1", 0)),
            peers=peers,
            directory=self._directory,
            udp_port=0,
        )
        self._disk = FaultyDisk(self._directory / "data", self._faults)
        self._runtime = Runtime(options, core, self._disk)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.wait(lambda: bool(core.steps) and self._runtime.address is not None, "the first step")

    def _run(self) -> None:
        code = self._runtime.run()
        self._exit = "halt" if code == EXIT_HALTED else f"exit {code}"

    def crash(self) -> None:
        self._disk.die()
        self._end()
        self._exit = "crash"

    def exit_reason(self) -> str | None:
        return self._exit

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline_s = time.monotonic() + 10.0
        while not condition():
            assert time.monotonic() < deadline_s, f"waited 10 s for {what}"
            time.sleep(0.002)

    def elapse(self, duration_ns: int) -> None:
        time.sleep(duration_ns / 1e9)

    def peer(self, name: str) -> SocketPeer:
        if name not in self._let_in:
            self._let_in.add(name)
            self._peers[name].let_in(self._address)
        return self._peers[name]

    def client(self) -> SocketClient:
        client = SocketClient(self._address())
        self._clients.append(client)
        return client

    def station(self) -> SocketStation:
        assert self._runtime.udp_port is not None
        station = SocketStation(("127.0.0.1", self._runtime.udp_port))
        self._stations.append(station)
        return station

    def files(self) -> Mapping[str, bytes]:
        return {path.name: path.read_bytes() for path in (self._directory / "data").iterdir()}

    def stored_incarnation(self) -> int:
        checksum, count = (self._directory / "incarnation").read_text().split()
        assert checksum == f"crc32:{crc32(count.encode()):08x}"
        return int(count)

    def hold_storage(self) -> None:
        self._faults.hold(True)

    def release_storage(self) -> None:
        self._faults.hold(False)

    def fail_storage(self, kind: str, file: str | None = None) -> None:
        self._faults.failing.append((kind, file))

    def storage_log(self) -> list[tuple[str, str]]:
        return list(self._faults.log)

    def traces(self) -> list[Mapping[str, Any]]:
        return [json.loads(line) for line in (self._directory / "trace.jsonl").read_text().splitlines()]

    def close(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            self._disk.die()
            self._end()
        for client in self._clients:
            client.leave()
        for peer in self._peers.values():
            peer.close()
        for station in self._stations:
            station.close()

    def _address(self) -> tuple[str, int]:
        assert self._runtime.address is not None
        host, port = self._runtime.address.rsplit(":", 1)
        return host, int(port)

    def _end(self) -> None:
        assert self._thread is not None
        self._runtime.stop()
        self._thread.join(10)
        assert not self._thread.is_alive(), "the runtime did not stop"
