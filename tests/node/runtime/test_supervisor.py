"""The supervisor where its disk takes nothing: it stays, and starts the node again as soon as the disk does."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.node.runtime.one_node import wait_for
from tribulation.node.runtime.process import control

ROOT = Path(__file__).parents[3]
SUPERVISE = """
import sys
from pathlib import Path
from tribulation.node.runtime.process.supervisor import Supervisor
supervisor = Supervisor(Path(sys.argv[1]))
assert supervisor.take_charge()
supervisor.command = [sys.executable, "-c", "import time; time.sleep(600)"]
supervisor.run()
"""
BACK_OFFS_S = 1.0
"""The first two attempts after an end."""


def test_a_disk_that_takes_nothing_ends_no_supervisor(tmp_path: Path) -> None:
    pid_file = tmp_path / control.NODE_PID
    with open(tmp_path / control.SUPERVISOR_LOG, "ab") as log:
        supervisor = subprocess.Popen(
            [sys.executable, "-c", SUPERVISE, str(tmp_path)], stdout=log, stderr=log, env={"PYTHONPATH": str(ROOT)}
        )
    try:
        wait_for(lambda: bool(_pid(pid_file)), "the node's first process")
        limit = resource.prlimit(supervisor.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        os.kill(first := _pid(pid_file), signal.SIGKILL)
        wait_for(lambda: not pid_file.exists() or supervisor.poll() is not None, "the end to be seen")
        time.sleep(BACK_OFFS_S)
        assert supervisor.poll() is None and not pid_file.exists(), "a node without its number cannot be found"
        wait_for(
            lambda: _children(supervisor.pid) == [],
            "a process that was begun, and could not be written down, to be killed",
        )
        resource.prlimit(supervisor.pid, resource.RLIMIT_FSIZE, limit)
        wait_for(lambda: bool(_pid(pid_file)), "the node to be started again")
        assert _pid(pid_file) != first and _children(supervisor.pid) == [_pid(pid_file)]
        supervisor.terminate()
        assert supervisor.wait(20) == 0
    finally:
        supervisor.kill()
        supervisor.wait()


def test_a_disk_that_refuses_to_remove_a_file_ends_no_supervisor(tmp_path: Path) -> None:
    """As one that the kernel made read-only. A folder in the place of the file refuses for root too."""
    pid_file = tmp_path / control.NODE_PID
    with open(tmp_path / control.SUPERVISOR_LOG, "ab") as log:
        supervisor = subprocess.Popen(
            [sys.executable, "-c", SUPERVISE, str(tmp_path)], stdout=log, stderr=log, env={"PYTHONPATH": str(ROOT)}
        )
    try:
        wait_for(lambda: bool(_pid(pid_file)), "the node's first process")
        first = _pid(pid_file)
        pid_file.unlink()
        pid_file.mkdir()
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: first not in _children(supervisor.pid) or supervisor.poll() is not None, "the end to be seen")
        time.sleep(BACK_OFFS_S)
        assert supervisor.poll() is None, (tmp_path / control.SUPERVISOR_LOG).read_text()
        pid_file.rmdir()
        wait_for(lambda: pid_file.is_file(), "the node to be started again")
        pid_file.unlink()
        pid_file.mkdir()
        supervisor.terminate()
        assert supervisor.wait(20) == 0
    finally:
        supervisor.kill()
        supervisor.wait()


def _pid(file: Path) -> int:
    """0 while there is none."""
    try:
        return int(file.read_text())
    except (FileNotFoundError, ValueError):
        return 0


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
