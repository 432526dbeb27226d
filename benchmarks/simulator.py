"""Speed of the simulator, on one core with tracing on, and the speed that it should reach.

    python -P benchmarks/simulator.py [--json] [--profile] [PART …]

| part | figure | at least | what runs |
|---|---|---|---|
| `quickstart` | `quickstart_cpu_s` | at most 5 | `tri run campaigns/quickstart.yaml --hosts sim` as a process of its own |
| `loaded` | `events_per_s` | 30 000 | 5 nodes under 20 clients, no faults: core events (what `Core.step` was given) a second |
| `idle` | `idle_sim_s_per_s` | 150 | simulated seconds a second of 5 idle nodes with 100 ms heartbeats |
| `seeds` | `seeds_per_min` | 100 | plans of 30 simulated seconds with 200 operations and five kinds of faults, all checkers |
| | `checking_percent` | at most 30 | the checkers' part of that |
| `searched` | `searched_seeds_per_min` | | trials of a search around `campaigns/hunt.yaml`, as drawn, and their core events a second |

Times are CPU seconds of the process; on a machine that others use, too, they are a little longer. `--profile` shows where the time of each part
goes instead, most by itself first.
"""

from __future__ import annotations

import argparse
import contextlib
import cProfile
import json
import os
import pstats
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# As a script its own folder comes first on the path, where a file may have the name of a library.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).resolve().parent]

# ruff: noqa: E402
from tribulation.checkers import Budget
from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.campaign.model import Campaign
from tribulation.harness.run.outcome.verdict import judge_record
from tribulation.harness.run.plan.build import make_plan
from tribulation.harness.run.simulated import simulate
from tribulation.harness.search.trial import Task, run_trial
from tribulation.harness.simulator.cluster.cluster import SimCluster
from tribulation.harness.simulator.network.clients import Answer
from tribulation.harness.simulator.options import MILLISECOND, SECOND, SimOptions
from tribulation.node.config.node import NodeConfig

QUICKSTART = ["run", str(ROOT / "campaigns" / "quickstart.yaml"), "--hosts", "sim"]

TARGETS = {
    "quickstart_cpu_s": ("at most", 5),
    "events_per_s": ("at least", 30_000),
    "idle_sim_s_per_s": ("at least", 150),
    "seeds_per_min": ("at least", 100),
    "checking_percent": ("at most", 30),
}

SEEDS: dict[str, Any] = {
    "name": "seeds",
    "hosts": {"provider": "sim", "nodes": 5},
    "system": {"name": "reference", "timing": "fast"},
    "duration": "26s",
    "workloads": [
        {"register": {"keys": 4, "clients": 5, "rate": "10/s", "operations": 32}},
        {"set": {"clients": 2, "rate": "4/s", "operations": 20}},
    ],
    "faults": [
        {"partition": {"shape": ["halves", "bridge", "one-way"], "every": "6s", "for": "3s"}},
        {"kill": {"target": "leader", "every": "7s", "for": "1s", "stagger": "2s"}},
        {"pause": {"target": "one", "every": "9s", "for": "1s"}},
        {"clock": {"target": "minority", "bump": "30s", "every": "8s", "for": "2s"}},
        {"power-loss": {"target": "one", "every": "9s", "for": "1s", "stagger": "1s"}},
    ],
}


def cluster_of(nodes: int, timing: str) -> SimCluster:
    names = [f"n{i + 1}" for i in range(nodes)]
    peers = {name: ["10.0.0.1", 10000 + i] for i, name in enumerate(names)}
    common = {"cluster": "bench", "peers": peers, "timing": timing}
    configs = {name: NodeConfig.from_json({"node": name, **common}) for name in names}
    return SimCluster(configs, seed=1, options=SimOptions(check_every=0))


def quickstart() -> dict[str, float]:
    before = os.times()
    with tempfile.TemporaryDirectory() as folder:
        started_s = time.monotonic()
        command = [sys.executable, "-c", "from tribulation.harness.cli.main import main; main()", *QUICKSTART]
        subprocess.run(
            command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True
        )
        wall_s = time.monotonic() - started_s
    after = os.times()
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return {"quickstart_cpu_s": round(cpu_s, 2), "quickstart_wall_s": round(wall_s, 2)}


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


def _client(cluster: SimCluster, number: int, answered: list[int]) -> None:
    """A client that goes on without end: it writes and reads in turn, each about 5 ms after the answer before."""
    node, seq = list(cluster.nodes)[number % len(cluster.nodes)], 0

    def ask(session: int) -> None:
        nonlocal seq
        seq += 1
        body = {
            "session": session,
            "seq": seq,
            "ops": [["w", f"k{number % 5}", seq] if seq % 2 else ["r", f"k{number % 5}"]],
        }
        cluster.request(f"c{number}", node, {"id": seq, "deadline_ms": 600, **body}, lambda answer: done(session))

    def done(session: int) -> None:
        answered[0] += 1
        cluster.schedule(cluster.now_ns + 5 * MILLISECOND, ask, session)

    def opened(answer: Answer) -> None:
        body = answer.body or {}
        ask(body.get("session", body.get("index")))

    cluster.request(f"c{number}", node, {"id": 0, "open": True}, opened)


