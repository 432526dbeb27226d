"""The live view of commands in a pseudo terminal, and what they print without one."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

TRI = [sys.executable, "-m", "tribulation.harness.cli"]
FAULTS = "faults=[{partition: {shape: leader-minority, after: 1s, for: 2s}}]"
SHORT = ("--hosts", "sim", "--seed", "3", "--set", "duration=4s", "--set", FAULTS)
FOUND = re.compile(r"early finding at \d\.\d s: .*")


def on_a_terminal(folder: Path, *words: str) -> tuple[int, str]:
    """Exit code and output of `tri` in a terminal of 40 rows of 160 columns."""
    shown, end = pty.openpty()
    settings = {**os.environ, "TERM": "xterm", "COLUMNS": "160", "LINES": "40"}
    process = subprocess.Popen([*TRI, *words], cwd=folder, env=settings, stdin=end, stdout=end, stderr=end)
    os.close(end)
    output = b""
    while True:
        try:
            part = os.read(shown, 65536)
        except OSError:  # The other end is closed.
            break
        if not part:
            break
        output += part
    os.close(shown)
    return process.wait(timeout=60), output.decode("utf-8", "replace")


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("live")
    code, output = on_a_terminal(folder, "run", "flaws/ack-before-majority", *SHORT)
    assert code == 1, output
    return folder, output


def test_a_run_shows_nodes_faults_and_early_findings(failing: tuple[Path, str]) -> None:
    output = failing[1]
    found = FOUND.search(output)
    assert found is not None, output
    assert re.search(r"n3 +ok +\d+ · fail +\d+ · info +\d+ · +\d+ ok/s", output)
    assert found.start() < output.index("linearizable")


def test_shrinking_shows_step_sizes_and_budget(failing: tuple[Path, str]) -> None:
    code, output = on_a_terminal(failing[0], "shrink", "runs/latest", "--tries", "40", "--cpu-time", "20s")
    assert code == 0, output
    assert re.search(
        r"few operations +\d+ of 1 faults · \d+ of \d+ operations · \d of 5 nodes · try \d+ of 40 · \d+ s of CPU time left",
        output,
    ), output
    assert re.search(r"  cut time +\d+ faults, \d+ operations, .* after \d+ tries", output)


def test_without_a_terminal_findings_are_plain_lines(tmp_path: Path) -> None:
    done = subprocess.run(
        [*TRI, "run", "flaws/ack-before-majority", *SHORT, "--json"], cwd=tmp_path, capture_output=True, text=True
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("early finding")]
    assert 1 < len(lines) < 10 and all(map(FOUND.fullmatch, lines))
    assert "early finding" not in done.stdout and "\x1b" not in done.stderr
