"""Do the tests notice when a verdict is computed wrongly? Changes one thing at a time in the code of checkers, and runs the tests that are theirs.

    python scripts/mutate.py checkers/zones.py                       every mutant of one module
    python scripts/mutate.py checkers/workloads --sample 100         a hundred of a package, drawn by --seed
    python scripts/mutate.py checkers/zones.py --line 120            those of one line, for a look at a survivor

A mutant that no test fails on has *survived*: a test is missing, or the change makes no difference. Everything happens in a copy. The tests of a module are those whose name is
in `TESTS`, else those named after it; each run may take `--timeout` times as long as the tests take unchanged.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import hypothesis  # noqa: F401  (imported once, for all runs)
import networkx  # noqa: F401
import numpy  # noqa: F401
import pytest
import scipy.sparse.csgraph  # noqa: F401
from mutations import mutations

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("checkers", "histories", "tests", "harness", "node", "pyproject.toml")

TESTS: dict[str, tuple[str, ...]] = {
    "checkers/workloads/": ("tests/checkers/workloads",),
    "checkers/workloads/set_full.py": ("tests/checkers/workloads/test_set_full.py",),
    "checkers/workloads/total_queue.py": ("tests/checkers/workloads/test_total_queue.py",),
    "checkers/workloads/counter_bounds.py": ("tests/checkers/workloads/test_counter_bounds.py",),
    "checkers/workloads/unique_ids.py": ("tests/checkers/workloads/test_ids_and_banks.py",),
    "checkers/workloads/bank.py": ("tests/checkers/workloads/test_ids_and_banks.py",),
    "checkers/workloads/long_fork.py": ("tests/checkers/workloads/test_forks_and_skews.py",),
    "checkers/workloads/causal_reverse.py": ("tests/checkers/workloads/test_forks_and_skews.py",),
    "checkers/workloads/write_skew.py": ("tests/checkers/workloads/test_forks_and_skews.py",),
    "checkers/workloads/kafka.py": ("tests/checkers/workloads/test_kafka.py",),
    "checkers/workloads/kafka_events.py": ("tests/checkers/workloads/test_kafka.py",),
    "checkers/workloads/lww.py": ("tests/checkers/workloads/test_lww.py",),
    "checkers/workloads/crdt.py": ("tests/checkers/workloads/test_crdt.py",),
    "checkers/workloads/crdt_sets.py": ("tests/checkers/workloads/test_crdt.py",),
    "checkers/workloads/tasks.py": ("tests/checkers/workloads/test_tasks.py",),
    "checkers/workloads/task_events.py": ("tests/checkers/workloads/test_tasks.py",),
    "checkers/workloads/fencing.py": ("tests/checkers/workloads/test_fencing.py",),
    "checkers/workloads/overtaking.py": (
        "tests/checkers/workloads/test_fencing.py",
        "tests/checkers/workloads/test_lww.py",
    ),
    "checkers/workloads/failure_detector.py": ("tests/checkers/workloads/test_detection.py",),
    "checkers/workloads/membership.py": ("tests/checkers/workloads/test_detection.py",),
    "checkers/workloads/liveness.py": ("tests/checkers/workloads/test_detection.py",),
    "checkers/transactions/": ("tests/checkers/transactions",),
    "checkers/structures/": ("tests/checkers/structures",),
    "checkers/registers/": ("tests/checkers/registers",),
    "checkers/": ("tests/checkers",),
}
"""Module, or folder for all modules in it → its tests, as files or folders. The longest name that fits counts."""


@dataclass(frozen=True, slots=True)
class Mutant:
    path: Path
    line: int
    what: str
    source: str

    def diff(self) -> str:
        before = (ROOT / self.path).read_text(encoding="utf-8")
        # Both sides as the parser prints them, so that only the mutation differs.
        lines = difflib.unified_diff(
            ast.unparse(ast.parse(before)).splitlines(), self.source.splitlines(), n=1, lineterm=""
        )
        return "\n".join(f"    {line}" for line in list(lines)[3:])


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    modules = [found for path in options.paths for found in _modules(path)]
    mutants = [mutant for module in modules for mutant in _mutants(module) if options.line in (None, mutant.line)]
    print(f"seed {options.seed}: {len(mutants)} mutants in {len(modules)} modules", flush=True)
    if options.sample is not None and options.sample < len(mutants):
        mutants = sorted(
            Random(options.seed).sample(mutants, options.sample), key=lambda mutant: (mutant.path, mutant.line)
        )
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        first = _copy(Path(folder) / "0")
        limits = _limits({_tests(mutant.path) for mutant in mutants}, first, options.timeout)
        # Copied with what is compiled by now.
        more = [shutil.copytree(first, Path(folder) / str(number)) for number in range(1, options.jobs)]
        copies = [first, *more]
        survivors = _try_all(mutants, copies, limits)
    killed = len(mutants) - len(survivors)
    share = 100 * killed / len(mutants) if mutants else 100.0
    print(f"{killed} of {len(mutants)} killed ({share:.1f} %)")
    return 0 if share >= options.least else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("paths", nargs="+", type=Path, help="modules or folders of modules")
    parser.add_argument("--sample", type=int, help="so many mutants, drawn by the seed; without it all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--line", type=int, help="only mutants of this line")
    parser.add_argument("--jobs", type=int, default=1, help="mutants tried at the same time")
    parser.add_argument(
        "--timeout", type=float, default=4.0, help="a run may take so many times the time of the unchanged one"
    )
    parser.add_argument("--least", type=float, default=95.0, help="per cent killed below which it exits with 1")
    return parser.parse_args(arguments)


def _modules(path: Path) -> Iterator[Path]:
    whole = (ROOT / path).resolve()
    found = sorted(whole.rglob("*.py")) if whole.is_dir() else [whole]
    if not whole.exists():
        raise SystemExit(
            f"{path} does not exist\n\nhint: name a module such as checkers/zones.py, from the project's root"
        )
    yield from (one.relative_to(ROOT) for one in found if one.name != "__init__.py")


def _mutants(module: Path) -> Iterator[Mutant]:
    for line, what, tree in mutations((ROOT / module).read_text(encoding="utf-8")):
        yield Mutant(module, line, what, ast.unparse(tree))


def _tests(module: Path) -> tuple[str, ...]:
    name = module.as_posix()
    own = [f"tests/{module.parent.as_posix()}/test_{module.stem}.py"]
    if name not in TESTS and (ROOT / own[0]).exists():
        return tuple(own)
    fitting = max((known for known in TESTS if name.startswith(known)), key=len, default=None)
    if fitting is None:
        raise SystemExit(f"no tests are known for {name}\n\nhint: add it to TESTS in scripts/mutate.py")
    return TESTS[fitting]


def _copy(folder: Path) -> Path:
    folder.mkdir()
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def _limits(suites: set[tuple[str, ...]], copy: Path, factor: float) -> dict[tuple[str, ...], float]:
    """The time limit of each suite; the unchanged code must pass."""
    limits = {}
    for suite in sorted(suites):
        start = time.monotonic()
        if not _passes(suite, copy, 600):
            raise SystemExit(f"the unchanged code fails {' '.join(suite)}\n\nhint: run pytest on it")
        limits[suite] = 5 + factor * (time.monotonic() - start)
    return limits


def _passes(suite: Sequence[str], copy: Path, limit_s: float) -> bool:
    """One run, in a child that need not import again what this process has imported."""
    child = _start(suite, copy, write=True)
    return _wait(child, time.monotonic() + limit_s)


def _start(suite: Sequence[str], copy: Path, write: bool = False) -> int:
    """The child's process id. Its exit code is pytest's. `write`: leave compiled code behind, for the runs to come."""
    child = os.fork()
    if child:
        return child
    try:
        os.chdir(copy)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        sys.path.insert(0, str(copy))
        sys.dont_write_bytecode = not write
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(copy / ".hypothesis")
        code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=no", *suite])
    except BaseException:
        os._exit(99)
    os._exit(int(code))


def _wait(child: int, deadline: float) -> bool:
    """Whether the child's tests passed before the deadline; one that is late is killed."""
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) == 0
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return False
        time.sleep(0.02)


