"""Three real node processes, on different Pythons where this machine has them."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.node.core.test_hostile_commands import other_pythons
from tests.node.runtime.one_node import CLUSTER, DEADLINE_S, FrameClient, wait_for

ROOT = Path(__file__).parents[3]
NODES = ("n1", "n2", "n3")
MOST_BYTES = 150 << 20
"""Of a node's memory. It has 30 MB at the start, and answers of a megabyte wait for several clients at a time."""


class Processes:
    """Started with all parts when this is made. `ended` names those that did not go on by themselves."""

    def __init__(self, directory: Path, pythons: Sequence[str] = (), **config: Any) -> None:
        self._directory, self._config = directory, config
        self.ports = {name: free_port() for name in NODES}
        pythons = pythons or [sys.executable, *reversed(other_pythons())]
        self._pythons = {name: pythons[number % len(pythons)] for number, name in enumerate(NODES)}
        self._running: dict[str, Any] = {}
        for name in NODES:
            self.start(name)

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running.values():
            process.kill()
            process.wait(DEADLINE_S)

    @property
    def ended(self) -> list[str]:
        return [name for name, process in self._running.items() if process.poll() is not None]

    def start(self, name: str) -> None:
        home = self._directory / name
        home.mkdir(exist_ok=True)
        config = {
            "node": name,
            "cluster": CLUSTER,
            "peers": {peer: ["127.0.0.1", port] for peer, port in self.ports.items()},
            "membership": {"broadcast": False, "udp_port": self.ports[name]},
            "agents": {},
            "memory": {},
            "record_inputs": False,
            **self._config,
        }
        (home / "config.json").write_text(json.dumps(config))
        self.start_again(name)

    def start_again(self, name: str) -> Any:
        """On the files that are there."""
        self._running[name] = self._process(name)
        return self._running[name]

    def _process(self, name: str) -> Any:
        home = self._directory / name
        with open(home / "out", "ab") as out:
            command = [self._pythons[name], "-m", "tribulation.node", "--config", str(home / "config.json")]
            environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(self._directory / "pyc")}
            return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=out)

    def kill(self, name: str) -> None:
        self._running[name].kill()
        self._running[name].wait(DEADLINE_S)

    def pid(self, name: str) -> int:
        return int(self._running[name].pid)

    def rss_bytes(self, name: str) -> int:
        """Memory of the node alone: what the test holds is not in it."""
        pages = Path(f"/proc/{self.pid(name)}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def code(self, name: str) -> int | None:
        code: int | None = self._running[name].poll()
        return code

    def forget(self, name: str) -> None:
        """It is ended, and may be."""
        self.kill(name)
        del self._running[name]

    def answers(self, name: str) -> bool:
        """Whether it serves, as the member that it is."""
        try:
            with self.client(name) as client:
                return client.ask({"id": 1, "admin": "status"}).get("node") == name
        except OSError:
            return False

    def said(self, name: str) -> str:
        files = [self._directory / name / file for file in ("out", "node.log")]
        return "".join(file.read_text()[-2000:] for file in files if file.exists())

    def logged(self, text: str) -> list[str]:
        """Lines of the nodes' logs that have this text."""
        paths = [self._directory / name / "node.log" for name in NODES]
        return [line for path in paths if path.exists() for line in path.read_text().splitlines() if text in line]

    def client(self, name: str, role: str | None = "client") -> FrameClient:
        return FrameClient(("127.0.0.1", self.ports[name]), role=role)

    def ask(self, name: str, **body: Any) -> dict[str, Any]:
        """Until the answer is ok: there may be no leader yet."""
        deadline_s = time.monotonic() + 3 * DEADLINE_S
        answer: object = None
        while time.monotonic() < deadline_s:
            assert self.ended == [], [self.said(ended) for ended in self.ended]
            try:
                with self.client(name) as client:
                    answer = found = client.ask({"id": "honest", "deadline_ms": 5000, **body})
                if found.get("status") == "ok":
                    return found
            except OSError as error:
                answer = error
            time.sleep(0.05)
        raise AssertionError(f"{name} answered {body} with {answer!r}")

    def agree(self) -> None:
        """All nodes come to one state."""
        wait_for(lambda: len({self._state(name) for name in NODES}) == 1, "one state")

    def _state(self, name: str) -> tuple[int, str]:
        answer = self.ask(name, admin="digest")
        return answer["index"], answer["digest"]


def free_port() -> int:
    """Below those that the kernel gives to outgoing connections: one that is free now must be free at each restart."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        highest = max(20_000, int(file.read().split()[0]))
    while True:
        port = secrets.randbelow(highest - 10_000) + 10_000
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, suppress(OSError):
            tcp.bind(("", port))
            udp.bind(("", port))
            return port
