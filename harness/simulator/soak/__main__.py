"""The soak from a shell: many seeds with a table of failures, or one seed with some of its faults."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable

from ..options import SECOND
from .aims import AIMS, aimed_plan
from .batch import run_seeds, shrink
from .run import SoakResult, run_plan
from .sorts import SORTS, without


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tribulation.harness.simulator.soak", description=__doc__)
    parser.add_argument("--seed", type=int, help="run this seed alone and report on it")
    parser.add_argument("--keep", help="with --seed: only these actions, by number, comma-separated")
    parser.add_argument(
        "--shrink", action="store_true", help="with --seed: drop actions while it still fails the same way"
    )
    parser.add_argument("--first", type=int, default=0, help="first of many seeds")
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--flaw", action="append", default=[], help="run nodes with this flaw")
    parser.add_argument(
        "--without", action="append", default=[], choices=SORTS, help="with --seed: leave out this sort"
    )
    parser.add_argument("--aim", choices=tuple(AIMS), help="aim the plan at a narrow window")
    arguments = parser.parse_args()
    flaws = tuple(arguments.flaw)
    if arguments.seed is None:
        return _many(range(arguments.first, arguments.first + arguments.seeds), flaws, arguments.aim, arguments.jobs)
    plan = aimed_plan(arguments.seed, flaws, arguments.aim)
    if arguments.keep is not None:
        plan = plan.only(tuple(int(number) for number in arguments.keep.split(",") if number))
    for sort in arguments.without:
        plan = without(plan, sort)
    result = run_plan(plan)
    if arguments.shrink and result.failure is not None:
        result = shrink(result)
    _tell(result)
    return 0 if result.failure is None else 1


def _many(seeds: Iterable[int], flaws: tuple[str, ...], aim: str | None, jobs: int) -> int:
    started_s, failures, excused, done, events, simulated_ns = time.monotonic(), 0, 0, 0, 0, 0
    for result in run_seeds(seeds, flaws, aim, jobs):
        done, events, simulated_ns = done + 1, events + result.core_events, simulated_ns + result.simulated_ns
        excused += result.excused is not None
        if done % 100 == 0:
            print(f"… {done} seeds, up to {result.plan.seed}", file=sys.stderr, flush=True)
        if result.failure is not None:
            failures += 1
            print(f"seed {result.plan.seed}: {result.failure[0]}: {result.failure[1]}", flush=True)
    elapsed_s = time.monotonic() - started_s
    print(
        f"{done} seeds, {failures} failed, {excused} could not recover; {events} core events, {simulated_ns / SECOND:.0f} simulated s "
        f"in {elapsed_s:.1f} s ({events / elapsed_s:.0f} events/s, {simulated_ns / SECOND / elapsed_s:.0f} sim s/s)"
    )
    return 1 if failures else 0


def _tell(result: SoakResult) -> None:
    plan = result.plan
    print(f"nodes {plan.voters} (of {len(plan.nodes)}), {plan.clients} clients, {plan.keys} keys, {plan.config}")
    print(plan.options)
    for action in plan.actions:
        print(f"  {action}")
    print(
        f"ok {result.ok}, fail {result.fail}, info {result.info}; {result.core_events} core events; digest {result.digest}"
    )
    print(f"recovered {result.recovered_ns} ns after the heal; traces {dict(sorted(result.counts.items()))}")
    if result.excused is not None:
        print(f"did not recover: {result.excused}")
    print("valid" if result.failure is None else f"FAILED {result.checker}/{result.failure[0]}: {result.failure[1]}")
    print(result.command)


if __name__ == "__main__":
    sys.exit(main())
