"""Signals that end a command do so with its exit code, wherever they meet it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.running import ROOT, with_default_signals

END = """
import os, signal, sys, time
from tribulation.harness.cli.streams import ending_signals
try:
    with ending_signals():
        # As imports do that make classes: Python remembers an interrupt that leaves such a text, and ends by SIGINT though it is caught.
        exec(f"os.kill(os.getpid(), {int(sys.argv[1])})\\ntime.sleep(0.2)")
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture
def ended(tmp_path: Path) -> Callable[..., int]:
    (tmp_path / "ending.py").write_text(END)
    environment = {"PYTHONPATH": f"{tmp_path}:{ROOT}"}

    def ended(number: signal.Signals, prepare: Callable[[], object] = with_default_signals) -> int:
        """As `python -m tribulation.harness.cli` is: only so Python looks at last whether an interrupt left an `exec`."""
        command = [sys.executable, "-P", "-m", "ending", str(int(number))]
        return subprocess.run(command, env=environment, preexec_fn=prepare, timeout=30).returncode

    return ended


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_an_interrupt_also_inside_of_generated_code(ended, number: signal.Signals) -> None:
    assert ended(number) == 130


def test_a_signal_that_is_ignored_stays_so(ended) -> None:
    assert ended(signal.SIGHUP, lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) == 0
