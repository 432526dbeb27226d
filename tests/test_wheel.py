"""The wheel: one package, everything that `tri` reads, and no need of a checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("tribulation", "node", "harness", "histories", "checkers", "campaigns")
FILES = ("pyproject.toml", "README.md", "LICENSE")
SHORT = ("--set", "duration=2s", "--set", "settle=1s", "--set", "faults=[]")
OF_A_USER = """
from tribulation import Inconsistent, assert_linearizable

def test_mine():
    assert_linearizable([(0, "invoke", "write", 1), (0, "ok", "write", 1)], "register")
    try:
        assert_linearizable([(0, "invoke", "read", None), (0, "ok", "read", 2)], "register")
    except Inconsistent:
        return
    raise AssertionError("a read of what was never written")
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's files, unpacked as pip does; built from a copy, for setuptools leaves folders behind."""
    copy, site = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    for name in SOURCES:
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, copy / name)
    words = ["wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(copy / "out"), str(copy)]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, capture_output=True, timeout=120)
    (wheel,) = (copy / "out").glob("*.whl")
    zipfile.ZipFile(wheel).extractall(site)
    (site / "checkers").mkdir()
    (site / "checkers/__init__.py").write_text("raise ImportError('a package of others')\n")
    return site


def run(installed: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def test_it_has_one_package_with_types_and_campaigns(installed: Path) -> None:
    kept = {path.name for path in installed.iterdir()} - {"checkers"}
    assert {name.split("-")[0] for name in kept} == {"tribulation"} and len(kept) == 2
    package = installed / "tribulation"
    assert (package / "py.typed").is_file()
    ours = {path.relative_to(ROOT / "campaigns") for path in (ROOT / "campaigns").rglob("*.yaml")}
    assert {path.relative_to(package / "campaigns") for path in (package / "campaigns").rglob("*.yaml")} == ours
    for room in ("node", "harness", "histories", "checkers"):
        sources = {path.relative_to(ROOT / room) for path in (ROOT / room).rglob("*.py")}
        assert {path.relative_to(package / room) for path in (package / room).rglob("*.py")} == sources


def test_campaigns_are_listed_and_run_by_name_anywhere(installed: Path, tmp_path: Path) -> None:
    listed = run(installed, tmp_path, "tribulation.harness.cli", "list", "campaigns", "--json")
    assert {"quickstart", "flaws/vote-not-durable"} <= {row["name"] for row in json.loads(listed.stdout)}
    words = ("tribulation.harness.cli", "run", "quickstart", "--hosts", "sim", "--seed", "7", "--json", *SHORT)
    ran = run(installed, tmp_path, *words)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["verdict"] == "valid"
    assert "tri run quickstart --seed 7" in ran.stderr and (tmp_path / "runs/quickstart/latest").is_dir()


def test_a_test_of_a_user_asserts_with_it(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(OF_A_USER)
    ran = run(installed, tmp_path, "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py")
    assert ran.returncode == 0, ran.stdout
