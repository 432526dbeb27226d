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
from tribulation.harness.cli.process.signals import ending_signals
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


INTERRUPTED = """
import atexit, os, signal, sys

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)

class Importing:
    def find_spec(self, name, path, target=None):
        if name == meets:
            interrupt()

meets = sys.argv.pop(1)
sys.meta_path.insert(0, Importing())
from tribulation.harness.cli.__main__ import main
if meets == "compiled":
    import click
    def invoke(self, context):
        try:
            interrupt()
        finally:
            raise SystemError("an import returned NULL") from None
    click.Command.invoke = invoke
if meets == "end":
    class Late:
        def __del__(self):
            interrupt()
    atexit.register(interrupt)
    click_late = Late()
main()
"""


@pytest.mark.parametrize(
    "meets",
    [
        "tribulation.harness.cli.main",
        "click",
        "tribulation.harness.cli.process.streams",
        "tribulation.harness.cli.catalogue.listing",
        "compiled",
    ],
)
def test_an_interrupt_while_a_command_is_imported_ends_it_as_any_other(tmp_path: Path, meets: str) -> None:
    done = _list_faults(tmp_path, meets)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.strip().startswith("error: interrupted")
    assert "Traceback" not in done.stderr


def test_an_interrupt_of_the_interpreter_s_end_changes_no_answer(tmp_path: Path) -> None:
    done = _list_faults(tmp_path, "end")
    assert (done.returncode, done.stderr) == (0, "")
    assert "partition" in done.stdout


def _list_faults(tmp_path: Path, meets: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "interrupted.py").write_text(INTERRUPTED)
    command = [sys.executable, "-P", str(tmp_path / "interrupted.py"), meets, "list", "faults"]
    environment = {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    return subprocess.run(
        command, env=environment, preexec_fn=with_default_signals, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    "last",
    ["os._exit(0)", "os._exit(0) if os.fork() else os._exit(7)", "os._exit(os.waitstatus_to_exitcode(os.wait()[1])) if os.fork() else os._exit(7)"],
    ids=["alone", "with a copy", "with a copy that it waits for"],
)  # fmt: skip
def test_what_a_users_code_left_for_the_end_decides_no_exit_code(last: str) -> None:
    text = (
        "import atexit, os, sys\n"
        "from tribulation.harness.cli.process.signals import answer_with\n"
        f"atexit.register(lambda: {last})\n"
        "answer_with(1)\n"
        "sys.exit(1)\n"
    )
    assert subprocess.run([sys.executable, "-c", text], timeout=60).returncode == 1
