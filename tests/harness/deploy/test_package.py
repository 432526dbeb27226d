"""node.pyz: equal sources give equal bytes, and any Python from 3.10 on runs it."""

from __future__ import annotations

import glob
import io
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from tribulation import node
from tribulation.harness.systems.reference.package import build_node_archive, digest

PACKAGE = Path(node.__file__).parent
PYTHONS = sorted(glob.glob("/usr/bin/python3.1[0-9]"))


def test_bytes_depend_on_the_sources_alone(tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "node"
    shutil.copytree(PACKAGE, copy)
    for path in copy.rglob("*.py"):
        os.utime(path, (1, 1))
        path.chmod(0o600)
    assert build_node_archive(copy) == build_node_archive()
    (copy / "extra.py").write_text("x = 1\n")
    assert digest(build_node_archive(copy)) != digest(build_node_archive())


def test_holds_the_node_package_and_nothing_else() -> None:
    names = zipfile.ZipFile(io.BytesIO(build_node_archive())).namelist()
    expected = {f"tribulation/node/{path.relative_to(PACKAGE).as_posix()}" for path in PACKAGE.rglob("*.py")}
    assert set(names) == expected | {"__main__.py", "tribulation/__init__.py"}
    assert names == sorted(names)


@pytest.mark.parametrize("python", PYTHONS)
def test_every_python_here_runs_it(python: str, tmp_path: Path) -> None:
    archive = tmp_path / "node.pyz"
    archive.write_bytes(build_node_archive())
    config = tmp_path / "config.json"
    config.write_text('{"node": "n1"}')
    done = subprocess.run(
        [python, "-I", archive, "--config", config], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert "cluster: None is not a name\nhint: " in done.stderr
