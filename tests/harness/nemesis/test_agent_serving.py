"""Agents as processes: one serves at a time, and which other may take its place while the lease goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tribulation.harness.nemesis.agent_client.shipping import bundle

Serve = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """`serve("a")`: an agent for that client in the test's directory."""
    program, agents = tmp_path / "agent.pyz", []
    program.write_bytes(bundle())

    def start(client: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-I", str(program), "serve", str(tmp_path / "state"), client]
        agents.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return agents[-1]

    (tmp_path / "state").mkdir()
    yield start
    for agent in agents:
        agent.kill()
        agent.communicate(timeout=30)
    # Its watchdog goes as well.
    heal = [sys.executable, "-I", str(program), "heal", str(tmp_path / "state")]
    subprocess.run(heal, check=True, capture_output=True, timeout=60)


def ask(agent: subprocess.Popen[str], **request: Any) -> dict[str, Any]:
    assert agent.stdin is not None and agent.stdout is not None
    agent.stdin.write(json.dumps(request) + "\n")
    agent.stdin.flush()
    return json.loads(agent.stdout.readline())


def test_an_agent_that_hangs_is_replaced_by_its_own_client_while_its_lease_goes_on(serve: Serve) -> None:
    first = serve("one")
    assert ask(first, do="renew", lease_s=300.0)["ok"]
    os.kill(first.pid, signal.SIGSTOP)
    other = ask(serve("another"), do="time")
    assert not other["ok"] and "another harness uses this host" in other["error"]
    assert ask(serve("one"), do="time")["ok"]
    assert first.wait(30) == -signal.SIGKILL
