"""The text of the unit: what systemd starts, as which user, and what it keeps out of reach; judged by systemd's own tool where there is one."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tribulation.harness.deploy.unit import NAME, Unit


def text(
    directory: str = "/var/lib/tribulation", executable: str = "/usr/bin/python3", node: str = "n1", cluster: str = "c"
) -> str:
    folder = f"{directory}/reference"
    command = ["python3", "-I", f"{folder}/node.pyz", "--supervise", "--config", f"{folder}/config.json"]
    return Unit(node, cluster, command, directory, folder, executable).text()


def settings(unit: str) -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", unit, re.MULTILINE))


def test_it_runs_the_supervisor_which_stays_in_charge_of_the_node() -> None:
    found = settings(text())
    folder = "/var/lib/tribulation/reference"
    assert found["ExecStart"] == (
        f"/usr/bin/python3 -I {folder}/node.pyz --supervise --config {folder}/config.json --foreground"
    )
    # A supervisor that was asked to end stays ended; a node that is killed, also for its memory, is the supervisor's.
    assert (found["Restart"], found["OOMPolicy"], found["KillMode"]) == ("on-failure", "continue", "mixed")
    assert (found["Type"], found["NotifyAccess"]) == ("notify", "main")


def test_it_may_write_in_its_folder_alone() -> None:
    found = settings(text())
    assert found["ReadWritePaths"] == "/var/lib/tribulation/reference"
    assert (found["User"], found["ProtectSystem"], found["ProtectHome"]) == ("tribulation", "strict", "yes")
    assert (found["NoNewPrivileges"], found["PrivateTmp"], found["CapabilityBoundingSet"]) == ("yes", "yes", "")


def test_walls_leave_in_sight_what_it_needs() -> None:
    assert "BindPaths" not in settings(text())
    assert settings(text("/var/tmp/tribulation"))["BindPaths"] == "/var/tmp/tribulation"
    assert settings(text("/root/tribulation"))["ProtectHome"] == "no"
    assert settings(text(executable="/root/.local/bin/python3.12"))["ProtectHome"] == "no"


def test_no_name_can_add_a_line_or_a_specifier() -> None:
    found = text(cluster="x\nUser=root %h")
    assert found.count("\nUser=") == 1 and "%%h" in found


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("directory", ["/var/lib/tribulation", "/var/tmp/with space/50%", "/root/tribulation"])
def test_systemd_understands_it(directory: str, tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_text(text(directory))
    done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and str(path) not in done.stderr, done.stderr
