"""Whether a clock fault reaches a process: by what the process does, not by what is mapped into it."""

from __future__ import annotations

import os
import platform
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.harness.nemesis.clock_readers import Reader, compiled, reading
from tests.harness.nemesis.test_clock_shim import shim_in
from tribulation.harness.agent.clocks import elf, reach, vdso
from tribulation.harness.agent.clocks.clock import put
from tribulation.harness.agent.processes import processes
from tribulation.harness.nemesis.cluster.clock_library import BLOCK_MACHINE, ClockLibrary, build_block

LOOKS_AT_THE_CLOCK = "import time\nwhile True: time.time(), time.sleep(0.01)"
WAITS = "import sys\nprint('ready', flush=True)\nsys.stdin.read()"
FORKS = f"import os, sys, time\nif os.fork():\n    sys.stdin.read()\n{LOOKS_AT_THE_CLOCK}"


@pytest.fixture
def library(tmp_path: Path) -> ClockLibrary:
    return shim_in(tmp_path)


def members(process: Reader) -> list[int]:
    return processes.members({"pid": process.pid})


def evidence(process: Reader, library: ClockLibrary, wait_s: float = 5.0) -> dict[str, object]:
    return dict(reach.evidence(lambda: members(process), reach.Means(library.library, library.file), wait_s=wait_s))


def test_a_process_that_asks_the_library_is_reached(library: ClockLibrary) -> None:
    with reading(sys.executable, "-S", "-c", LOOKS_AT_THE_CLOCK, environment=library.environment) as process:
        assert evidence(process, library) == {"affected": True, "why": [], "means": ["preload"], "processes": 1}


def test_a_process_that_asks_nobody_is_not(library: ClockLibrary) -> None:
    with reading(sys.executable, "-S", "-c", WAITS, environment=library.environment) as process:
        assert process.process.stdout is not None and process.process.stdout.readline() == "ready\n"
        seen = evidence(process, library, 0.1)
    assert seen["affected"] is False
    assert seen["why"] == ["none of 1 processes of the service asked for the wall clock within 0.1 s"]


def test_one_of_a_family_that_asks_is_enough(library: ClockLibrary) -> None:
    with reading(sys.executable, "-S", "-c", FORKS, environment=library.environment) as process:
        while len(members(process)) < 2:
            pass
        assert evidence(process, library) == {"affected": True, "why": [], "means": ["preload"], "processes": 2}
        for child in set(members(process)) - {process.pid}:
            os.kill(child, signal.SIGKILL)


def test_a_process_without_the_library_is_not(library: ClockLibrary) -> None:
    with reading(sys.executable, "-S", "-c", LOOKS_AT_THE_CLOCK) as process:
        seen = evidence(process, library)
    assert seen["affected"] is False and "runs without a clock library" in str(seen["why"])


@pytest.mark.parametrize(("options", "reported"), [(["-static"], "a static program"), (["-DGO"], "a Go program")])
def test_a_program_that_reads_the_vdso_is_named_and_sees_the_true_time(
    tmp_path: Path, library: ClockLibrary, options: list[str], reported: str
) -> None:
    program = compiled(tmp_path, *options)
    with reading(program, environment=library.environment) as process:
        process.ask()
        mapped = library.library in Path(f"/proc/{process.pid}/maps").read_text()
        seen = evidence(process, library)
    assert mapped == (options == ["-DGO"]), "Go programs may map the library, and do not ask it"
    assert seen["affected"] is False and reported in str(seen["why"])


@pytest.mark.skipif(platform.machine() != BLOCK_MACHINE, reason=f"the vDSO of {BLOCK_MACHINE} alone is known")
def test_a_process_whose_vdso_is_moved_must_ask_it(tmp_path: Path, library: ClockLibrary) -> None:
    block = build_block()
    assert block is not None
    put(library.file, {"offset_ns": 10**12})
    with reading(compiled(tmp_path, "-static")) as process:
        process.ask()
        owner = vdso.owner_of(library.file)
        vdso.move(process.pid, block, owner, Path(library.file).read_bytes())
        silent = evidence(process, library, 0.3)
        with ThreadPoolExecutor(1) as pool:
            looking = pool.submit(evidence, process, library)
            while not looking.done():
                process.ask()
        assert vdso.restore(process.pid, owner)
    if "uncounted" in silent:
        pytest.skip(f"nothing counts here: {silent['uncounted']}")
    assert silent["affected"] is False and "asked for the wall clock within" in str(silent["why"])
    assert looking.result() == {"affected": True, "why": [], "means": ["vdso"], "processes": 1}


def test_what_is_no_program_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "cut").write_bytes(Path(sys.executable).read_bytes()[:4000])
    for name in ("empty", "cut"):
        with pytest.raises(elf.NotElf):
            elf.of_file(str(tmp_path / name))
