"""How fast the simulator is, on one core with tracing on.

    python benchmarks/simulator.py [--json] [--profile]

| figure | what runs |
|---|---|
| `idle_sim_s_per_s` | 5 idle nodes with 100 ms heartbeats |
| `events_per_s` | 5 nodes under 20 clients, no faults: core events (what `Core.step` was given) a second |
| `seeds_per_min` | soak seeds (faults, watch, linearizability), as drawn, and their core events a second |
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import sys
import time
from pathlib import Path
from typing import Any

# As a script its own folder comes first on the path, and `benchmarks/checkers.py` would pass for our `checkers`.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).resolve().parent]

# ruff: noqa: E402
from harness.simulator.cluster import SimCluster
from harness.simulator.options import MILLISECOND, SECOND, SimOptions
from harness.simulator.soak import run_seed
from harness.simulator.soak.clients import SoakClient, SoakHistory
from node.config import NodeConfig


def cluster_of(nodes: int, timing: str) -> SimCluster:
    names = [f"n{i + 1}" for i in range(nodes)]
    peers = {name: ["10.0.0.1", 10000 + i] for i, name in enumerate(names)}
    common = {"cluster": "bench", "peers": peers, "timing": timing}
    configs = {name: NodeConfig.from_json({"node": name, **common}) for name in names}
    return SimCluster(configs, seed=1, options=SimOptions(check_every=0))


def idle(simulated_s: int = 100) -> dict[str, float]:
    cluster = cluster_of(5, "default")
    cluster.start_all()
    cluster.run_until(5 * SECOND)
    started_s, events = time.process_time(), cluster.core_events
    cluster.run_until(cluster.now_ns + simulated_s * SECOND)
    elapsed_s = time.process_time() - started_s
    return {
        "idle_sim_s_per_s": round(simulated_s / elapsed_s, 1),
        "idle_events_per_s": round((cluster.core_events - events) / elapsed_s),
    }


def loaded(simulated_s: int = 10) -> dict[str, float]:
    cluster = cluster_of(5, "fast")
    cluster.start_all()
    cluster.run_until(2 * SECOND)
    history, end_ns = SoakHistory(cluster), cluster.now_ns + simulated_s * SECOND
    for number in range(20):
        SoakClient(cluster, history, number, 20, 5, 5 * MILLISECOND, lambda: cluster.now_ns < end_ns).start()
    started_s, events = time.process_time(), cluster.core_events
    cluster.run_until(end_ns)
    elapsed_s = time.process_time() - started_s
    return {
        "events_per_s": round((cluster.core_events - events) / elapsed_s),
        "loaded_sim_s_per_s": round(simulated_s / elapsed_s, 1),
        "loaded_ops_per_sim_s": round(len(history.events) / 2 / simulated_s),
    }


def soaked(seeds: int = 20) -> dict[str, float]:
    started_s = time.process_time()
    results = [run_seed(seed) for seed in range(seeds)]
    elapsed_s = time.process_time() - started_s
    return {
        "seeds_per_min": round(60 * seeds / elapsed_s, 1),
        "soak_events_per_s": round(sum(result.core_events for result in results) / elapsed_s),
        "soak_sim_s_per_s": round(sum(result.simulated_ns for result in results) / SECOND / elapsed_s, 1),
        "soak_failures": sum(result.failure is not None for result in results),
    }


def measure() -> dict[str, Any]:
    figures: dict[str, Any] = {"python": sys.version.split()[0]}
    for part in (idle, loaded, soaked):
        figures.update(part())
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--profile", action="store_true", help="show where the time of the loaded run goes")
    arguments = parser.parse_args()
    if arguments.profile:
        profile = cProfile.Profile()
        profile.runcall(loaded)
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)
        return
    figures = measure()
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:24} {value}")


if __name__ == "__main__":
    main()