@dataclass(slots=True)
class Bench:
    """A copy, and the mutant that is tried in it now."""

    copy: Path
    mutant: Mutant | None = None
    original: str = ""
    child: int = 0
    deadline: float = 0.0

    def begin(self, mutant: Mutant, limit_s: float) -> None:
        place = self.copy / mutant.path
        self.mutant, self.original = mutant, place.read_text(encoding="utf-8")
        for compiled in (place.parent / "__pycache__").glob(f"{place.stem}.*.pyc"):
            compiled.unlink()
        place.write_text(mutant.source, encoding="utf-8")
        self.child, self.deadline = _start(_tests(mutant.path), self.copy), time.monotonic() + limit_s

    def end(self) -> bool | None:
        """Whether the mutant survived; None while its tests run."""
        ended, status = os.waitpid(self.child, os.WNOHANG)
        if not ended and time.monotonic() <= self.deadline:
            return None
        survived = bool(ended) and os.waitstatus_to_exitcode(status) == 0
        if not ended:
            _wait(self.child, 0)
        assert self.mutant is not None, "a bench ends what it began"
        (self.copy / self.mutant.path).write_text(self.original, encoding="utf-8")
        self.mutant = None
        return survived


def _try_all(mutants: Sequence[Mutant], copies: Sequence[Path], limits: dict[tuple[str, ...], float]) -> list[Mutant]:
    survivors: list[Mutant] = []
    benches = [Bench(copy) for copy in copies]
    todo = list(reversed(mutants))
    done = 0
    while todo or any(bench.mutant for bench in benches):
        for bench in benches:
            mutant = bench.mutant
            if mutant is None:
                if todo:
                    bench.begin(todo[-1], limits[_tests(todo.pop().path)])
                continue
            survived = bench.end()
            if survived is None:
                continue
            done += 1
            if survived:
                survivors.append(mutant)
                print(f"survived {mutant.path}:{mutant.line}: {mutant.what}\n{mutant.diff()}", flush=True)
            if done % 25 == 0:
                print(f"{done} of {len(mutants)} tried, {len(survivors)} survived", flush=True)
        time.sleep(0.02)
    return survivors


if __name__ == "__main__":
    sys.exit(main())
