"""Members, agents and detectors on this machine: real node processes on loopback addresses, timed by their own traces.

    python -P benchmarks/cluster/members.py up [--nodes 32] [--agents 512] [--voters 5]      how long until all are ACTIVE and every agent runs
    python -P benchmarks/cluster/members.py detect [--nodes 8 16 32] [--kills 4] [--busy 8]  detection times, false positives, datagrams a node and second
    python -P benchmarks/cluster/members.py migrate [--mb 10]                                how long a migration of so much state stops its agent

Times are on the machine's monotonic clock, which all its processes share. `--json` prints one document.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:] = [
    str(ROOT),
    *(entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).resolve().parent),
]

# ruff: noqa: E402
from tribulation.harness.bytecode import with_bytecode
from tribulation.harness.systems.reference.client import ReferenceClient
from tribulation.harness.systems.reference.package import build_node_archive
from tribulation.node.config.cluster import MembershipConfig
from tribulation.node.core.detector.lifeguard import LONGEST

CLUSTER, PORT, UDP_PORT = "benchmark", 10_000, 9_999
WAIT_S = 60.0


class Node:
    """One process. `address` is a loopback address of its own."""

    def __init__(self, number: int, directory: Path, archive: Path, config: Mapping[str, Any]) -> None:
        self.name, self.address = f"n{number}", f"127.0.7.{number}"
        self.directory, self._archive = directory / self.name, archive
        self.directory.mkdir()
        own = {"node": self.name, "cluster": CLUSTER, "peers": {self.name: [self.address, PORT]}}
        (self.directory / "config.json").write_text(json.dumps({**config, **own, "record_inputs": False}))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-I", "-S", str(self._archive), "--config", str(self.directory / "config.json")]
        with (self.directory / "out").open("ab") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def client(self, timeout_s: float = 20.0) -> ReferenceClient:
        client = ReferenceClient(CLUSTER)
        client.open(self.name, lambda _, limit_s: socket.create_connection((self.address, PORT), limit_s), timeout_s)
        return client

    def ask(self, body: Mapping[str, Any], timeout_s: float = 20.0) -> Mapping[str, Any]:
        client = self.client(timeout_s)
        try:
            return client.request({"deadline_ms": int(timeout_s * 1000), **body}, timeout_s)
        finally:
            client.close()

    def status(self) -> Mapping[str, Any] | None:
        try:
            return self.ask({"admin": "status"}, 5.0)
        except OSError:
            return None

    def traces(self, *events: str) -> list[Mapping[str, Any]]:
        path = self.directory / "trace.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [
            line for line in map(json.loads, (line for line in lines if line.endswith("}"))) if line["event"] in events
        ]


@contextmanager
def cluster(
    count: int, voters: int, memory: Mapping[str, Any] | None = None, **membership: Any
) -> Iterator[list[Node]]:
    """Nodes that are not started yet: the first ones vote, each gets the addresses of two seeds."""
    names = [f"n{i + 1}" for i in range(count)]
    seeds = [[f"127.0.7.{i}", UDP_PORT] for i in (1, 2)]
    config = {
        "voters": dict.fromkeys(names[:voters], 1),
        "timing": "default" if count > 8 else "fast",
        "membership": {"seeds": seeds, "broadcast": False, **membership},
        "agents": {},
        **({} if memory is None else {"memory": memory}),
    }
    with tempfile.TemporaryDirectory(prefix="members-") as place:
        directory = Path(place)
        archive = directory / "node.pyz"
        archive.write_bytes(with_bytecode(build_node_archive()))
        nodes = [Node(i + 1, directory, archive, config) for i in range(count)]
        try:
            yield nodes
        finally:
            for node in nodes:
                if node.process is not None and node.process.poll() is None:
                    node.process.terminate()
            for node in nodes:
                if node.process is not None:
                    node.process.wait(20)


def wait_for(what: str, condition: Callable[[], bool], limit_s: float = WAIT_S, step_s: float = 0.05) -> float:
    """Seconds until it holds. Raises `TimeoutError`."""
    began_s = time.monotonic()
    while not condition():
        if time.monotonic() - began_s > limit_s:
            raise TimeoutError(f"waited {limit_s:g} s for {what}")
        time.sleep(step_s)
    return time.monotonic() - began_s


def all_active(nodes: Sequence[Node]) -> Callable[[], bool]:
    """Return a function that says whether all replicated members are active, by one node's view."""

    def look() -> bool:
        for node in nodes:
            try:
                view = node.ask({"view": "members", "level": "stale"}, 2.0)["results"][0]
            except (OSError, KeyError):
                continue
            return sum(record["state"] == "ACTIVE" for record in view.values()) == len(nodes)
        return False

    return look


