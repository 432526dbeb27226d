"""The two pytest plugins of `mutate.py`: `Measure` sees which tests execute which lines, `Try` runs tests on mutants, each in a fork.

A mutant of a function is put in place by giving the living function the changed code, so nothing is imported again and no test collected again. What
runs at import (constants of modules, defaults of arguments, fields of classes) is tried by `Try` too, in a process that imports the changed module
from the start (`changed_on_import`).
"""

from __future__ import annotations

import gc
import os
import pickle
import resource
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

import pytest
from hypothesis import Phase, settings
from mutations import Mutation

UNFIT = 98
"""Exit code of a child that could not put its mutant in place: it has to be there from the import on."""


@dataclass(slots=True)
class Measured:
    """Measurements of one run of the unchanged tests."""

    cpu_s: dict[str, float] = field(default_factory=dict)
    """Per test; traced, so more than it takes else."""
    tests: dict[str, dict[int, set[str]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(set)))
    """File, line → the tests that execute it."""
    imported: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """File → lines that are executed while tests are collected."""
    failed: list[str] = field(default_factory=list)
    """Tests, and files of tests, that fail unchanged."""

    def save(self, path: Path) -> None:
        plain = {file: dict(lines) for file, lines in self.tests.items()}
        path.write_bytes(pickle.dumps((self.cpu_s, plain, dict(self.imported), self.failed)))

    @classmethod
    def load(cls, path: Path) -> Measured:
        return cls(*pickle.loads(path.read_bytes()))

    def executing(self, file: str, lines: range) -> list[str]:
        """Tests that execute one of the lines, the quickest first."""
        known = self.tests.get(file, {})
        return sorted({test for line in lines for test in known.get(line, ())}, key=self._cost)

    def touching(self, file: str) -> list[str]:
        """Tests that execute anything of the file, the quickest first."""
        return sorted(set().union(*self.tests.get(file, {}).values()), key=self._cost)

    def _cost(self, test: str) -> tuple[float, str]:
        return self.cpu_s[test], test


class Measure:
    """Plugin that runs the tests once, traced. `folder`: whose files' lines are of interest."""

    def __init__(self, folder: Path, result: Path) -> None:
        self.folder, self.result = f"{folder}/", result
        self.measured = Measured()
        self.missing: dict[int, tuple[CodeType, set[int]]] = {}  # by id: hashing code is slow
        self.seen: dict[str, set[int]] = defaultdict(set)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_collection(self) -> Iterator[None]:
        steady()
        sys.settrace(self._called)
        yield
        sys.settrace(None)
        self.measured.imported, self.seen = self.seen, defaultdict(set)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.missing.clear()
        began = time.process_time()
        sys.settrace(self._called)
        yield
        sys.settrace(None)
        self.measured.cpu_s[item.nodeid] = time.process_time() - began
        for file, lines in self.seen.items():
            for line in lines:
                self.measured.tests[file][line].add(item.nodeid)
        self.seen.clear()

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.measured.failed += [report.nodeid] if report.failed else []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.measured.failed += [report.nodeid] if report.failed else []

    def pytest_sessionfinish(self) -> None:
        self.measured.save(self.result)

    def _called(self, frame: FrameType, event: str, argument: Any) -> Callable[..., Any] | None:
        code = frame.f_code
        known = self.missing.get(id(code))
        if known is None:
            inside = code.co_filename.startswith(self.folder)
            # No line event reports the first line of a function that spans several.
            missing = {line for *_, line in code.co_lines() if line} - {code.co_firstlineno} if inside else set()
            known = self.missing[id(code)] = code, missing
            if inside:
                self.seen[code.co_filename].add(code.co_firstlineno)
        return self._line if known[1] else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:
        known, line = self.missing.get(id(frame.f_code)), frame.f_lineno
        if known is not None and line in known[1]:
            known[1].discard(line)
            self.seen[frame.f_code.co_filename].add(line)
            frame.f_trace_lines = bool(known[1])
        return self._line


@dataclass(frozen=True, slots=True)
class Trial:
    """A mutant and the tests to try it on, in order."""

    file: str
    mutation: Mutation
    tests: list[str]


