"""What goes wrong at a run's end, or with its folder, hides no verdict: the run is judged, and the error is named with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.integration.conftest import ROOT

SYSTEM = """
from tribulation.harness.errors import DeployError, HostError
from tests.systems.register_server import RegisterService, client


class Clinging(RegisterService):
    def collect(self, host):
        raise ValueError("no logs today")

    def uninstall(self, host):
        raise DeployError(f"{host.name}: its files stay")

class Vanishing(RegisterService):
    # Its host cannot be reached any more when the load is over.

    def status(self, host, dial):
        host.refused = HostError(f"{host.name}: vanished")
        return None


def service(options):
    return {"clinging": Clinging, "vanishing": Vanishing}[options["how"]](options)
"""

CAMPAIGN = """
name: ends
hosts: {provider: local, nodes: 1}
system: {file: ends.py, options: {stale: STALE, how: HOW}}
duration: 3s
settle: 500ms
checkers: [linearizable]
workloads:
  - register: {keys: 2, clients: 4, rate: 100/s}
"""

FILLING = """
name: filling
hosts: {provider: local, nodes: 1}
system: {file: SYSTEM}
duration: 60s
checkers: [linearizable]
workloads:
  - register: {keys: 2, clients: 4, rate: 200/s}
faults:
  - pause: {target: [n1], after: 200ms, for: 300ms}
"""

SIMULATED = """
name: simulated
hosts: {provider: sim, nodes: 3}
seed: 1
duration: 3s
settle: 500ms
workloads:
  - register: {keys: 2, clients: 4, rate: 100/s}
