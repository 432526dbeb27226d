"""Speed at which histories are checked: `tri check` as a whole process, start-up and reading included, on generated histories.

    python benchmarks/judging/checkers.py                          the table, smaller sizes
    python benchmarks/judging/checkers.py --full                   a million operations each, and growth from 10^4 to 10^7
    python benchmarks/judging/checkers.py --only register --json

Each line: the history, its size, seconds of the process (wall and processor), its largest memory, how much the time grew against the line before
of the same history, and the verdict, which must be the one that the generator planted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# Files in this folder have the names of packages, which they must not hide.
sys.path[:] = [
    str(ROOT),
    *(place for place in sys.path if Path(place or ".").resolve() != Path(__file__).resolve().parent),
]

from benchmarks.generators import Settings, generate, plant  # noqa: E402
from tribulation.histories.files.writing import write_columns  # noqa: E402

LIMIT_S = 600


@dataclass(frozen=True, slots=True)
class Case:
    """A history and what is asked about it."""

    name: str
    settings: Settings
    violation: str | None = None
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    """Time and memory of one process. `verdict` is by its exit code; `expected` whether that was right."""

    name: str
    operations: int
    wall_s: float
    cpu_s: float
    peak_mb: float
    verdict: str
    expected: bool
    growth: float | None = None
    stats: dict[str, Any] = field(default_factory=dict)


def cases(full: bool) -> Iterator[Case]:
    """Yield the cases in order; those of one name grow."""
    unit = 1_000_000 if full else 100_000
    for count in (10_000, 100_000, *((1_000_000, 10_000_000) if full else ())):
        yield Case("register, 1 key, 20 clients", Settings("register", count, clients=20))
    yield Case("register, 100 keys, 100 clients", Settings("register", unit, clients=100, keys=100))
    yield Case("register with cas, 1 key", Settings("register-cas", unit, clients=20))
    for violation in ("stale-read", "lost-write", "aborted-read"):
        yield Case(f"register, {violation}", Settings("register", unit, clients=20), violation)
    yield Case("kv, 100 keys, 200 clients", Settings("kv", 100_000, clients=200, keys=100))
    for model in ("queue", "stack", "priority-queue", "set", "counter", "mutex"):
        yield Case(model, Settings(model, unit, clients=20), options=("--model", model))
    for count, clients in ((1_000, 20), (10_000, 20), *(((10_000, 50), (100_000, 20)) if full else ())):
        few = Settings("cas-register", count, clients=clients, pause=0.0)
        yield Case(f"cas-register 0..4, {clients} clients", few)
    yield Case("cas-register 0..4, thin-air", Settings("cas-register", 10_000, clients=20, pause=0.0), "thin-air")
    if full:
        yield from repeating()
    for model in ("list-append", "rw-register"):
        for count in (10_000, 100_000, *((1_000_000,) if full else ())):
            yield Case(model, Settings(model, count, clients=20, keys=100), options=("--model", model))
    stale = Settings("rw-register", 100_000, clients=20, keys=100)
    yield Case("rw-register, stale-read", stale, "stale-read", ("--model", "rw-register"))
    for level in ("causal", "read-atomic", "read-committed"):
        weak = Settings("list-append", unit, clients=20, keys=100, info_rate=0.0)
        yield Case(f"list-append, {level}", weak, options=("--model", "list-append", "--consistency", level))


def repeating() -> Iterator[Case]:
    """Values that repeat, in clients that never rest: only a search judges them, and some of these stay without a verdict."""
    for count, clients in ((100_000, 20), (10_000, 50)):
        settings = Settings("few-register", count, clients=clients, values=50, pause=0.0)
        yield Case(f"register, 50 values, {clients} clients", settings)
    settings = Settings("cas-register", 10_000, clients=50, values=100, pause=0.0)
    yield Case("cas-register, 100 values, 50 clients", settings)
    yield Case("cas-register 0..4, 20 clients", Settings("cas-register", 1_000_000, clients=20, pause=0.0))
    for count, clients in ((1_000, 5), (10_000, 20)):
        settings = Settings("few-queue", count, clients=clients, values=50, pause=0.0)
        yield Case(f"queue, 50 values, {clients} clients", settings, options=("--model", "queue"))
    for count in (5_000, 20_000):
        settings = Settings("multi-register", count, clients=20, keys=3, pause=0.0)
        yield Case("multi-register, 3 keys", settings, options=("--model", "multi-register"))


def measure(case: Case, folder: Path) -> Figure:
    """Write the history, and check it in a process of its own."""
    path = folder / "history.jsonl"
    _write_apart(case, path)
    output = folder / "verdict.json"
    command = [
        sys.executable,
        "-m",
        "tribulation.harness.cli",
        "check",
        str(path),
        "--json",
        "--checker-timeout",
        str(LIMIT_S),
        *case.options,
    ]
    started = time.monotonic()
    code, usage = _run(command, output)
    wall_s = time.monotonic() - started
    verdict = {0: "valid", 1: "invalid", 3: "unknown"}.get(code, f"exit {code}")
    return Figure(
        case.name,
        case.settings.operations,
        round(wall_s, 2),
        round(usage.ru_utime + usage.ru_stime, 2),
        round(usage.ru_maxrss / 1024, 1),
        verdict,
        verdict == ("valid" if case.violation is None else "invalid"),
        stats=_witnesses(output) if code in (1, 3) else {},
    )


def _write_apart(case: Case, path: Path) -> None:
    """Write the history in a process of its own: what is measured counts the memory that this one had when it began."""
    child = os.fork()
    if child == 0:
        try:
            columns = generate(case.settings)
            if case.violation is not None:
                columns = plant(columns, case.violation, case.settings.model, case.settings.seed)
            write_columns(path, columns)
        except BaseException as error:
            print(f"{case.name}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status:
        raise SystemExit(f"{case.name}: no history was written")


def _run(command: list[str], output: Path) -> tuple[int, Any]:
    """Exit code and resource usage of the process, whose output goes into a file."""
    with output.open("wb") as file:
        actions = [(os.POSIX_SPAWN_DUP2, file.fileno(), 1)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = os.posix_spawn(command[0], command, environment, file_actions=actions)
        _, status, usage = os.wait4(process, 0)
    return os.waitstatus_to_exitcode(status), usage


def _witnesses(output: Path) -> dict[str, Any]:
    """Kind and size of each checker's first witness, or its reason."""
    try:
        found = json.loads(output.read_text(encoding="utf-8"))["checkers"]
    except ValueError:
        return {}
    witnesses = {}
    for name, result in found.items():
        if result["anomalies"]:
            witnesses[name] = f"{result['anomalies'][0]['kind']}, {len(result['anomalies'][0]['ops'])} operations"
        elif result["reason"]:
            witnesses[name] = result["reason"]
    return witnesses


