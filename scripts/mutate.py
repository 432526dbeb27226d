"""Do the tests notice when a verdict is computed wrongly? Changes one thing at a time in the code of checkers, and runs the tests that execute it.

    python scripts/mutate.py checkers/leadership/split_brain.py                 every mutant of one module
    python scripts/mutate.py checkers/workloads --sample 100         a hundred of a package, drawn by --seed
    python scripts/mutate.py checkers/linearizability/search/refutation.py --line 120           those of one line, for a look at a survivor
    python scripts/mutate.py checkers --again OUTPUT                 those that survived in an earlier run, by its output
    python scripts/mutate.py checkers/structures --tests tests/checkers/structures    fewer tests, so less time to measure them

A mutant that no test fails on has *survived*: a test is missing, or the change makes no difference. Everything happens in a copy of the code, in
three steps: the tests are run once, to see which lines each executes; mutants of functions are tried in forks of one process that has imported and
collected everything (`mutation_runs`); the few that change what runs at import are tried in processes that import again.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import ClassVar

import hypothesis  # noqa: F401  (imported once, for all runs)
import networkx  # noqa: F401
import numba  # noqa: F401
import numpy  # noqa: F401
import pytest
import scipy.sparse.csgraph  # noqa: F401
from mutation_runs import UNFIT, Measure, Measured, Trial, Try, TryFromImport, changed_on_import
from mutations import Mutation, mutations

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "tribulation"
"""By the links in it the tests import what is copied."""

WORDING = {
    "checkers/base/wording.py": "names operations in sentences",
    "checkers/testing.py": "assertions for tests of other projects",
    "checkers/transactions/table/naming.py": "names transactions, keys and values in sentences",
    "checkers/transactions/graph/explanation.py": "explains a cycle that was found",
    "checkers/transactions/graph/drawing.py": "draws a witness",
}
"""Modules that decide no verdict, and what they do instead. Left out, unless one of them is asked for by name."""


Mutant = tuple[Path, Mutation]
"""Of the module with that path below the root."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    modules = [module for path in options.paths for module in _modules(path) if module.as_posix() not in WORDING]
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        copy = _copy(Path(folder) / "copy")
        mutants = [
            (module, mutation)
            for module in modules
            for mutation in mutations((copy / module).read_text(encoding="utf-8"))
            if options.line in (None, mutation.line)
        ]
        if options.again is not None:
            survivors = Survivors.parse(options.again.read_text(encoding="utf-8"))
            mutants = [mutant for mutant in mutants if survivors.have(mutant)]
            print(f"{len(survivors.diffs)} survived in {options.again}, of which {len(mutants)} still can be made")
        print(f"seed {options.seed}: {len(mutants)} mutants in {len(modules)} modules", flush=True)
        if options.sample is not None and options.sample < len(mutants):
            # Tried in the order in which they are drawn, so that what was tried when the run is ended early is a sample too.
            mutants = Random(options.seed).sample(mutants, options.sample)
        tally = Tally(len(mutants))
        Bench(copy, options.tests, options.jobs, tally).try_all(mutants)
    print(tally.table())
    return 0 if tally.killed_percent() >= options.least else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("paths", nargs="+", type=Path, help="modules or folders of modules")
    parser.add_argument("--tests", nargs="+", default=["tests/checkers"], help="files or folders of tests")
    parser.add_argument("--sample", type=int, help="so many mutants, drawn by the seed; without it all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--line", type=int, help="only mutants of this line")
    parser.add_argument("--again", type=Path, help="only mutants that survived in the run whose output this file holds")
    parser.add_argument("--jobs", type=int, default=1, help="mutants tried at the same time")
    parser.add_argument("--least", type=float, default=95.0, help="per cent killed below which it exits with 1")
    return parser.parse_args(arguments)


def _modules(path: Path) -> Iterator[Path]:
    whole = (ROOT / path).resolve()
    found = sorted(whole.rglob("*.py")) if whole.is_dir() else [whole]
    if not whole.exists():
        raise SystemExit(
            f"{path} does not exist\n\nhint: name a module such as checkers/linearizability/search/refutation.py, from the project's root"
        )
    yield from (one.relative_to(ROOT) for one in found if one.name != "__init__.py")