"""


def campaign(tmp_path: Path, stale: str, how: str) -> Path:
    (tmp_path / "ends.py").write_text(SYSTEM)
    (tmp_path / "campaign.yaml").write_text(CAMPAIGN.replace("STALE", stale).replace("HOW", how))
    return tmp_path / "campaign.yaml"


@pytest.mark.parametrize(
    ("stale", "exit_code", "verdict"),
    [("true", 1, "invalid"), pytest.param("false", 4, "unknown", marks=pytest.mark.full)],
)
def test_a_system_that_cannot_be_collected_or_removed_is_judged(tri, tmp_path: Path, stale, exit_code, verdict) -> None:
    ended = tri("run", str(campaign(tmp_path, stale, "clinging")), "--json")
    assert ended.exit_code == exit_code, ended.stderr
    assert ended.document["verdict"] == verdict
    (error,) = ended.document["errors"]
    assert error.startswith("removing the system: ") and "its files stay" in error
    facts = json.loads((Path(ended.document["run"]) / "run.json").read_text())
    assert facts["state"] == "sealed" and facts["errors"] == [error]
    assert facts["uncollected"] == [{"host": "n1", "file": "*", "why": "ValueError: no logs today"}]
    again = tri("check", ended.document["run"], "--json")
    assert (again.exit_code, again.document["verdict"]) == (exit_code, verdict)


@pytest.mark.parametrize(
    ("stale", "exit_code", "verdict"),
    [pytest.param("true", 1, "invalid", marks=pytest.mark.full), ("false", 4, "unknown")],
)
def test_a_host_that_vanishes_after_the_load_hides_no_anomaly(tri, tmp_path: Path, stale, exit_code, verdict) -> None:
    ended = tri("run", str(campaign(tmp_path, stale, "vanishing")), "--json")
    assert ended.exit_code == exit_code, ended.stderr
    assert ended.document["verdict"] == verdict and ended.document["bugs"] == []
    doing = {error.split(":")[0] for error in ended.document["errors"]}
    assert {"stopping the fault agents", "removing the system"} <= doing, ended.document["errors"]
    facts = json.loads((Path(ended.document["run"]) / "run.json").read_text())
    assert facts["state"] == "sealed" and "end" in facts["phases"]


def simulated(tmp_path: Path, runs: str, before: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    campaign = tmp_path / "simulated.yaml"
    campaign.write_text(SIMULATED)
    command = [*before, sys.executable, "-m", "tribulation.harness.cli", "run", str(campaign), "--runs", runs]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("runs", ["/proc/runs", "a-file/runs"])
def test_runs_that_cannot_be_kept_there_are_refused_before_anything_is_done(tmp_path: Path, runs: str) -> None:
    (tmp_path / "a-file").write_text("")
    place = runs if runs.startswith("/") else str(tmp_path / runs)
    ended = simulated(tmp_path, place)
    assert ended.returncode == 4, ended.stderr
    assert f"error: cannot write {place}" in ended.stderr and "hint: give a folder that can be written" in ended.stderr
    assert "load" not in ended.stderr


def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir(mode=0o555)
    as_nobody = [] if os.getuid() else ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"]
    if as_nobody and not shutil.which("setpriv"):
        pytest.skip("root may write everywhere, and there is no setpriv")
    ended = simulated(tmp_path, str(runs), as_nobody)
    assert ended.returncode == 4, ended.stderr
    assert "Permission denied" in ended.stderr and "hint: give a folder that can be written" in ended.stderr


def in_small_space(tmp_path: Path, kilobytes: int) -> list[str]:
    """A prefix for commands that see a file system of that size at `tmp_path/runs`; what was written there is lost afterwards."""
    (tmp_path / "runs").mkdir()
    script = f'mount -t tmpfs -o size={kilobytes}k none {tmp_path}/runs && "$@"; code=$?; cp -r {tmp_path}/runs {tmp_path}/kept; exit $code'
    prefix = ["unshare", "--mount", *([] if os.getuid() == 0 else ["--map-root-user"]), "sh", "-c", script, "sh"]
    if subprocess.run([*prefix, "true"], capture_output=True).returncode:
        pytest.skip("no mount namespaces here")
    shutil.rmtree(tmp_path / "kept")
    return prefix


@pytest.mark.parametrize("kilobytes", [4, 60, 300, 500])
def test_a_full_disk_is_an_error_of_the_environment_and_what_was_seen_is_judged(tmp_path: Path, kilobytes: int) -> None:
    """The folder itself, the history, a trace, or the report does not fit."""
    ended = simulated(tmp_path, str(tmp_path / "runs"), in_small_space(tmp_path, kilobytes))
    assert ended.returncode == 4, ended.stderr
    said = ended.stdout + ended.stderr
    assert "No space left on device" in said and "hint: free some space there" in said
    assert "internal error" not in said and "Traceback" not in said
    for folder in (tmp_path / "kept").glob("simulated/2*"):
        checked = subprocess.run(
            [sys.executable, "-m", "tribulation.harness.cli", "check", str(folder)],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert checked.returncode in (0, 3) or (kilobytes == 4 and checked.returncode == 2), checked.stderr


def test_a_disk_that_fills_up_during_the_load_ends_it_in_order(tmp_path: Path, labs: Path, namespaces: None) -> None:
    campaign = tmp_path / "campaign.yaml"
    campaign.write_text(FILLING.replace("SYSTEM", str(ROOT / "tests" / "systems" / "register_server.py")))
    command = [
        *in_small_space(tmp_path, 300),
        sys.executable,
        "-m",
        "tribulation.harness.cli",
        "run",
        str(campaign),
        "--json",
    ]
    ended = subprocess.run(
        [*command, "--runs", str(tmp_path / "runs")],
        cwd=ROOT,
        env={**os.environ, "TRI_LABS": str(labs)},
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert ended.returncode == 4, ended.stderr
    document = json.loads(ended.stdout)
    assert document["verdict"] == "unknown" and document["bugs"] == []
    assert "history.jsonl: No space left on device" in document["errors"][0]
    assert {"part": "history", "tail": True}.items() <= document["gaps"][0].items()
    assert document["phases"]["load_end"] < 50e9 and "healed" in document["phases"]
    assert [(fault["kind"], fault["undone"]) for fault in document["faults"]] == [("pause", True)]
    (kept,) = (tmp_path / "kept").glob("filling/2*")
    judged = subprocess.run(
        [sys.executable, "-m", "tribulation.harness.cli", "check", str(kept), "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert json.loads(judged.stdout)["verdict"] == "unknown", judged.stderr
