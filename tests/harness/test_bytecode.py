"""Archives with bytecode: the same program, started faster, and still readable for any Python."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from tribulation.harness.bytecode import for_python, with_bytecode
from tribulation.harness.systems.reference.package import build_node_archive
from tribulation.node.core_source import fingerprint
from tribulation.node.runtime.process.supervisor import unpack


def test_only_for_the_interpreter_that_runs_here() -> None:
    archive = build_node_archive()
    assert for_python(archive, "/usr/bin/python-of-another-host") == archive
    assert for_python(archive, sys.executable) == with_bytecode(archive) != archive


def test_each_source_has_its_bytecode_and_runs_from_it(tmp_path: Path) -> None:
    path = tmp_path / "node.pyz"
    path.write_bytes(with_bytecode(build_node_archive()))
    names = zipfile.ZipFile(path).namelist()
    sources = [name for name in names if name.endswith(".py")]
    assert sorted(names) == sorted([*sources, *(f"{name}c" for name in sources)])
    script = f"import sys; sys.path.insert(0, {str(path)!r}); import tribulation.node.core.core as c; from tribulation.node.core_source import fingerprint; print(c.__file__, fingerprint())"
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, timeout=60, check=True)
    file, reported = done.stdout.split()
    assert file.endswith("core.pyc")
    assert reported == fingerprint(), "the sources are read for the fingerprint"


def test_a_traceback_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "app.pyz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("broken.py", "def f():\n    raise ValueError('here')\n")
        archive.writestr("__main__.py", "import broken\nbroken.f()\n")
    path.write_bytes(with_bytecode(path.read_bytes()))
    done = subprocess.run([sys.executable, "-I", str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and 'File "broken.py", line 2' in done.stderr


def test_unpacked_it_is_found_as_well(tmp_path: Path) -> None:
    """A supervisor runs the archive from a folder, where bytecode next to the source is not looked at."""
    archive = tmp_path / "node.pyz"
    archive.write_bytes(with_bytecode(build_node_archive()))
    code = unpack(archive, tmp_path)
    shipped = {path: path.stat().st_mtime_ns for path in code.rglob("*.pyc")}
    assert shipped and {path.parent.name for path in shipped} == {"__pycache__"}
    command = [
        sys.executable,
        "-I",
        "-c",
        f"import sys; sys.path.insert(0, {str(code)!r}); import tribulation.node.core.core",
    ]
    subprocess.run(command, timeout=60, check=True)
    assert {path: path.stat().st_mtime_ns for path in code.rglob("*.pyc")} == shipped, "nothing was compiled again"