def figures(full: bool, only: str, seed: int) -> Iterator[Figure]:
    before: Figure | None = None
    with tempfile.TemporaryDirectory(prefix="checkers-") as folder:
        for case in cases(full):
            if only not in case.name:
                continue
            found = measure(replace(case, settings=replace(case.settings, seed=seed)), Path(folder))
            if before is not None and before.name == found.name:
                found = replace(found, growth=round(found.cpu_s / before.cpu_s, 1))
            before = found
            yield found


def main() -> int:
    options = argparse.ArgumentParser(description="How fast histories are checked.")
    options.add_argument("--full", action="store_true", help="a million operations each, and up to ten million")
    options.add_argument("--only", default="", help="only histories whose name contains this")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--json", action="store_true", help="one JSON object a line")
    asked = options.parse_args()
    wrong = 0
    if not asked.json:
        print(
            f"seed {asked.seed}\n{'history':<34}{'operations':>12}{'wall s':>9}{'cpu s':>9}{'MB':>9}{'growth':>8}  verdict"
        )
    for found in figures(asked.full, asked.only, asked.seed):
        wrong += not found.expected
        if asked.json:
            print(json.dumps(asdict(found)), flush=True)
            continue
        growth = "" if found.growth is None else f"× {found.growth}"
        note = "; ".join(f"{name}: {text[:90]}" for name, text in found.stats.items())
        mark = "" if found.expected else " (WRONG)"
        print(
            f"{found.name:<34}{found.operations:>12,}{found.wall_s:>9}{found.cpu_s:>9}{found.peak_mb:>9}{growth:>8}"
            f"  {found.verdict}{mark}  {note}",
            flush=True,
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
