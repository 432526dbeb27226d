"""Wall clocks that are moved in the vDSO of running processes: what they see, what others see, and that no process fails from it."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.nemesis.clock_readers import Reader, Times, compiled, reading
from tests.harness.nemesis.lab_tools import await_that
from tests.harness.nemesis.test_clock_shim import shim_in
from tribulation.harness.agent.clocks import clock, reach, vdso
from tribulation.harness.agent.clocks.stopping import CannotStop, stopped
from tribulation.harness.agent.processes.proc import read
from tribulation.harness.nemesis.cluster.clock_library import BLOCK_MACHINE, build_block

HOUR_NS = 3600 * 10**9
pytestmark = pytest.mark.skipif(
    platform.machine() != BLOCK_MACHINE, reason=f"the vDSO of {BLOCK_MACHINE} alone is known"
)


@dataclass
class Moving:
    """Moves clocks by one clock file."""

    file: str
    block: bytes

    @property
    def owner(self) -> int:
        return vdso.owner_of(self.file)

    def move(self, pid: int, flag_at: int = 0, **setting: int) -> None:
        clock.put(self.file, setting)
        vdso.move(pid, self.block, self.owner, Path(self.file).read_bytes(), flag_at)

    def restore(self, pid: int) -> bool:
        return vdso.restore(pid, self.owner)


@pytest.fixture
def moving(tmp_path: Path) -> Iterator[Moving]:
    block = build_block()
    assert block is not None
    made = Moving(str(tmp_path / "clock"), block)
    yield made
    assert vdso.moved(made.owner) == []


@pytest.fixture(scope="module")
def static(tmp_path_factory: pytest.TempPathFactory) -> str:
    return compiled(tmp_path_factory.mktemp("programs"), "-static")


@pytest.fixture(scope="module")
def hammer(tmp_path_factory: pytest.TempPathFactory) -> str:
    return compiled(tmp_path_factory.mktemp("programs"), "-pthread", name="hammer")


def off_ns(process: Reader) -> list[int]:
    """How far all four ways are from our own clock."""
    seen = process.ask()
    true_ns = time.time_ns() - time.monotonic_ns() + seen.mono
    return [shown - true_ns for shown in (seen.wall, seen.timeofday, seen.seconds, seen.library)]


def state(process: Reader) -> str:
    known = read(process.pid)
    return known.state if known else "?"


def is_about(seen: list[int], expected_ns: int) -> bool:
    return all(abs(each - expected_ns) < 2 * 10**9 for each in seen)


def test_all_ways_are_moved_and_monotonic_time_is_not(moving: Moving, static: str) -> None:
    with reading(static) as process:
        assert is_about(off_ns(process), 0)
        for offset_ns in (HOUR_NS, -HOUR_NS, 10**15, 1):
            moving.move(process.pid, offset_ns=offset_ns)
            assert is_about(off_ns(process), offset_ns)
            before_ns, mono_ns, after_ns = time.monotonic_ns(), process.ask().mono, time.monotonic_ns()
            assert before_ns <= mono_ns <= after_ns
        assert moving.restore(process.pid) and not moving.restore(process.pid)
        assert is_about(off_ns(process), 0)


def test_it_drifts_and_strobes_like_the_shim(moving: Moving, static: str) -> None:
    """Both compute one function of true time: a moment between two readings apart."""
    with reading(static) as process:
        process.ask()
        for setting in ({"drift_ppm": -20_000, "offset_ns": 5}, {"strobe_ns": HOUR_NS, "period_ns": 10**7}):
            moving.move(process.pid, **setting)
            seen: list[Times] = []
            for _ in range(50):
                seen.append(process.ask())
                time.sleep(0.001)
            gained = [(each.wall - seen[0].wall) - (each.mono - seen[0].mono) for each in seen]
            if "drift_ppm" in setting:
                elapsed = seen[-1].mono - seen[0].mono
                assert gained[-1] * 1e6 / elapsed == pytest.approx(-20_000, rel=0.01)
            else:
                assert {round(each / HOUR_NS) for each in gained} in ({0, 1}, {0, -1})
        moving.restore(process.pid)


def test_nobody_else_sees_anything_of_it(moving: Moving, static: str) -> None:
    with reading(static) as process, reading(static) as other:
        process.ask(), other.ask()
        own, others = vdso.image_of(os.getpid()), vdso.image_of(other.pid)
        moving.move(process.pid, offset_ns=HOUR_NS)
        assert vdso.image_of(os.getpid()) == own and vdso.image_of(other.pid) == others
        assert is_about(off_ns(other), 0) and vdso.moved(moving.owner) == [process.pid]
        with reading(static) as later:
            assert is_about(off_ns(later), 0), "a program that begins has a vDSO of its own"
        moving.restore(process.pid)


def test_the_functions_are_put_back_byte_for_byte(moving: Moving, static: str) -> None:
    with reading(static) as process:
        process.ask()
        before = vdso.image_of(process.pid)
        moving.move(process.pid, offset_ns=HOUR_NS)
        moving.restore(process.pid)
        after = vdso.image_of(process.pid)
        assert before is not None and after is not None and after.block_at is not None
        assert after.data[: after.block_at] == before.data[: after.block_at]
        assert set(before.data[after.block_at :]) == {0}, "nothing used the bytes that hold the block now"


FORKS = """
import os, sys, time
children = []
for line in sys.stdin:
    if line.startswith("fork"):
        down, up = os.pipe(), os.pipe()
        if os.fork() == 0:
            os.close(down[1])
            while os.read(down[0], 1): os.write(up[1], b"%d " % (time.time_ns() - time.monotonic_ns()))
            os._exit(0)
        os.close(down[0])
        children.append((down[1], up[0]))
    if line.startswith("exec"): os.execv(sys.executable, [sys.executable, "-S", "-c", sys.argv[1], sys.argv[1]])
    for to, of in children: os.write(to, b"?")
    print(time.time_ns() - time.monotonic_ns(), *(int(os.read(of, 99)) for _, of in children), flush=True)
