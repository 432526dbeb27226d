"""The load that every system gets: closed-loop clients, each with one request under way over a connection of its own."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

VALUE = "x" * 128
KEYS = 10_000
DEADLINE_S = 60.0
PROBE_S = 0.02
PROBES = 200
TICKS = os.sysconf("SC_CLK_TCK")


class Client(Protocol):
    """One connection. `hear` reads what came and returns how many requests it completes: 0 or 1."""

    sock: socket.socket

    def ask(self, key: str) -> None: ...

    def hear(self) -> int: ...


class System(ABC):
    """A cluster of three processes on this machine. It is started when made and ended by `close`."""

    name: str
    durable: str
    """What an acknowledged write rests on."""
    reads: str
    """What a read promises."""

    @abstractmethod
    def pids(self) -> dict[str, int]:
        """The servers' processes, by node."""

    @abstractmethod
    def leader(self) -> str: ...

    @abstractmethod
    def client(self, node: str, what: str, timeout_s: float = DEADLINE_S) -> Client:
        """A new connection to a node; `what` is `write` or `read`. Raises `OSError` when it does not answer in time."""

    @abstractmethod
    def kill(self, node: str) -> None:
        """Send SIGKILL to its process."""

    @abstractmethod
    def start_again(self, node: str) -> None:
        """Start a killed node on its files."""

    @abstractmethod
    def close(self) -> None: ...


class Processes(System):
    """A system whose servers are child processes of this one: `started(node)` starts one on its files."""

    nodes: Sequence[str]

    def __init__(self) -> None:
        self._running = {node: self.started(node) for node in self.nodes}
        self.leader()

    @abstractmethod
    def started(self, node: str) -> subprocess.Popen[bytes]: ...

    def pids(self) -> dict[str, int]:
        return {node: process.pid for node, process in self._running.items() if process.poll() is None}

    def kill(self, node: str) -> None:
        os.kill(self._running[node].pid, signal.SIGKILL)

    def start_again(self, node: str) -> None:
        self._running[node].kill()
        self._running[node].wait(DEADLINE_S)
        self._running[node] = self.started(node)

    def close(self) -> None:
        for process in self._running.values():
            process.kill()
            process.wait(DEADLINE_S)


def cpu_s(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def measure(system: System, clients: int, what: str, seconds: float) -> dict[str, float]:
    """Requests a second, processor time per request of the leader and of all three, latencies; after a quarter of the time as warm-up.

    Raises `RuntimeError` when the leader changed, or nothing was answered.
    """
    leader = system.leader()
    drivers = [_Driver(system.client(leader, what), number) for number in range(clients)]
    try:
        with selectors.DefaultSelector() as selector:
            for driver in drivers:
                driver.client.sock.setblocking(False)
                selector.register(driver.client.sock, selectors.EVENT_READ, driver)
                driver.ask()
            _run(selector, seconds / 4)
            before = {node: cpu_s(pid) for node, pid in system.pids().items()}
            for driver in drivers:
                driver.took_s.clear()
            took_s = _run(selector, seconds)
            spent = {node: cpu_s(pid) - before[node] for node, pid in system.pids().items()}
    finally:
        for driver in drivers:
            driver.client.sock.close()
    latencies = sorted(one for driver in drivers for one in driver.took_s)
    if not latencies:
        raise RuntimeError(f"{system.name} answered nothing in {seconds} s to {clients} clients")
    if system.leader() != leader:
        raise RuntimeError(f"the leader of {system.name} changed during the load: {leader} led before")
    return {
        "per_s": round(len(latencies) / took_s, 1),
        "leader_us": round(1e6 * spent[leader] / len(latencies), 1),
        "all_us": round(1e6 * sum(spent.values()) / len(latencies), 1),
        "p50_ms": round(1e3 * latencies[len(latencies) // 2], 2),
        "p99_ms": round(1e3 * latencies[len(latencies) * 99 // 100], 2),
    }


def failover(system: System, kills: int) -> dict[str, float]:
    """Seconds from `kill -9` of the leader to the first write that another node acknowledges."""
    took_s = sorted(_failover(system) for _ in range(kills))
    return {"p50_s": round(took_s[len(took_s) // 2], 3), "max_s": round(took_s[-1], 3), "kills": kills}


def _failover(system: System) -> float:
    leader = system.leader()
    asked = next(node for node in system.pids() if node != leader)
    probes = _probes(system, asked)
    try:
        time.sleep(1)
        system.kill(leader)
        took_s = _first_answer(probes)
    finally:
        for probe in probes:
            probe.sock.close()
    system.start_again(leader)
    return took_s


def _probes(system: System, node: str) -> list[Client]:
    """Connections that were opened while the leader lived; a node that has just been started may not listen yet."""
    deadline_s = time.monotonic() + DEADLINE_S
    probes: list[Client] = []
    while len(probes) < PROBES:
        try:
            probes.append(system.client(node, "write"))
        except OSError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.1)
    return probes


def _first_answer(probes: list[Client]) -> float:
    """Seconds until the first of these writes is acknowledged. One begins every `PROBE_S`; one that was lost with the leader so keeps no other waiting."""
    began_s = time.monotonic()
    unsent = list(probes)
    with selectors.DefaultSelector() as selector:
        while time.monotonic() < began_s + DEADLINE_S:
            if unsent and time.monotonic() >= began_s + PROBE_S * (len(probes) - len(unsent)):
                probe = unsent.pop()
                selector.register(probe.sock, selectors.EVENT_READ, probe)
                probe.ask("key-0")
            for key, _ in selector.select(PROBE_S / 4):
                try:
                    if key.data.hear():
                        return time.monotonic() - began_s
                except (OSError, RuntimeError):
                    selector.unregister(key.fileobj)
    raise RuntimeError(f"no write was acknowledged within {DEADLINE_S} s after the leader was killed")


class _Driver:
    def __init__(self, client: Client, number: int) -> None:
        self.client = client
        self.took_s: list[float] = []
        self._number, self._seq, self._asked_s = number, 0, 0.0

    def ask(self) -> None:
        self._seq += 1
        self._asked_s = time.monotonic()
        self.client.ask(f"key-{(self._seq * 7919 + self._number * 104729) % KEYS}")

    def hear(self) -> None:
        if self.client.hear():
            self.took_s.append(time.monotonic() - self._asked_s)
            self.ask()


def _run(selector: selectors.BaseSelector, seconds: float) -> float:
    began_s = now_s = time.monotonic()
    while now_s < began_s + seconds:
        for key, _ in selector.select(0.1):
            key.data.hear()
        now_s = time.monotonic()
    return now_s - began_s
