"""The clock libraries under real Python processes: the wall clock jumps, monotonic time and timeouts do not."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.nemesis.agent.clock import get_offset, set_offset
from harness.nemesis.clock_library import ClockLibrary, build, faketime

HOUR_S = 3600

# Says, each time it is asked: wall, monotonic, and how long waits of 50 ms took by the clock that it measures them with.
PROGRAM = """
import datetime, select, socket, sys, threading, time
here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); here.bind(("127.0.0.1", 0)); here.settimeout(0.05)
def receive():
    try: here.recv(1)
    except TimeoutError: pass
waits = [receive, lambda: select.select([here], [], [], 0.05), lambda: threading.Event().wait(0.05), lambda: time.sleep(0.05)]
for _ in sys.stdin:
    took = []
    for wait in waits:
        before = time.monotonic(); wait(); took.append(time.monotonic() - before)
    print(time.time(), time.monotonic(), datetime.datetime.now().timestamp(), *took, flush=True)
"""


@functools.cache
def pythons() -> list[str]:
    """The interpreters to try: a shim that works under one C library call may miss another."""
    found = [shutil.which(f"python3.{minor}", path="/usr/bin:/usr/local/bin") for minor in (10, 11, 12, 13, 14)]
    return [python for python in found if python] or [shutil.which("python3") or "python3"]


def libraries(folder: Path) -> list[ClockLibrary]:
    made = []
    binary = build()
    if binary is not None:
        shim, file = folder / "clock_shim.so", folder / "clock"
        shim.write_bytes(binary)
        file.write_bytes(bytes(24))
        made.append(ClockLibrary(str(shim), str(file), {"LD_PRELOAD": str(shim), "TRIBULATION_CLOCK": str(file)}))
    for path in Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"):
        (folder / "nemesis").mkdir()
        made.append(faketime(str(folder), str(path)))
        set_offset(made[-1].file, 0)
    return made


class Process:
    def __init__(self, python: str, library: ClockLibrary) -> None:
        environment = {**os.environ, **library.environment}
        self.process = subprocess.Popen(
            [python, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def ask(self) -> list[float]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return [float(word) for word in self.process.stdout.readline().split()]

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate(timeout=10)


def test_the_wall_clock_jumps_and_nothing_else_does(tmp_path: Path) -> None:
    found = libraries(tmp_path)
    assert found, "neither a C compiler nor libfaketime is here"
    for library in found:
        for python in pythons():
            with Process(python, library) as process:
                wall, mono, _, *_ = process.ask()
                zero = wall - mono
                for offset_s in (HOUR_S, -HOUR_S, 0, -1, 60):
                    set_offset(library.file, offset_s * 10**9)
                    assert get_offset(library.file) == offset_s * 10**9
                    wall, mono, local, *took = process.ask()
                    where = f"{library.library} under {python} at {offset_s} s"
                    assert wall - mono - zero == pytest.approx(offset_s, abs=0.3), where
                    assert local == pytest.approx(wall, abs=0.3), where
                    assert all(0.045 <= each < 20 for each in took), f"{where}: a wait of 50 ms took {took}"
                set_offset(library.file, 0)


def test_all_processes_of_a_host_jump_together(tmp_path: Path) -> None:
    library = libraries(tmp_path)[0]
    python = pythons()[0]
    with Process(python, library) as first, Process(python, library) as second:
        set_offset(library.file, -HOUR_S * 10**9)
        assert first.ask()[0] == pytest.approx(second.ask()[0], abs=20)


def test_without_its_file_the_clock_is_true(tmp_path: Path) -> None:
    library = libraries(tmp_path)[0]
    Path(library.file).unlink()
    with Process(pythons()[0], library) as process:
        wall, *_ = process.ask()
        assert wall == pytest.approx(float(subprocess.check_output(["date", "+%s"])), abs=20)


def test_offsets_keep_the_other_fields_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "clock"
    path.write_bytes(bytes(8) + b"\x01" + bytes(7) + b"\x02" + bytes(7))
    inode = path.stat().st_ino
    set_offset(str(path), -5)
    assert path.read_bytes() == b"\xfb" + b"\xff" * 7 + b"\x01" + bytes(7) + b"\x02" + bytes(7)
    assert path.stat().st_ino == inode, "processes have this very file mapped"
