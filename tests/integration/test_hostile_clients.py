"""A client shares a process with `tri`: it decides no exit code and no output, and leaves no copy of the process behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ADAPTER = """
import os, sys, threading, time
sys.path.insert(0, {root!r})
from tests.systems.register_server import RegisterClient, RegisterService as Service

def forever():
    while True:
        time.sleep(1)

class Client(RegisterClient):
    count = 0

    def invoke(self, op, timeout_s):
        Client.count += 1
        if Client.count == 10:
            {does}
        return super().invoke(op, timeout_s)

def service(options):
    {begins}
    return Service(options)

def client(options):
    return Client("n1")
"""
CAMPAIGN = """
name: hostile
hosts: {provider: local, nodes: 1}
system: {file: own.py}
duration: 1s
settle: 100ms
workloads: [register: {keys: 2, clients: 2, rate: 60/s}]
"""


def run(tmp_path: Path, labs: Path, does: str = "pass", begins: str = "pass") -> subprocess.CompletedProcess[str]:
    (tmp_path / "own.py").write_text(ADAPTER.format(root=str(ROOT), does=does, begins=begins))
    (tmp_path / "own.yaml").write_text(CAMPAIGN)
    command = [sys.executable, "-m", "tribulation.harness.cli", "run", str(tmp_path / "own.yaml"), "--json"]
    started = subprocess.Popen(
        [*command, "--runs", str(tmp_path / "runs")],
        cwd=ROOT,
        env={**os.environ, "TRI_LABS": str(labs)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        # Both streams end only when no copy of the process holds them.
        out, err = started.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(started.pid, signal.SIGKILL)
        raise
    return subprocess.CompletedProcess(command, started.returncode, out, err)


@pytest.mark.parametrize(
    ("does", "begins"),
    [
        ("print('x' * 100_000); os.system('echo from a child')", "print('hello')"),
        pytest.param("[os.close(descriptor) for descriptor in (0, 1, 2)]", "pass", marks=pytest.mark.full),
        pytest.param("sys.stdout.close(); sys.stderr.close()", "pass", marks=pytest.mark.full),
        # A child that went on would use its parent's connection.
        ("assert os.fork()", "pass"),
        pytest.param("os.chdir('/')", "threading.Thread(target=forever).start()", marks=pytest.mark.full),
    ],
    ids=["prints", "closes descriptors", "closes streams", "forks", "leaves a thread"],
)
def test_the_result_is_whole_and_the_command_ends(tmp_path, labs, namespaces, does, begins):
    ended = run(tmp_path, labs, does, begins)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["verdict"] == "valid"


@pytest.mark.parametrize(
    ("does", "begins", "reported"),
    [
        ("os._exit(0)", "pass", "own.py:16 ended the process by os._exit(0)"),
        ("pass", "import asyncio; raise asyncio.CancelledError", "CancelledError"),
        ("pass", "Service.start = lambda *_: (_ for _ in ()).throw(GeneratorExit('left'))", "GeneratorExit: left"),
    ],
    ids=["os._exit", "cancelled at the load", "a host's call"],
)
def test_no_end_of_its_own_passes_for_a_verdict(tmp_path, labs, namespaces, does, begins, reported):
    ended = run(tmp_path, labs, does, begins)
    assert ended.returncode in (2, 4), ended.stderr
    assert reported in ended.stderr and ended.stdout == ""