def loaded(simulated_s: int = 5) -> dict[str, float]:
    cluster = cluster_of(5, "fast")
    cluster.start_all()
    cluster.run_until(2 * SECOND)
    answered, end_ns = [0], cluster.now_ns + simulated_s * SECOND
    for number in range(20):
        _client(cluster, number, answered)
    started_s, events = time.process_time(), cluster.core_events
    cluster.run_until(end_ns)
    elapsed_s = time.process_time() - started_s
    return {
        "events_per_s": round((cluster.core_events - events) / elapsed_s),
        "loaded_sim_s_per_s": round(simulated_s / elapsed_s, 1),
        "loaded_ops_per_sim_s": round(answered[0] / simulated_s),
    }


def seeds(count: int = 20) -> dict[str, float]:
    campaign = Campaign.model_validate(SEEDS)
    plans = [make_plan(campaign.model_copy(update={"seed": seed}), Path()) for seed in range(count)]
    _judged(plans[0])  # What is loaded once belongs to no seed.
    simulated_ns = operations = invalid = 0
    simulating_s = checking_s = 0.0
    for plan in plans:
        done, judgement, first_s, second_s = _judged(plan)
        simulating_s, checking_s = simulating_s + first_s, checking_s + second_s
        simulated_ns += done.cluster.now_ns
        operations += sum(judgement.document["ops"].values())
        invalid += judgement.verdict.value == "invalid"
    return {
        "seeds_per_min": round(60 * count / (simulating_s + checking_s), 1),
        "checking_percent": round(100 * checking_s / (simulating_s + checking_s), 1),
        "seed_sim_s": round(simulated_ns / SECOND / count, 1),
        "seed_operations": round(operations / count),
        "seeds_invalid": invalid,
    }


def _judged(plan: Any) -> tuple[Any, Any, float, float]:
    """(simulated, judgement, CPU s of each)"""
    began_s = time.process_time()
    done = simulate(plan)
    middle_s = time.process_time()
    judgement = judge_record(done.record, done.facts, Budget(), "benchmark")
    return done, judgement, middle_s - began_s, time.process_time() - middle_s


def searched(count: int = 20) -> dict[str, float]:
    campaign = load_campaign(ROOT / "campaigns/hunt.yaml", hosts="sim")
    started_s = time.process_time()
    trials = [run_trial(Task(campaign, seed, directory=ROOT / "campaigns")) for seed in range(1, count + 1)]
    elapsed_s = time.process_time() - started_s
    return {
        "searched_seeds_per_min": round(60 * count / elapsed_s, 1),
        "searched_events_per_s": round(sum(trial.core_events for trial in trials) / elapsed_s),
        "searched_sim_s_per_s": round(sum(trial.simulated_ns for trial in trials) / SECOND / elapsed_s, 1),
        "searched_failures": sum(trial.failed for trial in trials),
    }


def quickstart_here() -> None:
    """The same in this process, for a profile."""
    from tribulation.harness.cli.main import main

    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(SystemExit):
        main([*QUICKSTART, "--runs", folder])


PARTS: dict[str, Callable[[], dict[str, float]]] = {
    "quickstart": quickstart,
    "loaded": loaded,
    "idle": idle,
    "seeds": seeds,
    "searched": searched,
}


def show_profile(part: str) -> None:
    profile = cProfile.Profile()
    profile.runcall(quickstart_here if part == "quickstart" else PARTS[part])
    print(f"{part}:")
    pstats.Stats(profile).sort_stats("tottime").print_stats(25)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--profile", action="store_true", help="show where the time goes, 25 functions a part")
    arguments = parser.parse_args()
    parts = arguments.parts or list(PARTS)
    if unknown := [part for part in parts if part not in PARTS]:
        parser.error(f"there is no part {unknown[0]!r}; the parts are {', '.join(PARTS)}")
    if arguments.profile:
        for part in parts:
            show_profile(part)
        return
    figures: dict[str, Any] = {"python": sys.version.split()[0]}
    for part in parts:
        figures.update(PARTS[part]())
    if arguments.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        goal = f"{TARGETS[name][0]} {TARGETS[name][1]}" if name in TARGETS else ""
        print(f"{name:22} {value:<12} {goal}".rstrip())


if __name__ == "__main__":
    main()
