"""All that judges histories against what is too simple to be wrong in the same way, on random histories: `make fuzz`, or by hand

    python -m tests.checkers.fuzz 1000 1              so many histories of every case, the first seed
    python -m tests.checkers.fuzz 1000 1 queue        of the cases whose name has one of these words
    python -m tests.checkers.structures.fuzz 1000 1   of one part; its cases can be chosen likewise

A part is a module with a table `FUZZ` of cases: functions of a seed that say what the history was, and raise where it was judged wrongly. A disagreement
is printed with the command that repeats it, ends its case, and makes the exit code 1.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from shlex import quote

Case = Callable[[int], str]

PARTS = (
    "tests.checkers.fuzz_register",
    "tests.checkers.structures.fuzz",
    "tests.checkers.transactions.fuzz",
    "tests.checkers.fuzz_generated",
    "tests.checkers.fuzz_metamorphic",
)


@dataclass(frozen=True)
class Task:
    """A case, by the names of its part and its own."""

    part: str
    case: str
    count: int
    first: int


@dataclass(frozen=True)
class Outcome:
    """What the histories were, how many of each; `wrong` reports the one that was judged wrongly."""

    seen: Counter[str]
    wrong: str | None
    took_s: float


def carry_out(task: Task) -> Outcome:
    case: Case = import_module(task.part).FUZZ[task.case]
    began = time.monotonic()
    seen: Counter[str] = Counter()
    for seed in range(task.first, task.first + task.count):
        try:
            seen[case(seed)] += 1
        except Exception as error:
            repeat = f"python -m {task.part} 1 {seed} {quote(task.case)}"
            return Outcome(seen, f"{type(error).__name__}: {error}\nrepeat: {repeat}", time.monotonic() - began)
    return Outcome(seen, None, time.monotonic() - began)


def notify(task: Task, outcome: Outcome) -> None:
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(outcome.seen.items()))
    print(f"{task.case}: {outcome.seen.total()} histories in {outcome.took_s:.0f} s: {kinds}", flush=True)
    if outcome.wrong is not None:
        print(f"{task.case}: {outcome.wrong}", flush=True)


def main(parts: Sequence[str]) -> int:
    """The command line of these parts."""
    options = argparse.ArgumentParser(description="Checkers against brute force.")
    options.add_argument("count", type=int, help="histories of each case")
    options.add_argument("first", type=int, help="the first seed")
    options.add_argument("words", nargs="*", help="only cases whose name is one of these, or has one in it")
    options.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    asked = options.parse_args()
    tasks = [
        Task(part, case, asked.count, asked.first)
        for part in parts
        for case in _chosen(list(import_module(part).FUZZ), asked.words)
    ]
    print(f"{len(tasks)} cases, {asked.count} histories of each, from seed {asked.first} on", flush=True)
    began, histories, wrong = time.monotonic(), 0, 0
    with ProcessPoolExecutor(asked.jobs) as pool:
        for task, outcome in zip(tasks, pool.map(carry_out, tasks), strict=True):
            notify(task, outcome)
            histories += outcome.seen.total()
            wrong += outcome.wrong is not None
    verdict = f"{wrong} cases disagree" if wrong else "all agree"
    print(f"{histories} histories in {time.monotonic() - began:.0f} s, from seed {asked.first} on: {verdict}")
    return 1 if wrong else 0


def _chosen(cases: list[str], words: Sequence[str]) -> list[str]:
    """A word that is a case's whole name means that one alone."""
    exact = [case for case in cases if case in words]
    return exact or [case for case in cases if not words or any(word in case for word in words)]


if __name__ == "__main__":
    sys.exit(main(PARTS))
