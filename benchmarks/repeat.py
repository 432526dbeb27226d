"""Runs campaigns again and again, with another seed each time, and counts the verdicts.

    python benchmarks/repeat.py 10 campaigns/flaws/*.yaml              each flaw ten times
    python benchmarks/repeat.py 20 campaigns/all-faults.yaml --set hosts.nodes=4

Prints a line a run and a table at the end; exits 1 when a verdict was not the one that its campaign expects.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

RUN_LIMIT_S = 600


def run_once(campaign: str, seed: int, further: list[str]) -> dict[str, object]:
    """One run's JSON document, with `elapsed` and `exit` added; an empty verdict when there is no document."""
    started = time.monotonic()
    command = [
        sys.executable,
        "-m",
        "tribulation.harness.cli",
        "run",
        campaign,
        "--json",
        "--seed",
        str(seed),
        *further,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_LIMIT_S)
    try:
        document = json.loads(done.stdout)
    except json.JSONDecodeError:
        document = {
            "verdict": "none",
            "expected": False,
            "checkers": {},
            "errors": [done.stderr[-500:]],
            "ops": {},
            "run": "",
        }
    return {**document, "elapsed": time.monotonic() - started, "exit": done.returncode}


def describe(document: dict[str, object]) -> str:
    """Return the verdicts that are not valid with the kinds of their anomalies, and the errors of the run."""
    found = []
    for name, result in document["checkers"].items():  # type: ignore[attr-defined]
        if result["verdict"] != "valid":
            kinds = sorted({anomaly["kind"] for anomaly in result["anomalies"]})
            found.append(f"{name} {result['verdict']}: {', '.join(kinds) or result['reason']}")
    return "; ".join(found + [str(error) for error in document["errors"]])  # type: ignore[attr-defined]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("times", type=int)
    parser.add_argument("campaigns", nargs="+")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--hosts")
    options = parser.parse_args()
    further = [word for override in options.overrides for word in ("--set", override)]
    further += ["--hosts", options.hosts] if options.hosts else []
    table: dict[str, Counter[str]] = {}
    unexpected = 0
    for campaign in options.campaigns:
        counts = table.setdefault(Path(campaign).stem, Counter())
        for seed in range(options.first_seed, options.first_seed + options.times):
            document = run_once(campaign, seed, further)
            counts[str(document["verdict"])] += 1
            unexpected += not document["expected"]
            line = f"{Path(campaign).stem} seed {seed}: {document['verdict']} exit {document['exit']} {document['elapsed']:.0f} s {document['ops']}"
            print(line, describe(document), document["run"], flush=True)
    print()
    for name, counts in table.items():
        print(f"{name:40} " + ", ".join(f"{verdict} {count}" for verdict, count in counts.most_common()))
    return 1 if unexpected else 0


if __name__ == "__main__":
    sys.exit(main())
