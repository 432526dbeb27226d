"""Size that failing plans shrink to, and the time that it takes, on one core.

    python benchmarks/shrink.py [--json] [FLAW …]

Each plan is a minute of load on five nodes with some forty faults of five kinds, most of them of no importance, and one flaw. Seeds are tried
until one fails, which is not measured. Figures: sizes before and after, runs tried, CPU seconds, and whether the result is 1-minimal.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

# As a script its own folder comes first on the path, where a file may have the name of a library.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).resolve().parent]

# ruff: noqa: E402
from tribulation.checkers import Budget
from tribulation.harness.campaign.model import Campaign
from tribulation.harness.failures.allowance import Allowance
from tribulation.harness.failures.signature import Signature
from tribulation.harness.run.outcome.verdict import judge_record
from tribulation.harness.run.plan.build import make_plan
from tribulation.harness.run.simulated import simulate
from tribulation.harness.shrink.folder import Source
from tribulation.harness.shrink.plan import shrink_plan

MOST_SEEDS = 20
FLAWS = {
    "ack-before-majority": "set/lost-write",
    "stale-read-from-deposed-leader": "linearizable/stale-read",
    "quorum-of-live": "raft-safety/leader-incomplete",
    "no-noop-stale-read": "split-brain/SB4-stale-read",
    "no-client-dedup": "set/duplicated",
    "vote-not-durable": "raft-safety/two-leaders",
}
CAMPAIGN: dict[str, Any] = {
    "hosts": {"provider": "sim", "nodes": 5},
    "duration": "60s",
    "settle": "1s",
    "workloads": [{"register": {"keys": 4, "clients": 8, "rate": "100/s"}}, {"set": {"clients": 4, "rate": "50/s"}}],
    "faults": [
        {"partition": {"shape": ["leader-minority", "random-halves", "isolate-one"], "every": "6s", "for": "3s"}},
        {"kill": {"target": "leader", "every": "7s", "for": "1s", "stagger": "1s"}},
        {"pause": {"target": "one", "every": "8s", "for": "1s", "stagger": "2s"}},
        {"clock": {"target": "minority", "bump": "60s", "every": "8s", "for": "3s"}},
        {"link": {"shape": "every-link", "loss": "2%", "every": "9s", "for": "2s"}},
    ],
    "expect": "invalid",
}


def failing(flaw: str, wanted: Signature) -> Source | None:
    """A run of the campaign with the flaw that fails as wanted."""
    for seed in range(1, MOST_SEEDS + 1):
        campaign = Campaign.model_validate(
            {**CAMPAIGN, "name": f"shrink-{flaw}", "system": {"flaws": [flaw]}, "seed": seed}
        )
        plan = make_plan(campaign, Path())
        done = simulate(plan)
        judged = judge_record(done.record, done.facts, Budget(), flaw)
        source = Source(flaw, plan, campaign, judged.results, done.record)
        if any(wanted.same_failure(found) for found in source.signatures()):
            return source
    return None


def measure(flaw: str, signature: str) -> dict[str, Any]:
    wanted = Signature(*signature.split("/"))
    source = failing(flaw, wanted)
    if source is None:
        return {"flaw": flaw, "signature": signature, "failed": False}
    started_s = time.process_time()
    shrunk = shrink_plan(source.plan, wanted, Allowance(runs=3000), before=source.size(), clue=source.clue(wanted))
    elapsed_s = time.process_time() - started_s
    if shrunk is None:
        return {"flaw": flaw, "signature": signature, "failed": False}
    return {
        "flaw": flaw,
        "signature": signature,
        "failed": True,
        "seed": source.plan.seed,
        "before": asdict(shrunk.before),
        "after": asdict(shrunk.after),
        "runs": shrunk.runs,
        "cpu_s": round(elapsed_s, 1),
        "one_minimal": shrunk.one_minimal,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("flaws", nargs="*", choices=[[], *FLAWS], help="only these")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    for flaw in asked.flaws or FLAWS:
        figures = measure(flaw, FLAWS[flaw])
        print(json.dumps(figures) if asked.json else table_row(figures), flush=True)


def table_row(figures: dict[str, Any]) -> str:
    name = f"{figures['flaw']} {figures['signature']}"
    if not figures["failed"]:
        return f"{name:60} no failing seed"
    sizes = [" ".join(f"{value:g}" for value in figures[when].values()) for when in ("before", "after")]
    minimal = "1-minimal" if figures["one_minimal"] else "not 1-minimal"
    return f"{name:60} {sizes[0]} → {sizes[1]}  {figures['runs']} runs  {figures['cpu_s']} CPU s  {minimal}"


if __name__ == "__main__":
    main()
