"""What a request costs the leader's process, and all three: processor time of real nodes under clients on this machine, and requests per second.

    python -P benchmarks/cluster/leader_cpu.py [--clients 64] [--seconds 5] [--what write|read] [--preload 0] [--json]

Each client has one request under way, over a connection of its own to the leader; values have 128 characters. Processor time is what counts on a machine that others use.
`--preload` keys are written first.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:] = [str(ROOT), *(entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).parent)]

# ruff: noqa: E402
from tests.node.fuzz.processes import NODES, Processes
from tests.node.runtime.one_node import FrameClient
from tribulation.node.wire import Decoder, Kind, encode

VALUE = "x" * 128
KEYS = 10_000
TICKS = os.sysconf("SC_CLK_TCK")


class Client:
    def __init__(self, port: int, what: str, number: int) -> None:
        self._client = FrameClient(("127.0.0.1", port))
        self.session = self._client.ask({"id": 0, "open": True})["session"]
        self.sock = self._client.sock
        self.sock.setblocking(False)
        self._decoder = Decoder()
        self._what, self._number, self._seq = what, number, 0
        self.done = 0
        self.asked_s = 0.0
        self.took_s: list[float] = []

    def ask(self) -> None:
        self._seq += 1
        key = f"key-{(self._seq * 7919 + self._number * 104729) % KEYS}"
        op = ["w", key, VALUE] if self._what == "write" else ["r", key]
        body: dict[str, Any] = {"id": self._seq, "session": self.session, "seq": self._seq, "ops": [op]}
        self.asked_s = time.monotonic()
        self.sock.sendall(encode(Kind.REQUEST, body))

    def hear(self) -> None:
        self._decoder.feed(self.sock.recv(1 << 16))
        while (found := self._decoder.next()) is not None:
            if found.kind is Kind.REPLY:
                assert found.payload["status"] == "ok", found.payload
                self.done += 1
                self.took_s.append(time.monotonic() - self.asked_s)
                self.ask()


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def measure(clients: int, seconds: float, what: str, preload: int) -> dict[str, Any]:
    plain = {"membership": None, "agents": None, "memory": None, "timing": "default"}
    with tempfile.TemporaryDirectory() as folder, Processes(Path(folder), **plain) as cluster:
        leader = _leader(cluster)
        port = cluster.ports[leader]
        _fill(port, preload)
        asking = [Client(port, what, number) for number in range(clients)]
        selector = selectors.DefaultSelector()
        for client in asking:
            selector.register(client.sock, selectors.EVENT_READ, client)
            client.ask()
        _run(selector, seconds / 4)
        before = {name: cpu_s(cluster.pid(name)) for name in NODES}
        done, began_s = sum(client.done for client in asking), time.monotonic()
        for client in asking:
            client.took_s.clear()
        _run(selector, seconds)
        took_s = time.monotonic() - began_s
        requests = sum(client.done for client in asking) - done
        spent = {name: cpu_s(cluster.pid(name)) - before[name] for name in NODES}
        latencies = sorted(one for client in asking for one in client.took_s)
        return {
            "what": what,
            "clients": clients,
            "preload": preload,
            "per_s": round(requests / took_s),
            "leader_us": round(1e6 * spent[leader] / requests, 1),
            "all_us": round(1e6 * sum(spent.values()) / requests, 1),
            "p50_ms": round(1e3 * latencies[len(latencies) // 2], 1),
            "p99_ms": round(1e3 * latencies[len(latencies) * 99 // 100], 1),
        }


def _run(selector: selectors.BaseSelector, seconds: float) -> None:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        for key, _ in selector.select(0.1):
            key.data.hear()


def _fill(port: int, keys: int) -> None:
    with FrameClient(("127.0.0.1", port)) as client:
        session = client.ask({"id": 0, "open": True})["session"]
        for seq, first in enumerate(range(0, keys, 200), 1):
            ops = [["w", f"key-{number}", VALUE] for number in range(first, min(first + 200, keys))]
            assert client.ask({"id": seq, "session": session, "seq": seq, "ops": ops})["status"] == "ok"


def _leader(cluster: Processes) -> str:
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        for name in NODES:
            try:
                with FrameClient(("127.0.0.1", cluster.ports[name])) as client:
                    found = client.ask({"id": 1, "admin": "status"}).get("leader")
            except OSError:
                found = None
            if found is not None:
                time.sleep(1)
                return str(found)
        time.sleep(0.1)
    raise SystemExit("no leader within 60 s")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--what", choices=("write", "read"), default="write")
    parser.add_argument("--preload", type=int, default=0)
    options = parser.parse_args()
    print(json.dumps(measure(options.clients, options.seconds, options.what, options.preload)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
