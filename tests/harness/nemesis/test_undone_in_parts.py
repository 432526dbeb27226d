"""What cannot be undone on a host keeps nothing else in force, and is not taken for undone: a damaged account, a disk that fails, a pipe in the place of a pid file."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.nemesis.lab_tools import await_that
from tribulation.harness.agent.apply import NotUndone, undo_all
from tribulation.harness.agent.faults import cut
from tribulation.harness.agent.processes import proc, processes
from tribulation.harness.agent.state.store import Store


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as started:
        yield started
        started.send_signal(signal.SIGCONT)
        started.kill()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Of a host without a firewall: the table of this machine is left alone."""
    monkeypatch.setattr(cut, "undo", lambda force: ["cut"] if force else [])
    return Store(str(tmp_path / "nemesis"))


def _stopped(child: subprocess.Popen[bytes]) -> list[int]:
    child.send_signal(signal.SIGSTOP)
    await_that("the stop", lambda: (found := proc.read(child.pid)) is not None and found.stopped)
    found = proc.read(child.pid)
    assert found is not None
    return [found.pid, found.started]


def test_a_part_that_fails_keeps_no_other_in_force(
    store: Store, child: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    (tmp_path / "disk.pyz").write_text("raise SystemExit('no fuse here')")
    disk = {"directory": str(tmp_path / "data"), "state": str(tmp_path)}
    hard = resource.prlimit(child.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(child.pid, resource.RLIMIT_NOFILE, (64, hard))
    store.set_force(
        {
            "cut": {"from": ["10.0.0.2"]},
            "disk": {"disk": disk, "process": {}, "done": {}},
            "limits": {"process": {"pid": child.pid}, "nofile": {"limit": 64, "prior": 256}},
        }
    )
    for _ in range(2):
        with pytest.raises(NotUndone, match=r"^disk: .*no fuse here"):
            undo_all(store, "watchdog")
        assert list(store.force()) == ["disk"], "what is not undone stays recorded"
    assert resource.prlimit(child.pid, resource.RLIMIT_NOFILE)[0] == 256
    assert [entry["undone"] for entry in store.read_journal()] == [["limits: descriptors, 256 again", "cut"]]


@pytest.mark.parametrize("content", ["[]", "{", "[" * 100_000, '{"cut": 1'])
def test_a_damaged_account_is_no_empty_one(store: Store, content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    monkeypatch.setattr(cut, "undo", lambda force: tried.append(force) or [])
    Path(store.path("force.json")).write_text(content)
    with pytest.raises(NotUndone, match=r"force\.json is damaged"):
        undo_all(store, "heal")
    assert tried == [{}], "what is known without the account is undone"


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_a_pid_file_that_is_no_file_holds_no_undo(
    kind: str, store: Store, child: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    pid_file = tmp_path / "service.pid"
    {
        "pipe": lambda: os.mkfifo(pid_file),
        "device": lambda: pid_file.symlink_to("/dev/zero"),
        "folder": pid_file.mkdir,
    }[kind]()
    how = {"pid_file": str(pid_file)}
    store.set_force({"process": {"killed": None, "paused": [_stopped(child)], "process": how, "tree": []}})
    undoing = threading.Thread(target=undo_all, args=(store, "watchdog"), daemon=True)
    undoing.start()
    undoing.join(30)
    assert not undoing.is_alive() and store.force() == {}
    assert (found := proc.read(child.pid)) is not None and not found.stopped
    with pytest.raises(OSError):
        processes.find(how)
