"""Signals that end a command do so with its exit code, wherever they meet it."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.integration.running import ROOT, with_default_signals

END = """
import os, signal, sys, time
from harness.cli.streams import ending_signals
try:
    with ending_signals():
        # As imports do that make classes: Python remembers an interrupt that leaves such a text, and ends by SIGINT though it is caught.
        exec(f"os.kill(os.getpid(), {int(sys.argv[1])})\\ntime.sleep(0.2)")
except KeyboardInterrupt:
    sys.exit(130)
"""


def _ended(number: signal.Signals, prepare=with_default_signals) -> int:
    command = [sys.executable, "-P", "-c", END, str(int(number))]
    return subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, preexec_fn=prepare, timeout=30).returncode


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_an_interrupt_also_inside_of_generated_code(number: signal.Signals) -> None:
    assert _ended(number) == 130


def test_a_signal_that_is_ignored_stays_so() -> None:
    assert _ended(signal.SIGHUP, lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) == 0
