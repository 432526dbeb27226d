"""Units that systemd did not reload: the next plan must find them, whichever step failed."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.harness.systems.loopback import LoopbackHost
from tribulation.harness.deploy import carry_out, unit
from tribulation.harness.deploy.plan import Step
from tribulation.harness.errors import HostError


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    systemctl = tmp_path / "bin/systemctl"
    systemctl.parent.mkdir()
    systemctl.write_text(
        f'#!/bin/sh\necho "$1" >>{tmp_path}/calls\n[ "$1" != daemon-reload ] || [ ! -e {tmp_path}/no-bus ]\n'
    )
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{systemctl.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(unit, "PATH", str(tmp_path / "a.service"))
    monkeypatch.setattr(unit, "NAME", f"a-{tmp_path.name}.service")
    return SimpleNamespace(host=LoopbackHost("n1", "127.0.0.1", tmp_path / "n1"))


def test_a_unit_whose_removal_systemd_did_not_read_is_found_by_the_next_plan(work: Any, tmp_path: Path) -> None:
    path, step = Path(unit.PATH), Step("remove-unit", "remove it")
    path.write_text("[Service]\n")
    (tmp_path / "no-bus").touch()
    with pytest.raises(HostError):
        carry_out._remove_unit(work, step)
    assert path.read_text() == "[Service]\n"
    (tmp_path / "no-bus").unlink()
    carry_out._remove_unit(work, step)
    carry_out._remove_unit(work, step)
    assert not path.exists() and not Path(f"/run/{unit.NAME}.removed").exists()


def test_a_start_is_that_of_the_unit_as_it_is_on_the_disk(work: Any, tmp_path: Path) -> None:
    control = SimpleNamespace(restart_command=lambda: "true")
    work.observed, work.hands, work.ready_s = SimpleNamespace(by_unit=True), work.host, 1.0
    work.service = SimpleNamespace(control_of=lambda host: control, wait_ready=lambda host, timeout_s: None)
    carry_out._start(work, Step("start", "start it"))
    assert (tmp_path / "calls").read_text().split() == ["daemon-reload", "enable", "reset-failed", "--no-block"]
