"""`sys.exit()` in a user's file ends no run as if all were well: 0 means valid."""

from __future__ import annotations

import operator
import subprocess
import sys
from pathlib import Path

import pytest

from tests.testbed.running import run
from tests.testbed.standin import Saboteur
from tests.testbed.table import raises
from tribulation.harness.hosts.parallel import on_all

CAMPAIGN = (
    "name: exits\nsystem: {file: own.py}\nhosts: {provider: local, nodes: 3}\nduration: 1s\nworkloads: [register: {}]\n"
)


@pytest.mark.parametrize("text", ["import sys\nsys.exit()\n", "def service(o): raise SystemExit\nclient = service\n"])
def test_at_the_load(tmp_path: Path, text: str) -> None:
    (tmp_path / "own.py").write_text(text)
    (tmp_path / "own.yaml").write_text(CAMPAIGN)
    command = [
        sys.executable,
        "-m",
        "tribulation.harness.cli",
        "run",
        str(tmp_path / "own.yaml"),
        "--runs",
        str(tmp_path / "runs"),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2 and "SystemExit" in ended.stderr and f"{tmp_path / 'own.py'}" in ended.stderr


def test_on_a_host() -> None:
    class Named:
        name = "n1"

    (result,) = on_all([Named()], lambda host: sys.exit(0))  # type: ignore[type-var]
    assert result.error is not None and "SystemExit" in str(result.error)


@pytest.mark.parametrize(
    ("point", "phase"),
    [
        ("service.start", "deploy"),
        ("service.pid", "load"),
        ("service.leader", "load"),
        ("service.status", "final"),
        ("service.collect", "collect"),
        ("service.uninstall", "collect"),
        ("provider.up", None),
        ("provider.down", None),
    ],
)
def test_in_a_run(tmp_path: Path, point: str, phase: str | None) -> None:
    saboteur = Saboteur(point, raises(lambda: SystemExit(0)), phase, None, 1, 1_000_000)
    try:
        ending = run(saboteur, tmp_path)
    except SystemExit:
        assert point == "provider.up", "what comes before the load may leave it to `tri`, which ends with 4"
        return
    assert saboteur.hits, "it was not injected"
    if point != "service.collect":
        assert ending.exit_code in (4, 70)


def test_before_the_load_a_bug_leaves_its_traceback_in_the_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("tribulation.harness.run.pipeline.match_to_hosts", operator.itemgetter("a bug of ours"))
    assert run(Saboteur(), tmp_path).exit_code == 70
    (found,) = tmp_path.glob("runs/standin/2*/harness-errors.txt")
    assert "itemgetter expected 1 argument" in found.read_text()
