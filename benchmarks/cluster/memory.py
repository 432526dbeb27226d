"""Agent memory on this machine: real node processes on loopback addresses, timed by their own traces.

    python -P benchmarks/cluster/memory.py sync  [--episodes 1000 10000]     how many episodes a second cross from one node to another
    python -P benchmarks/cluster/memory.py delta [--episodes 10000]          what 10 new episodes cost on the wire, and a snapshot
    python -P benchmarks/cluster/memory.py cap   [--bits 64000]              how well a bandwidth cap is kept
    python -P benchmarks/cluster/memory.py learn [--episodes 2000]           changes a second, at each level

`--json` prints one document a line.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:] = [str(ROOT), *(entry for entry in sys.path if Path(entry or ".").resolve() != HERE)]

# ruff: noqa: E402
from benchmarks.cluster.members import Node, cluster, wait_for

LEARNERS = 8


def learn(node: Node, prefix: str, count: int, level: str = "eventual") -> float:
    """So many new episodes on this node; how many a second."""
    began_s = time.monotonic()

    def some(start: int) -> None:
        client = node.client()
        try:
            for number in range(start, count, LEARNERS):
                fields = {
                    "goal": f"goal {number} of {prefix}: find what a reader would look for",
                    "outcome": "done",
                    "strategy": "local-first",
                    "quality": 0.5,
                    "agents": [f"a{number % 7}", f"b{number % 5}"],
                    "modalities_in": ["text"],
                    "modalities_out": ["code"],
                    "duration_ms": number,
                    "timestamp_ms": 1_700_000_000_000 + number,
                }
                body = {"memory": "change", "kind": "episode", "record": f"{prefix}-{number}", "fields": fields}
                answer = client.request({**body, "level": level, "deadline_ms": 20_000}, 20.0)
                assert answer["status"] == "ok", answer
        finally:
            client.close()

    with ThreadPoolExecutor(LEARNERS) as pool:
        list(pool.map(some, range(LEARNERS)))
    return count / (time.monotonic() - began_s)


def sync(node: Node, source: Node, limit_s: float = 60.0) -> Mapping[str, Any]:
    """Sync a node's memory from `source`, and return the trace line of that sync."""
    before = len(node.traces("memory-synced"))
    answer = node.ask({"memory": "sync", "from": source.name})
    assert answer["status"] == "ok", answer
    wait_for("the sync to end", lambda: len(node.traces("memory-synced")) > before, limit_s, 0.02)
    return node.traces("memory-synced")[before]


def same(*nodes: Node) -> bool:
    return len({node.ask({"memory": "digest"})["digest"] for node in nodes}) == 1


def measure_sync(count: int) -> dict[str, Any]:
    with cluster(3, 3, memory={"sync": "on_demand"}) as nodes:
        _start(nodes)
        learned = learn(nodes[0], "e", count)
        line = sync(nodes[1], nodes[0])
        took_s = line["took_ns"] / 1e9
        return {
            "episodes": line["records"],
            "learned_per_s": round(learned),
            "synced_s": round(took_s, 3),
            "episodes_per_s": round(line["records"] / took_s),
            "bytes_per_episode": round(line["bytes"] / max(1, line["records"])),
            "same_digest": same(nodes[0], nodes[1]),
        }


def measure_delta(count: int) -> dict[str, Any]:
    with cluster(3, 3, memory={"sync": "on_demand"}) as nodes:
        _start(nodes)
        learn(nodes[0], "e", count - 10)
        sync(nodes[1], nodes[0])
        learn(nodes[0], "n", 10)
        delta = sync(nodes[1], nodes[0])
        whole = sync(nodes[2], nodes[0])
        return {
            "delta_records": delta["records"],
            "delta_bytes": delta["bytes"],
            "snapshot_records": whole["records"],
            "snapshot_bytes": whole["bytes"],
            "delta_percent": round(100 * delta["bytes"] / whole["bytes"], 3),
            "same_digest": same(*nodes),
        }


def measure_cap(bits: int, count: int = 600) -> dict[str, Any]:
    with cluster(3, 3, memory={"sync": "on_demand", "bandwidth_bps": bits}) as nodes:
        _start(nodes)
        learn(nodes[0], "e", count)
        before = _sent(nodes[0])
        line = sync(nodes[1], nodes[0], 300.0)
        took_s, sent = line["took_ns"] / 1e9, _sent(nodes[0]) - before
        return {
            "cap_bits_per_s": bits,
            "records": line["records"],
            "synced_s": round(took_s, 2),
            "bits_per_s": round(8 * sent / took_s),
            "of_the_cap": round(8 * sent / took_s / bits, 3),
        }


def measure_learn(count: int) -> dict[str, Any]:
    with cluster(3, 3, memory={"sync": "on_demand"}) as nodes:
        _start(nodes)
        levels = ("eventual", "quorum", "linearizable")
        return {f"{level}_per_s": round(learn(nodes[0], level, count, level)) for level in levels}


def _sent(node: Node) -> int:
    return int((node.status() or {})["memory_synced_bytes"])


def _start(nodes: list[Node]) -> None:
    for node in nodes:
        node.start()
    wait_for("a leader", lambda: any((node.status() or {}).get("role") == "leader" for node in nodes))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("what", choices=("sync", "delta", "cap", "learn"))
    parser.add_argument("--episodes", type=int, nargs="+", default=[])
    parser.add_argument("--bits", type=int, default=64_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.what == "sync":
        found = [measure_sync(count) for count in given.episodes or [1000, 10_000]]
    elif given.what == "delta":
        found = [measure_delta(count) for count in given.episodes or [10_000]]
    elif given.what == "cap":
        found = [measure_cap(given.bits)]
    else:
        found = [measure_learn(count) for count in given.episodes or [2000]]
    for one in found:
        print(json.dumps(one) if given.json else "\n".join(f"{name:26} {value}" for name, value in one.items()) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