class Try:
    """Instead of running all tests: tries mutants, each in a fork of this process. `report(number of the trial, exit code)` is called at the end of each."""

    def __init__(
        self, trials: Sequence[Trial], cpu_s: dict[str, float], jobs: int, report: Callable[[int, int], None]
    ) -> None:
        self.trials, self.cpu_s, self.jobs, self.report = trials, cpu_s, jobs, report
        self.killers: dict[str, str] = {}
        self.failed = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        steady()

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        functions = _functions({trial.file for trial in self.trials})
        gc.collect()
        gc.freeze()  # what is frozen is not touched by the collector, so its pages stay shared with the forks
        running: dict[int, tuple[int, int]] = {}
        for number, trial in enumerate(self.trials):
            while len(running) >= self.jobs:
                self._end(running)
            reader, writer = os.pipe()
            child = os.fork()
            if not child:
                os._exit(self._child(trial, items, functions[trial.file], writer))
            os.close(writer)
            running[child] = number, reader
        while running:
            self._end(running)
        return True

    def _end(self, running: dict[int, tuple[int, int]]) -> None:
        child, status = os.wait()
        number, reader = running.pop(child)
        with os.fdopen(reader, "rb") as pipe:
            killer = pipe.read().decode()
        if killer:
            self.killers[self.trials[number].file] = killer
        self.report(number, os.waitstatus_to_exitcode(status))

    def _child(self, trial: Trial, items: dict[str, pytest.Item], functions: list[FunctionType], writer: int) -> int:
        if not put_in_place(trial, functions):
            return UNFIT
        last = self.killers.get(trial.file)
        order = sorted(trial.tests, key=lambda test: test != last)  # what noticed the last one, then as before
        return self.run([items[test] for test in order], writer)

    def run(self, items: Sequence[pytest.Item], writer: int) -> int:
        """0 if all pass. Ends the process by a signal where a test takes too much time."""
        bound()
        for item in items:
            signal.setitimer(signal.ITIMER_PROF, 1 + 2 * self.cpu_s[item.nodeid])
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            if self.failed:
                os.write(writer, item.nodeid.encode())
                return 1
        return 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed |= report.failed


class TryFromImport(Try):
    """One mutant, in a process of its own that imported the changed module."""

    def __init__(self, trial: Trial, cpu_s: dict[str, float]) -> None:
        super().__init__([trial], cpu_s, 1, lambda trial, code: None)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        # What is not collected any more was parametrized by what the mutant changed.
        gone = [test for test in self.trials[0].tests if test not in items]
        code = 1 if gone else self.run([items[test] for test in self.trials[0].tests], os.open(os.devnull, os.O_WRONLY))
        os._exit(code)


def steady() -> None:
    """Hypothesis the same in every run; a failure need not be made small."""
    settings.register_profile(
        "mutants", settings.default, database=None, derandomize=True, phases=[Phase.explicit, Phase.generate]
    )
    settings.load_profile("mutants")


def bound() -> None:
    """Loops without end are ended by the timer's signal, and memory without end by `MemoryError`."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    with open("/proc/self/statm", encoding="ascii") as pages:
        used = int(pages.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (2 << 30), resource.RLIM_INFINITY))


def put_in_place(trial: Trial, functions: Sequence[FunctionType]) -> bool:
    """Give living functions the mutant's code. Return False if that cannot be done, or changes nothing that lives."""
    changed = _codes(compile(trial.mutation.tree(), trial.file, "exec", dont_inherit=True))
    done = False
    for function in functions:
        code = changed.get(_key(function.__code__))
        if code is None or code == function.__code__:
            continue
        try:
            function.__code__ = code
        except ValueError:  # a closure over other names than before
            return False
        done = True
    _compile_anew(trial.file)
    return done


def _compile_anew(file: str) -> None:
    """Numba knows cached code by place and instructions, without constants: a changed file's functions are never taken from there, and never kept."""
    import numba

    compiled = numba.njit

    def njit(*given: Any, **options: Any) -> Any:
        if given and isinstance(given[0], FunctionType) and given[0].__code__.co_filename == file:
            options["cache"] = False
        return compiled(*given, **options)

    numba.njit = njit


def changed_on_import(trial: Trial, module: str) -> None:
    """Make every later import of the module find the mutant."""
    code = compile(trial.mutation.tree(), trial.file, "exec", dont_inherit=True)

    class Loader(SourceFileLoader):
        def get_code(self, fullname: str) -> CodeType:
            return code

    class Finder:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
            return (
                spec_from_file_location(name, trial.file, loader=Loader(name, trial.file)) if name == module else None
            )

    sys.meta_path.insert(0, Finder)
    _compile_anew(trial.file)


def _functions(files: set[str]) -> dict[str, list[FunctionType]]:
    """Living functions by file, wherever they are kept: in modules, classes, properties, wrappers, registries."""
    found: dict[str, list[FunctionType]] = {file: [] for file in files}
    for thing in gc.get_objects():
        if type(thing) is FunctionType and thing.__code__.co_filename in found:
            found[thing.__code__.co_filename].append(thing)
    return found


def _codes(module: CodeType) -> dict[tuple[str, int], CodeType]:
    """Return the code objects by name and line. Two of one name in one line are left out, since no one would notice them apart."""
    codes: dict[tuple[str, int], CodeType] = {}
    twice = set()
    todo = [module]
    while todo:
        for constant in todo.pop().co_consts:
            if isinstance(constant, CodeType):
                todo.append(constant)
                key = _key(constant)
                twice |= {key} & codes.keys()
                codes[key] = constant
    return {key: code for key, code in codes.items() if key not in twice}


def _key(code: CodeType) -> tuple[str, int]:
    return code.co_qualname, code.co_firstlineno
