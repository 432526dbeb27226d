"""A check on machines that is ended by a signal: its `tri` ends in order, and its lab is taken down. Shown without machines."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.running import with_default_signals

ROOT = Path(__file__).resolve().parents[3]
CHECK = """
import subprocess, sys, time
from benchmarks.ending import ended_with, lab_of

class Lab:
    def down(self):
        print("taking down", flush=True)
        time.sleep(0.5)
        print("down", flush=True)

RUN = '''
import signal, sys, time
def heal(*_):
    print("healed", flush=True)
    sys.exit(130)
signal.signal(signal.SIGTERM, heal)
print("load", flush=True)
time.sleep(600)
'''
with lab_of(Lab()):
    ended_with(subprocess.Popen([sys.executable, "-c", RUN]), 600)
print("not reached")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_run_and_takes_the_lab_down(number: signal.Signals) -> None:
    """SIGTERM left the run and its machines behind. A second signal does not end the taking down."""
    check = subprocess.Popen(
        [sys.executable, "-c", CHECK],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=with_default_signals,
    )
    assert check.stdout is not None
    try:
        assert check.stdout.readline() == "load\n"
        check.send_signal(number)
        lines = [check.stdout.readline() for _ in range(2)]
        check.send_signal(number)
        lines += check.stdout.readlines()
        assert lines == ["healed\n", "taking down\n", "down\n"]
        assert check.wait(60) != 0
    finally:
        check.kill()
        check.wait()


def test_a_run_that_takes_too_long_ends_in_order_too() -> None:
    from benchmarks.ending import ended_with

    run = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    began_s = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        ended_with(run, 0.2)
    assert run.returncode == -signal.SIGTERM and time.monotonic() - began_s < 60
