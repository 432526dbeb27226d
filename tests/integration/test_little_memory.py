"""A process that gets too little memory ends by the code of an environment: a compiled library ends it by C's `exit(1)`, which would be an anomaly."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENTRY = "import ctypes, sys\nfrom tribulation.harness.cli.process import library_exits\nlibrary_exits.refuse_exits()\n"
WAITS = (
    "import threading, time\nthreading.Thread(target=ctypes.CDLL(None).getchar, daemon=True).start()\ntime.sleep(0.5)\n"
)
"""A thread of a library that reads the standard input, and holds its lock without end."""


@pytest.mark.parametrize(
    ("lines", "code", "printed"),
    [
        ("ctypes.CDLL(None).exit(1)", 4, ""),
        ("ctypes.CDLL(None).exit(0)", 4, ""),
        ("print('all')\nlibrary_exits.allow_exit(1)\nsys.exit(1)", 1, "all\n"),
        ("ctypes.CDLL(None).printf(b'more')\nprint('all')\nlibrary_exits.allow_exit(0)\nsys.exit(0)", 0, "moreall\n"),
        (WAITS + "library_exits.allow_exit(3)\nsys.exit(3)", 3, ""),
    ],
)
def test_a_library_does_not_choose_the_exit_code(lines: str, code: int, printed: str) -> None:
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", ENTRY + lines], cwd=ROOT, text=True, **streams) as process:
        assert process.stdout is not None and process.stderr is not None
        assert (process.wait(60), process.stdout.read()) == (code, printed), process.stderr.read()


@pytest.mark.parametrize("mib", [30, 50, 60, 80, 100, 120])
def test_tri_with_too_little_memory_never_ends_as_if_it_had_found_an_anomaly(tmp_path: Path, mib: int) -> None:
    (tmp_path / "history.jsonl").write_text(
        '{"process":0,"type":"invoke","f":"write","key":"k","value":1}\n{"process":0,"type":"ok","f":"write","key":"k","value":1}\n'
    )
    ended = subprocess.run(
        [sys.executable, "-m", "tribulation.harness.cli", "check", str(tmp_path / "history.jsonl")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (mib << 20, mib << 20)),
    )
    # 0 where this memory is enough; 130 where OpenBLAS lacks it for a thread, because it then sends SIGINT to the process itself.
    assert ended.returncode in (0, 4, 130), ended.stderr
    assert "internal error" not in ended.stderr