"""


def ask(process: subprocess.Popen[str], line: str) -> list[int]:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()
    true_ns = time.time_ns() - time.monotonic_ns()
    return [int(word) - true_ns for word in process.stdout.readline().split()]


def test_a_forked_child_has_it_and_another_program_has_not(moving: Moving) -> None:
    command = [sys.executable, "-S", "-c", FORKS, FORKS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        ask(process, "")
        moving.move(process.pid, offset_ns=HOUR_NS)
        assert is_about(ask(process, "fork"), HOUR_NS)
        assert len(vdso.moved(moving.owner)) == 2
        for pid in vdso.moved(moving.owner):
            assert moving.restore(pid)
        assert is_about(ask(process, ""), 0)
        moving.move(process.pid, offset_ns=HOUR_NS)
        assert process.stdin is not None
        known = Path(f"/proc/{process.pid}/auxv").read_bytes()
        process.stdin.write("exec\n")
        process.stdin.flush()
        await_that("another program", lambda: Path(f"/proc/{process.pid}/auxv").read_bytes() != known)
        assert is_about(ask(process, ""), 0) and vdso.moved(moving.owner) == []
        moving.move(process.pid, offset_ns=HOUR_NS)
        assert is_about(ask(process, ""), HOUR_NS)
        assert moving.restore(process.pid)
        process.communicate()


def test_threads_that_ask_without_a_pause_survive_two_hundred_changes(moving: Moving, hammer: str) -> None:
    with subprocess.Popen([hammer], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        for _ in range(200):
            moving.move(process.pid, offset_ns=HOUR_NS)
            assert moving.restore(process.pid)
        moving.move(process.pid, offset_ns=HOUR_NS)
        time.sleep(0.01)
        assert moving.restore(process.pid)
        reported, _ = process.communicate("\n", timeout=20)
        assert process.returncode == 0
        assert all(int(word) > 0 for word in reported.split()), reported


def test_a_preloaded_process_is_moved_once(moving: Moving, tmp_path: Path) -> None:
    """Below the library, which then adds nothing; and by the library again afterwards."""
    library = shim_in(tmp_path)
    with reading(compiled(tmp_path, "-DGO"), environment=library.environment) as process:
        process.ask()
        clock.put(library.file, {"offset_ns": HOUR_NS})
        moving.file = library.file
        moving.move(process.pid, reach.flag_at(process.pid, library.library), offset_ns=HOUR_NS)
        assert is_about(off_ns(process), HOUR_NS)
        moving.restore(process.pid)
        seen = off_ns(process)
        assert is_about(seen[:3], 0) and is_about(seen[3:], HOUR_NS)
        clock.put(library.file, clock.TRUE)


def test_a_stopped_process_stays_so_and_signals_arrive(moving: Moving, static: str) -> None:
    with reading(static) as process:
        process.ask()
        os.kill(process.pid, signal.SIGSTOP)
        await_that("it is stopped", lambda: state(process) == "T")
        moving.move(process.pid, offset_ns=HOUR_NS)
        await_that("it is again", lambda: state(process) == "T")
        os.kill(process.pid, signal.SIGCONT)
        assert is_about(off_ns(process), HOUR_NS)
        with stopped(process.pid, ()):
            os.kill(process.pid, signal.SIGTERM)
        assert process.process.wait(10) == -signal.SIGTERM


STOPS = """
import sys
from tribulation.harness.agent.clocks.stopping import stopped
with stopped(int(sys.argv[1]), ()):
    print("stopped", flush=True)
    sys.stdin.read()
"""


def test_a_process_goes_on_when_who_stopped_it_is_killed(static: str) -> None:
    with reading(static) as process:
        command = [sys.executable, "-c", STOPS, str(process.pid)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as tracer:
            assert tracer.stdout is not None and tracer.stdout.readline() == "stopped\n"
            assert state(process) == "t"
            tracer.kill()
        assert is_about(off_ns(process), 0)


def test_what_another_moves_is_left_alone(moving: Moving, static: str, tmp_path: Path) -> None:
    other = Moving(str(tmp_path / "other"), moving.block)
    with reading(static) as process:
        process.ask()
        moving.move(process.pid, offset_ns=HOUR_NS)
        with pytest.raises(CannotStop, match="another harness"):
            other.move(process.pid, offset_ns=1)
        assert not other.restore(process.pid) and is_about(off_ns(process), HOUR_NS)
        assert moving.restore(process.pid)
        other.move(process.pid, offset_ns=-HOUR_NS)
        assert is_about(off_ns(process), -HOUR_NS) and other.restore(process.pid)


def test_a_process_that_has_ended_is_reported(moving: Moving, static: str) -> None:
    with reading(static) as process:
        process.ask()
        process.process.kill()
        process.process.wait()
        with pytest.raises((FileNotFoundError, ProcessLookupError)):
            moving.move(process.pid, offset_ns=1)
