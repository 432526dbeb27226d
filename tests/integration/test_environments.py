"""Where a run is started from does not matter: odd homes, locales, limits, paths and folders; what is not possible is an error with a hint."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.full import full

ROOT = Path(__file__).parents[2]
PYTHON = (sys.executable, "-P", "-m", "tribulation.harness.cli")
CAMPAIGN = """\
name: short
hosts: {provider: local, nodes: 3}
seed: 7
duration: 2s
settle: 1s
workloads:
  - register: {keys: 2, clients: 3, rate: 60/s}
faults:
  - partition: {shape: halves, after: 500ms, for: 700ms}
"""
FILES = ["campaign.yaml", "history.jsonl", "ledger.jsonl", "plan.json", "report.html", "run.json", "verdict.json"]


@dataclass(frozen=True)
class Environment:
    """`without` are variables that are not there; `prepare` happens in the process, in an empty folder of its own, before `tri`."""

    without: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], object] = lambda: None
    runs: str = "runs"
    campaign: str = "short.yaml"
    exit_code: int = 0


QUICK = {"ASCII alone", "a working directory that is gone", "runs that cannot be written", "few files"}


def _in_a_folder_that_is_gone() -> None:
    os.mkdir("gone")
    os.chdir("gone")
    os.rmdir("../gone")


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
ENVIRONMENTS = {
    "no HOME": Environment(without=("HOME",)),
    "nothing but a PATH": Environment(without=tuple(set(os.environ) - {"PATH"})),
    "HOME that cannot be written": Environment(variables={"HOME": "/proc"}),
    "LANG=C": Environment(variables={"LANG": "C"}, without=("LC_ALL",)),
    "ASCII alone": Environment(variables=ASCII, campaign="k\N{LATIN SMALL LETTER U WITH DIAERESIS}rze.yaml"),
    "a locale that is not installed": Environment(variables={"LC_ALL": "tr_TR.UTF-8"}),
    "umask 077": Environment(prepare=lambda: os.umask(0o077)),
    "TMPDIR that is not there": Environment(variables={"TMPDIR": "/no/such/folder"}),
    "no TERM": Environment(without=("TERM",)),
    "spaces and umlauts": Environment(runs="mit Uml\N{LATIN SMALL LETTER A WITH DIAERESIS}uten und Raum/runs"),
    "stdin closed": Environment(prepare=lambda: os.close(0)),
    "few files": Environment(prepare=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))),
    "a working directory that is gone": Environment(prepare=_in_a_folder_that_is_gone, runs="/proc/runs", exit_code=4),
    "runs that cannot be written": Environment(runs="/proc/runs", exit_code=4),
    "runs that are a file": Environment(runs="short.yaml", exit_code=2),
}


def _tri(folder: Path, one: Environment, *words: str, timeout_s: float = 150.0) -> subprocess.CompletedProcess[str]:
    for name in ("short.yaml", one.campaign):
        (folder / name).write_text(CAMPAIGN)
    variables = {name: value for name, value in os.environ.items() if name not in one.without}
    variables |= {
        "PYTHONPATH": str(ROOT),
        "TRI_LABS": str(folder / "L\N{LATIN SMALL LETTER A WITH DIAERESIS}bs 1"),
        **one.variables,
    }
    command = [*PYTHON, "run", str(folder / one.campaign), "--runs", one.runs, "--json", *words]
    return subprocess.run(
        command,
        cwd=folder,
        env=variables,
        preexec_fn=one.prepare,
        capture_output=True,
        encoding="utf-8",
        timeout=timeout_s,
    )


@pytest.mark.parametrize("name", [*sorted(QUICK), *full(*sorted(ENVIRONMENTS.keys() - QUICK))])
def test_a_simulated_run(name: str, tmp_path: Path) -> None:
    one = ENVIRONMENTS[name]
    ended = _tri(tmp_path, one, "--hosts", "sim")
    assert ended.returncode == one.exit_code, ended.stderr
    assert "Traceback" not in ended.stderr and "internal error" not in ended.stderr
    if one.exit_code:
        assert "\n\nhint: " in ended.stderr or one.exit_code == 2
    else:
        assert json.loads(ended.stdout)["verdict"] == "valid"
        assert {*FILES} <= {path.name for path in (tmp_path / one.runs / "short/latest").iterdir()}


@pytest.mark.full
def test_a_local_run_in_all_of_them_at_once(namespaces: None, tmp_path: Path) -> None:
    names = [
        "no HOME",
        "ASCII alone",
        "umask 077",
        "TMPDIR that is not there",
        "no TERM",
        "spaces and umlauts",
        "stdin closed",
        "few files",
    ]
    chosen = [ENVIRONMENTS[name] for name in names]
    whole = Environment(
        without=tuple(name for one in chosen for name in one.without),
        variables={name: value for one in chosen for name, value in one.variables.items()},
        prepare=lambda: [one.prepare() for one in chosen],
        runs=ENVIRONMENTS["spaces and umlauts"].runs,
        campaign=ENVIRONMENTS["ASCII alone"].campaign,
    )
    ended = _tri(tmp_path, whole, timeout_s=150.0)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["verdict"] == "valid"
    (labs,) = tmp_path.glob("L*bs 1")
    assert list(labs.iterdir()) == []


def test_a_full_disk_is_an_error_of_the_environment(namespaces: None, tmp_path: Path) -> None:
    """In a mount namespace of the test's own."""
    if os.geteuid() != 0:
        pytest.skip("mounting takes root")
    (tmp_path / "short.yaml").write_text(CAMPAIGN)
    script = 'mount -t tmpfs -o size=64k tmpfs "$0" && exec "$@"'
    (tmp_path / "small").mkdir()
    words = [*PYTHON, "run", "short.yaml", "--hosts", "sim", "--runs", "small"]
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "small", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 4, ended.stderr
    assert "No space left on device" in ended.stdout and "\n\nhint: " in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr
