"""What a user's code starts in a session of its own ends with the run; what cannot be ended is reported."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tribulation.harness.run.clients.pool import ClientProcesses
from tribulation.harness.run.plan.plan import Slot
from tribulation.harness.systems.adapter import strays
from tribulation.harness.systems.base import Op

from .test_client_processes import ADAPTER, Echo, opened, server, until

__all__ = ["server"]
DAEMON = """
import os, sys, time
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
with open(sys.argv[1], "w") as number:
    number.write(str(os.getpid()))
time.sleep(600)
"""
LEAVES = ADAPTER.replace(
    'if op.f == "raise":',
    """if op.f == "daemon":
            environment = {} if "bare" in op.value else None
            Popen([sys.executable, "-c", DAEMON, op.value], env=environment, start_new_session=True).wait()
        if op.f == "raise":""",
).replace("import os\n", f"import os, sys\n\nDAEMON = {DAEMON!r}\n", 1)


def gone(number: str) -> bool:
    return not Path(f"/proc/{number}").exists()


def left_by(tmp_path: Path, server: Echo, name: str) -> tuple[ClientProcesses, str]:
    (tmp_path / "own.py").write_text(LEAVES)
    pool = ClientProcesses(tmp_path / "own.py", {}, [Slot(0, "register", 0, 1, "n1")], tmp_path)
    client = opened(pool, server)
    client.invoke(Op("daemon", "k", str(tmp_path / name)), 20.0)
    until(lambda: (tmp_path / name).exists() and (tmp_path / name).read_text())
    return pool, (tmp_path / name).read_text()


@pytest.mark.parametrize("name", ["number", "bare-environment"])
def test_a_daemon_of_a_client_ends_with_the_run(tmp_path: Path, server: Echo, name: str) -> None:
    pool, number = left_by(tmp_path, server, name)
    assert not gone(number)
    pool.close()
    until(lambda: gone(number))


def test_it_ends_also_where_the_process_that_would_have_ended_it_was_killed(tmp_path: Path, server: Echo) -> None:
    pool, number = left_by(tmp_path, server, "number")
    pool._first.send_signal(signal.SIGKILL)
    pool._first.wait(10)
    assert not gone(number)
    pool.close()
    until(lambda: gone(number))


def test_what_an_adapter_starts_here_ends_with_the_block_unless_it_is_kept() -> None:
    for keep in (True, False):
        reported: list[str] = []
        with strays.ending_strays(reported.append, keep):
            left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
            until(lambda: strays.MARK.encode() in Path(f"/proc/{left.pid}/environ").read_bytes())  # noqa: B023
        try:
            assert (left.poll() is None) is keep and not reported
        finally:
            left.kill()
            left.wait()
    assert strays.MARK not in os.environ


def test_a_block_inside_another_leaves_the_outer_one_adopting() -> None:
    """The run of a trial ended the adoption of the trial, whose later steps would have left what they started."""
    with strays.ending_strays(print):
        with strays.ending_strays(print):
            assert strays.adopts()
        assert strays.adopts()
    assert not strays.adopts()


def test_neither_a_bare_environment_nor_a_second_fork_hides_it_here(tmp_path: Path) -> None:
    number = tmp_path / "number"
    kept = subprocess.Popen(["sleep", "600"])
    try:
        with strays.ending_strays(print):
            subprocess.run([sys.executable, "-c", DAEMON, str(number)], env={}, check=True)
            until(lambda: number.exists() and number.read_text())
            assert not gone(number.read_text())
        until(lambda: not _runs(number.read_text()))
        assert kept.poll() is None, "it was there before"
    finally:
        kept.kill()
        kept.wait()


def _runs(number: str) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_what_does_not_end_is_returned_by_its_number_and_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a program of another user, which this one may not kill."""

    def refuse(pid: int, number: int) -> None:
        raise PermissionError

    with strays.marking() as mark:
        left = subprocess.Popen(["sleep", "600"], start_new_session=True)
        until(lambda: Path(f"/proc/{left.pid}/comm").read_text() == "sleep\n")
    try:
        with monkeypatch.context() as patched:
            patched.setattr("tribulation.harness.systems.adapter.strays.os.kill", refuse)
            began_s = time.monotonic()
            assert strays.end_marked(mark, 0.2) == [f"{left.pid} (sleep)"]
            assert time.monotonic() - began_s < 10
        assert strays.end_marked(mark, 10.0) == []
        assert left.wait(10) == -signal.SIGKILL
    finally:
        left.kill()
