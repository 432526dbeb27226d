"""The process that a service names is looked for as soon as it is ready: faults would be aimed at another one, or at none."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import Any

import pytest

from tribulation.harness.deploy import deploy
from tribulation.harness.errors import DeployError

NOT_THERE = 4_000_000
"""Above `pid_max` of a host with its default."""


@dataclass
class Here:
    """This machine, as a host."""

    name: str = "n1"

    def run(self, command: str, check: bool = True) -> Any:
        done = subprocess.run(["sh", "-c", command], check=check)
        done.exit_code = done.returncode  # type: ignore[attr-defined]
        return done


@dataclass
class Named:
    given: Any
    name: str = "mine"

    def pid(self, host: Here) -> Any:
        return self.given


def test_a_process_that_is_there_or_that_nobody_names() -> None:
    assert deploy.running_pid(Named(os.getpid()), Here()) == os.getpid()  # type: ignore[arg-type]
    assert deploy.running_pid(Named(None), Here()) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("pid", [NOT_THERE, 0, -1, "812", True, 8.12])
def test_a_process_that_is_not_there(pid: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy, "PID_S", 0.0)
    with pytest.raises(DeployError, match=r"n1: pid\(host\) of mine is") as raised:
        deploy.running_pid(Named(pid), Here())  # type: ignore[arg-type]
    assert raised.value.exit_code == 4 and "own-system.md" in str(raised.value.hint)
