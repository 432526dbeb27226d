"""This node compared with etcd and PySyncObj on this machine: the same clients, values and durability, in rotated order; ratios of the same round,
with their spread.

    make bench-peers [ROUNDS=6]
    python -m benchmarks.peers.peers [--rounds 6] [--seconds 5] [--systems tribulation etcd pysyncobj] [--rows write-1 …] [--out FILE]

| row | load |
|---|---|
| `write-1`, `write-64`, `write-256` | durable writes of 128 characters to the leader, by so many clients |
| `read-64` | linearizable reads at the leader (PySyncObj: local reads, which promise less) |
| `failover` | from `kill -9` of the leader to the first acknowledged write through another node, timers of 0.3 s (not PySyncObj: it keeps its log in memory only) |

A ratio over 1 means that this node is better. Wall time on a machine that others use says little: read the ratios, and processor time per request.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from .etcd import Etcd
from .load import System, failover, measure
from .reference import Reference
from .syncobj import SyncObj

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
SYSTEMS: dict[str, Callable[[str], System]] = {"tribulation": Reference, "etcd": Etcd, "pysyncobj": SyncObj}
FAILOVER = "failover"
LOADS = {"write-1": (1, "write"), "write-64": (64, "write"), "write-256": (256, "write"), "read-64": (64, "read")}
KILLS = 5
BETTER_WHEN_LOWER = ("leader_us", "all_us", "p99_ms", "p50_s", "max_s")
Figures = dict[str, float]


def main() -> int:
    options = _options()
    rounds = [_round(number, options) for number in range(options.rounds)]
    found = {
        "commit": _commit(),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {"cores": len(os.sched_getaffinity(0)), "kernel": platform.release()},
        "seconds": options.seconds,
        "rounds": rounds,
        "ratios": _ratios(rounds),
    }
    out = options.out or RESULTS / f"peers-{found['commit']}.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(found, indent=1) + "\n")
    _print(found["ratios"])
    print(f"written to {out}")
    return 0


def _round(number: int, options: argparse.Namespace) -> dict[str, dict[str, Figures]]:
    """Run one round. Return the figures by row and system. The order rotates, so that no system always runs on the warm or the busy machine."""
    turn = number % len(options.systems)
    order = options.systems[turn:] + options.systems[:turn]
    found: dict[str, dict[str, Figures]] = {row: {} for row in options.rows}
    for name in order:
        loads = [row for row in options.rows if row != FAILOVER]
        if loads:
            _measure(name, "default", loads, options.seconds, found)
        if (
            FAILOVER in options.rows and name != "pysyncobj"
        ):  # a replica that forgets its log must not come back under its name
            _measure(name, "fast", [FAILOVER], options.seconds, found)
    return found


def _measure(name: str, timing: str, rows: list[str], seconds: float, found: dict[str, dict[str, Figures]]) -> None:
    with closing(SYSTEMS[name](timing)) as system:
        time.sleep(1)
        for row in rows:
            figures = failover(system, KILLS) if row == FAILOVER else measure(system, *LOADS[row], seconds)
            found[row][name] = figures
            print(f"{row:<10} {name:<12} {figures}", flush=True)


def _ratios(rounds: list[dict[str, dict[str, Figures]]]) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Return by row, peer and figure: median, lowest and highest of how many times better this node is in the same round."""
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    for row, systems in rounds[0].items():
        for peer in systems.keys() - {"tribulation"} if "tribulation" in systems else ():
            pairs = [(one[row]["tribulation"], one[row][peer]) for one in rounds]
            figures = {
                "per_s": [own["per_s"] / other["per_s"] for own, other in pairs if "per_s" in own],
                **{
                    name: [other[name] / own[name] for own, other in pairs if own.get(name)]
                    for name in BETTER_WHEN_LOWER
                },
            }
            found.setdefault(row, {})[peer] = {
                name: [round(one, 2) for one in (statistics.median(values), min(values), max(values))]
                for name, values in figures.items()
                if values
            }
    return found


def _print(ratios: dict[str, dict[str, dict[str, list[float]]]]) -> None:
    """Print how many times better this node is: the median, and in brackets the spread of the rounds."""
    for row, peers in ratios.items():
        for peer, figures in peers.items():
            words = "  ".join(f"{name} {middle} ({low}-{high})" for name, (middle, low, high) in figures.items())
            print(f"{row:<10} x {peer:<10} {words}")


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _options() -> Any:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--rows", nargs="+", choices=[*LOADS, FAILOVER], default=[*LOADS, FAILOVER])
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