def _copy(folder: Path) -> Path:
    """The whole project, because tests read pages and campaigns too: what git has or would add, as it is now."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True, timeout=60).stdout
    for name in listed.split("\0"):
        if name and os.path.lexists(ROOT / name):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name, follow_symlinks=False)
    return folder


class Tally:
    """Counts of the trials; survivors are printed as they are found."""

    def __init__(self, total: int) -> None:
        self.total, self.tried, self.survived = total, 0, 0
        self.modules: dict[Path, list[int]] = defaultdict(lambda: [0, 0])
        self.began = time.monotonic()

    def add(self, mutant: Mutant, survived: bool, reached: bool = True) -> None:
        module, mutation = mutant
        self.tried += 1
        self.survived += survived
        self.modules[module][0] += 1
        self.modules[module][1] += survived
        if survived:
            untested = "" if reached else " (no test executes it)"
            print(f"survived {module}:{mutation.line}: {mutation.what}{untested}\n{_diff(mutation)}", flush=True)
        if self.tried % 100 == 0:
            took_s = time.monotonic() - self.began
            print(f"{self.tried} of {self.total} tried, {self.survived} survived, {took_s:.0f} s", flush=True)

    def killed_percent(self) -> float:
        """Return how many of the tried mutants were killed, in percent. Raises `SystemExit` if none was tried."""
        if not self.tried:
            raise SystemExit(
                "no mutant was tried\n\nhint: name other modules or lines; what runs at import is not tried on the node"
            )
        return 100 * (self.tried - self.survived) / self.tried

    def table(self) -> str:
        lines = [f"{tried - left:5} of {tried:5} killed: {module}" for module, (tried, left) in self.modules.items()]
        killed, took_s = self.tried - self.survived, time.monotonic() - self.began
        return "\n".join([*lines, f"{killed} of {self.tried} killed ({self.killed_percent():.1f} %) in {took_s:.0f} s"])


def _diff(mutation: Mutation) -> str:
    """Both sides as the parser prints them, so that only the mutation differs."""
    before, after = (ast.unparse(tree).splitlines() for tree in (mutation.original, mutation.tree()))
    return "\n".join(f"    {line}" for line in list(difflib.unified_diff(before, after, n=1, lineterm=""))[3:])


@dataclass(frozen=True, slots=True)
class Survivors:
    """Survivors that an earlier output lists. A mutant is known by its module and difference, so that it is found again where lines have moved."""

    diffs: Set[tuple[str, str]]
    lines: Mapping[tuple[str, str], Sequence[int]]
    """Module, what was changed → where. What is farther away than `MOVED` lines is another one."""

    MOVED: ClassVar[int] = 40

    @classmethod
    def parse(cls, output: str) -> Survivors:
        diffs, lines = set(), defaultdict(list)
        for head in re.finditer(
            r"^survived (.+?):(\d+): (.+?)(?: \(no test executes it\))?\n((?:    .*\n?)*)", output, re.M
        ):
            module, line, what, diff = head.groups()
            diffs.add((module, diff.rstrip()))
            lines[module, what].append(int(line))
        return cls(diffs, lines)

    def have(self, mutant: Mutant) -> bool:
        module, mutation = mutant
        near = any(abs(line - mutation.line) <= self.MOVED for line in self.lines.get((str(module), mutation.what), ()))
        return near and (str(module), _diff(mutation).rstrip()) in self.diffs


class Bench:
    """Tries mutants in a copy of the code. Each step is a fork of this process, which itself imports nothing of the project."""

    def __init__(self, copy: Path, tests: Sequence[str], jobs: int, tally: Tally) -> None:
        self.copy, self.tests, self.jobs, self.tally = copy, tests, jobs, tally
        self.measured = self._measure()

    def try_all(self, mutants: Sequence[Mutant]) -> None:
        living, importing = [], []
        for mutant in mutants:
            module, mutation = mutant
            file = str(self.copy / PACKAGE / module)
            tests = self.measured.executing(file, mutation.lines)
            if not mutation.within or self.measured.imported.get(file, set()) & set(mutation.lines):
                importing.append(mutant)
            elif not tests:
                self.tally.add(mutant, survived=True, reached=False)
            else:
                living.append((mutant, Trial(file, mutation, tests)))
        importing += self._try_living(living)
        for mutant in importing:
            self.tally.add(mutant, survived=self._survives_import(mutant))

    def _measure(self) -> Measured:
        began = time.monotonic()
        result = self.copy.parent / "measured"
        plugin = Measure(self.copy / PACKAGE / "checkers", result)
        child = _fork(lambda: self._pytest(plugin, self.tests))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        measured = Measured.load(result) if result.exists() else Measured()
        if code:
            failed = "\n".join(f"    {test}" for test in measured.failed[:10])
            raise SystemExit(
                f"the unchanged code, copied, fails {len(measured.failed)} of {' '.join(self.tests)} (pytest exited with {code})\n{failed}"
            )
        print(f"{len(measured.cpu_s)} tests measured in {time.monotonic() - began:.0f} s", flush=True)
        return measured

    def _try_living(self, trials: Sequence[tuple[Mutant, Trial]]) -> list[Mutant]:
        """Try mutants on living functions. Return those that have to be tried from the import on."""
        reader, writer = os.pipe()

        def parse(number: int, code: int) -> None:
            os.write(writer, b"%d %d\n" % (number, code))

        plugin = Try([trial for _, trial in trials], self.measured.cpu_s, self.jobs, parse)
        child = _fork(lambda: self._pytest(plugin, self.tests))
        os.close(writer)
        unfit, done = [], 0
        with os.fdopen(reader, encoding="ascii") as pipe:
            for line in pipe:
                number, code = map(int, line.split())
                done += 1
                if code == UNFIT:
                    unfit.append(trials[number][0])
                else:
                    self.tally.add(trials[number][0], survived=code == 0)
        os.waitpid(child, 0)
        assert done == len(trials), f"{done} of {len(trials)} mutants were tried"
        return unfit

    def _survives_import(self, mutant: Mutant) -> bool:
        module, mutation = mutant
        file = str(self.copy / PACKAGE / module)
        trial = Trial(file, mutation, self.measured.touching(file))

        def run() -> int:
            changed_on_import(trial, ".".join((PACKAGE, *module.with_suffix("").parts)))
            # Whatever happens before the tests run is the mutant's doing.
            self._pytest(
                TryFromImport(trial, self.measured.cpu_s), sorted({test.split("::")[0] for test in trial.tests})
            )
            return 1

        return os.waitstatus_to_exitcode(os.waitpid(_fork(run), 0)[1]) == 0

    def _pytest(self, plugin: object, tests: Sequence[str]) -> int:
        os.chdir(self.copy)
        sys.path.insert(0, str(self.copy))
        quiet = ("-q", "-s", "--tb=no", "--no-header", "-p", "no:cacheprovider", "-p", "no:timeout")
        return int(pytest.main([*quiet, *tests], plugins=[plugin]))


def _fork(run: Callable[[], int]) -> int:
    """The process id of a child that does that, without a word, and ends with that exit code."""
    child = os.fork()
    if child:
        return child
    try:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        os._exit(run())
    finally:
        os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
