"""`tri hosts down` and `tri heal` leave alone what others use; what killed processes left goes, at the latest when the next lab is made."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.running import ROOT, await_that, processes_of, with_default_signals
from tribulation.harness.hosts.local import LocalProvider, list_labs
from tribulation.harness.hosts.local.layout import wire

USE = """
import sys
import time
from tribulation.harness.hosts.local import LocalProvider
LocalProvider(1, sys.argv[1], sys.argv[2]).up()
print("up", flush=True)
sys.stdin.read()
"""


class User:
    """A process that uses a lab of its own, until it is killed."""

    def __init__(self, name: str, labs: Path) -> None:
        command = [sys.executable, "-P", "-c", USE, name, str(labs)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert self.process.stdout is not None and self.process.stdout.readline() == "up\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=30)


@pytest.fixture
def user(labs: Path, namespaces: None) -> Iterator[type]:
    users: list[User] = []

    def make(name: str) -> User:
        users.append(User(name, labs))
        return users[-1]

    yield make
    for one in users:
        one.kill()


def kill_supervisor(lab: Path) -> None:
    with wire.connect(lab, 10.0) as supervisor:
        pid = wire.peer_pid(supervisor)
    os.kill(pid, signal.SIGKILL)
    await_that(lambda: str(lab) not in "".join(processes_of(lab.parent).values()), "the end of the lab's processes")


@pytest.mark.full
def test_what_nobody_uses_goes_and_the_rest_needs_its_name(user, tri, labs: Path) -> None:
    user("busy")
    user("orphan").kill()
    stale = user("stale")
    kill_supervisor(labs / "stale")
    stale.kill()
    assert tri("hosts", "up", "--nodes", "1", "--name", "mine").exit_code == 0
    assert tri("hosts", "up", "--nodes", "1").exit_code == 0
    states = {row["name"]: row["state"] for row in tri("hosts", "list", "--json").document}
    # The stale one was swept when the next lab was made.
    assert states == {"busy": "in use", "default": "up", "mine": "up", "orphan": "unused"}

    healed = tri("heal")
    assert healed.exit_code == 0 and "healing lab orphan" in healed.stderr and "healing lab mine" in healed.stderr
    assert "healing lab busy" not in healed.stderr and "lab busy is not changed" in healed.stderr
    assert "healing lab busy" in tri("heal", "--name", "busy").stderr
    assert tri("heal", "--name", "bsy").exit_code == 2

    down = tri("hosts", "down")
    assert down.exit_code == 0 and sorted(down.stdout.splitlines()) == ["default is down", "orphan is down"]
    assert "busy stays: a process uses it" in down.stderr and "mine stays: " in down.stderr
    assert [lab.name for lab in list_labs(labs)] == ["busy", "mine"]
    assert tri("hosts", "down", "--all").exit_code == 0 and list(labs.iterdir()) == []


@pytest.mark.parametrize("seen", ["lab.json", "supervisor.log", "alive", "supervisor.sock"])
def test_bringing_up_that_is_ended_in_the_middle_leaves_nothing(labs: Path, namespaces: None, seen: str) -> None:
    command = [sys.executable, "-m", "tribulation.harness.cli", "hosts", "up", "--nodes", "2"]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "TRI_LABS": str(labs)},
        stderr=subprocess.PIPE,
        preexec_fn=with_default_signals,
    )
    while not (labs / "default" / seen).exists():
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert list(labs.iterdir()) == []
    # The kernel ends a PID namespace's processes one after the other, some of them after its first one is gone.
    await_that(lambda: processes_of(labs) == {}, "the end of the lab's processes", 10)


def test_what_a_killed_supervisor_left_is_swept_when_the_next_lab_is_made(user, labs: Path, tmp_path: Path) -> None:
    killed, busy = user("run-1"), user("run-2")
    group = tmp_path / "tribulation-1"
    group.mkdir()
    with open(labs / "run-1" / "groups", "a") as record:
        record.write(f"1 {group}\n{os.stat('/proc/self/ns/pid').st_ino} {tmp_path}\n")
    (labs / ".run-3.lock").touch()
    kill_supervisor(labs / "run-1")
    kill_supervisor(labs / "run-2")
    killed.kill()
    assert (labs / "run-1" / "key").exists() and group.exists()
    provider = LocalProvider(1, "next", labs)
    try:
        provider.up()
        left = sorted(path.name for path in labs.iterdir())
        # The process of run-2 lives: it may still want to look at what its supervisor left.
        assert left == ["next", "run-2"] and not group.exists() and busy.process.poll() is None
    finally:
        provider.down()
