"""The clock libraries under real Python processes: the wall clock jumps, monotonic time and timeouts do not."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tribulation.harness.agent.clocks.clock import SIZE, TRUE, WORD, Setting, get, put, setting_of
from tribulation.harness.agent.clocks.observer import Observer
from tribulation.harness.nemesis.cluster.clock_library import ClockLibrary, build, faketime
from tribulation.harness.nemesis.faults.clock_settings import is_as_set, look_for

HOUR_S = 3600
AMOUNTS = st.integers(-(10**15), 10**15)
WRONG = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"offset_ns": AMOUNTS}),
    st.fixed_dictionaries({"drift_ppm": st.integers(-200_000, 200_000)}),
    st.fixed_dictionaries({"strobe_ns": AMOUNTS, "period_ns": st.integers(1, 10**12)}),
)

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


def shim_in(folder: Path) -> ClockLibrary:
    """The compiled one, which alone drifts and strobes."""
    return next(library for library in libraries(folder) if not library.only_sets)


def libraries(folder: Path) -> list[ClockLibrary]:
    made = []
    binary = build()
    if binary is not None:
        shim, file = folder / "clock_shim.so", folder / "clock"
        shim.write_bytes(binary)
        file.write_bytes(bytes(SIZE))
        made.append(ClockLibrary(str(shim), str(file), {"LD_PRELOAD": str(shim), "TRIBULATION_CLOCK": str(file)}))
    for path in Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"):
        (folder / "nemesis").mkdir()
        made.append(faketime(str(folder), str(path)))
        Path(made[-1].file).write_text("+0\n")
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
    assert found, "there is no C compiler here and no libfaketime"
    for library in found:
        for python in pythons():
            with Process(python, library) as process:
                wall, mono, _, *_ = process.ask()
                zero = wall - mono
                for offset_s in (HOUR_S, -HOUR_S, 0, -1, 60):
                    setting = {"offset_ns": offset_s * 10**9} if offset_s else TRUE
                    put(library.file, setting)
                    assert get(library.file) == setting
                    wall, mono, local, *took = process.ask()
                    where = f"{library.library} under {python} at {offset_s} s"
                    assert wall - mono - zero == pytest.approx(offset_s, abs=0.3), where
                    assert local == pytest.approx(wall, abs=0.3), where
                    assert all(0.045 <= each < 20 for each in took), f"{where}: a wait of 50 ms took {took}"
                put(library.file, TRUE)


def test_all_processes_of_a_host_jump_together(tmp_path: Path) -> None:
    library = libraries(tmp_path)[0]
    python = pythons()[0]
    with Process(python, library) as first, Process(python, library) as second:
        put(library.file, {"offset_ns": -HOUR_S * 10**9})
        assert first.ask()[0] == pytest.approx(second.ask()[0], abs=20)


def test_without_its_file_the_clock_is_true(tmp_path: Path) -> None:
    library = libraries(tmp_path)[0]
    Path(library.file).unlink()
    with Process(pythons()[0], library) as process:
        wall, *_ = process.ask()
        assert wall == pytest.approx(float(subprocess.check_output(["date", "+%s"])), abs=20)


def test_a_file_is_written_in_place_and_healed_by_one_word(tmp_path: Path) -> None:
    path = tmp_path / "clock"
    path.write_bytes(b"")
    inode = path.stat().st_ino
    put(str(path), {"offset_ns": -5})
    before = path.read_bytes()
    put(str(path), TRUE)
    assert get(str(path)) == TRUE and path.read_bytes() == bytes(WORD.size) + before[WORD.size :]
    assert path.stat().st_ino == inode, "processes have this very file mapped"
    put(str(path), {"drift_ppm": 7})
    drifting = path.read_bytes()
    put(str(path), {"drift_ppm": 7})
    assert path.read_bytes() == drifting, "a drift goes on, and does not begin again"
    generations = [WORD.unpack(content[: WORD.size])[0] for content in (before, drifting)]
    assert generations[0] < generations[1], "no generation comes twice"


@settings(deadline=None, max_examples=50)
@given(st.lists(WRONG, min_size=1, max_size=6))
def test_what_is_put_is_what_is_there(wrong: list[Setting]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/clock"
        assert get(path) == TRUE
        for setting in wrong:
            put(path, setting_of(setting))
            assert get(path) == setting_of(setting)


def test_libfaketime_refuses_what_it_would_do_otherwise(tmp_path: Path) -> None:
    for setting in ({"drift_ppm": 5}, {"strobe_ns": 5, "period_ns": 10**9}):
        with pytest.raises(RuntimeError, match="need the compiled shim"):
            put(str(tmp_path / "clock.faketime"), setting)


@pytest.mark.parametrize(
    "setting", [{"drift_ppm": 500}, {"drift_ppm": -20_000}, {"strobe_ns": -5 * 10**9, "period_ns": 40_000_000}]
)
def test_a_clock_drifts_and_strobes_as_set_and_is_then_true(tmp_path: Path, setting: Setting) -> None:
    library = shim_in(tmp_path)
    look = look_for(setting)
    with Observer(dict(library.environment)) as observer:
        assert is_as_set(TRUE, observer.watch(look.over_ns, look.readings))
        put(library.file, setting)
        seen = observer.watch(look.over_ns, look.readings)
        assert is_as_set(setting, seen) and not is_as_set(TRUE, seen), seen
        put(library.file, TRUE)
        assert is_as_set(TRUE, observer.watch(look.over_ns, look.readings))


def test_no_reading_is_torn_while_settings_change(tmp_path: Path) -> None:
    """Each setting adds up to the same hour or to none; a mixture of two would not."""
    library = shim_in(tmp_path)
    hour_ns = 3600 * 10**9
    program = "import time\nwhile True: print(time.time_ns() - time.monotonic_ns())"
    command = [pythons()[0], "-S", "-c", program]
    environment = {**os.environ, **library.environment}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        zero_ns = time.time_ns() - time.monotonic_ns()
        shown = []
        for turn in range(3000):
            put(
                library.file,
                {"offset_ns": hour_ns * (1 + turn % 3), "strobe_ns": -hour_ns * (turn % 3), "period_ns": 2**61},
            )
            shown.append(int(reader.stdout.readline()) - zero_ns)
        reader.kill()
    assert all(min(abs(ns), abs(ns - hour_ns)) < 10**9 for ns in shown), "true time before the first, then the hour"
    assert any(abs(ns - hour_ns) < 10**9 for ns in shown)


def test_a_library_that_does_not_load_is_reported(tmp_path: Path) -> None:
    (tmp_path / "broken.so").write_bytes(b"no library")
    with Observer({"LD_PRELOAD": str(tmp_path / "broken.so")}) as observer:
        # The loader says so, and goes on without it: the clock is true, which is what the look then shows.
        assert is_as_set(TRUE, [observer.read()])