def up(count: int, agents: int, voters: int, at_once: int) -> dict[str, Any]:
    with cluster(count, voters) as nodes:
        began_ns = time.monotonic_ns()
        for node in nodes:
            node.start()
        started_s = (time.monotonic_ns() - began_ns) / 1e9
        wait_for(f"{count} members that are ACTIVE", all_active(nodes))
        active_s = (time.monotonic_ns() - began_ns) / 1e9

        def deploy(numbers: range) -> int:
            """Deploy the agents of these numbers, and return how many of them run."""
            wanted = [{"agent": f"a{i}.generic", "type": "generic", "on": nodes[i % count].name} for i in numbers]
            node = nodes[numbers.start // at_once % count]
            answer = node.ask({"do": "agents.deploy", "with": {"agents": wanted}, "await": True}, 30.0)
            return sum(record["state"] == "running" for record in answer.get("records", {}).values())

        with ThreadPoolExecutor(32) as pool:
            batches = [range(first, min(first + at_once, agents)) for first in range(0, agents, at_once)]
            running = sum(pool.map(deploy, batches))
        running_s = (time.monotonic_ns() - began_ns) / 1e9
        return {
            "nodes": count,
            "processes_started_s": round(started_s, 2),
            "all_active_s": round(active_s, 2),
            "agents_running": running,
            "agents_running_s": round(running_s, 2),
        }


def _busy(until_s: float) -> None:
    while time.monotonic() < until_s:
        pass


def bound_ms(count: int, period_ms: int) -> float:
    """Fixed in advance: three periods until a node probes a victim, and the longest suspicion, as if no other node confirmed it."""
    defaults = MembershipConfig()
    return period_ms * (3 + LONGEST * defaults.suspicion_periods * math.log10(count + 1))


def detect(count: int, kills: int, busy: int, period_ms: int) -> dict[str, Any]:
    """Kills some nodes one after the other while busy loops starve the rest."""
    with cluster(
        count, min(5, count), swim_period_ns=period_ms * 1_000_000, swim_timeout_ns=period_ms * 300_000
    ) as nodes:
        for node in nodes:
            node.start()
        wait_for(f"{count} members that are ACTIVE", all_active(nodes))
        time.sleep(2.0)
        before = [node.status() or {} for node in nodes]
        quiet_s = 10.0
        time.sleep(quiet_s)
        after = [node.status() or {} for node in nodes]
        sent = [
            a.get("detector_datagrams", 0) - b.get("detector_datagrams", 0) for a, b in zip(after, before, strict=True)
        ]
        loops = [multiprocessing.Process(target=_busy, args=(time.monotonic() + 60.0 * kills,)) for _ in range(busy)]
        for loop in loops:
            loop.start()
        killed: dict[str, int] = {}
        try:
            for victim in nodes[-kills:]:
                time.sleep(5.0)
                killed[victim.name] = time.monotonic_ns()
                victim.kill()
                time.sleep(max(10.0, bound_ms(count, period_ms) / 1000 - 5.0))
        finally:
            for loop in loops:
                loop.terminate()
        took_ms, missed, wrong = [], 0, 0
        limit_ms = bound_ms(count, period_ms)
        for node in nodes[:-kills]:
            lines = node.traces("suspect", "failed")
            for name, at_ns in killed.items():
                known = [line["mono_ns"] for line in lines if line["target"] == name and line["event"] == "failed"]
                known = [moment for moment in known if moment > at_ns]
                took_ms += [(known[0] - at_ns) / 1e6] if known else []
                missed += not known
            wrong += sum(
                line["event"] == "failed" and line["mono_ns"] < killed.get(line["target"], 1 << 62) for line in lines
            )
        return {
            "nodes": count,
            "datagrams_per_node_s": round(statistics.mean(sent) / quiet_s, 2),
            "busy_loops": busy,
            "kills": len(killed),
            "detected": len(took_ms),
            "missed": missed,
            "bound_ms": round(limit_ms, 1),
            "beyond_bound": sum(moment > limit_ms for moment in took_ms),
            "detection_ms": {"median": round(statistics.median(took_ms), 1), "max": round(max(took_ms), 1)}
            if took_ms
            else None,
            "declared_failed_though_up": wrong,
        }


def migrate(megabytes: int) -> dict[str, Any]:
    """An agent learns so much, then moves while it goes on learning."""
    with cluster(3, 3) as nodes:
        for node in nodes:
            node.start()
        wait_for("3 members that are ACTIVE", all_active(nodes))
        nodes[0].ask({"do": "agents.spawn", "with": {"agent": "a.data", "type": "data", "on": "n1"}, "await": True})
        for number in range(megabytes * 100):
            task = {"task": f"t{number}", "type": "data", "handler": "learn"}
            payload = {"set": {f"k{number}": "x" * 10_000}}
            nodes[0].ask({"do": "tasks.submit", "with": {**task, "payload": payload}, "await": True})
        record = nodes[0].ask({"view": "agents", "with": {"agent": "a.data"}})["results"][0]
        fields = {"agent": "a.data", "epoch": record["epoch"], "to": "n2"}
        began_s = time.monotonic()
        with ThreadPoolExecutor(1) as pool:
            moving = pool.submit(nodes[0].ask, {"do": "agents.move", "with": fields, "await": True}, 60.0)
            number = 0
            while not moving.done():
                task = {"task": f"l{number}", "type": "data", "handler": "learn"}
                payload = {"set": {f"k{number}": number}}
                nodes[2].ask({"do": "tasks.submit", "with": {**task, "payload": payload}, "await": True})
                number += 1
        took_s = time.monotonic() - began_s
        moved = moving.result()["record"]
        return {
            "state_mb": megabytes,
            "moved_to": moved["host"],
            "migration_s": round(took_s, 2),
            "tasks_meanwhile": number,
            "pause_ms": round((moved["pause_ns"] or 0) / 1e6, 1),
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("what", choices=("up", "detect", "migrate"))
    parser.add_argument("--nodes", type=int, nargs="+", default=[])
    parser.add_argument("--agents", type=int, default=512)
    parser.add_argument("--at-once", type=int, default=64, help="agents in one command")
    parser.add_argument("--voters", type=int, default=5)
    parser.add_argument("--kills", type=int, default=4)
    parser.add_argument("--busy", type=int, default=8)
    parser.add_argument("--period-ms", type=int, default=500)
    parser.add_argument("--mb", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.what == "up":
        found = [up(count, min(given.agents, 16 * count), given.voters, given.at_once) for count in given.nodes or [32]]
    elif given.what == "detect":
        found = [detect(count, given.kills, given.busy, given.period_ms) for count in given.nodes or [8, 16, 32]]
    else:
        found = [migrate(given.mb)]
    for one in found:
        print(json.dumps(one) if given.json else "\n".join(f"{name:26} {value}" for name, value in one.items()) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
