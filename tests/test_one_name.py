"""Every module has one name, below `tribulation`; packages of others with the short names do no harm."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

import tribulation

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "tribulation"
ROOMS = ("node", "histories", "checkers", "harness")
OURS = tuple(f"{ROOT / name}/" for name in (*ROOMS, "tests", "tribulation"))
STARTS_SOMETHING = "__main__"

IMPORT_ALL = """
import importlib, sys
for name in sys.stdin.read().split():
    importlib.import_module(name)
for name, module in list(sys.modules.items()):
    print(name, getattr(module, "__file__", None))
"""


def _modules() -> list[str]:
    """All of the package. The rooms are links, and rglob does not follow links."""
    paths = [path for room in ROOMS for path in (PACKAGE / room).rglob("*.py")]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]
    return sorted(name.removesuffix(".__init__") for name in names if not name.endswith(STARTS_SOMETHING))


def test_importing_everything_gives_no_module_a_second_name() -> None:
    asked = "\n".join(_modules())
    ran = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], input=asked, cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    assert _with_two_names(dict(line.split(" ", 1) for line in ran.stdout.splitlines())) == {}


def test_no_module_has_a_second_name_in_this_process() -> None:
    """Whatever tests ran here before."""
    assert _with_two_names({name: getattr(module, "__file__", None) for name, module in sys.modules.items()}) == {}


def _with_two_names(files: dict[str, str | None]) -> dict[str, list[str]]:
    found = defaultdict(list)
    for name, file in files.items():
        if file and name != STARTS_SOMETHING and os.path.realpath(file).startswith(OURS):
            found[os.path.realpath(file)].append(name)
    return {file: names for file, names in found.items() if len(names) > 1}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_under_its_short_name_is_refused(room: str) -> None:
    ran = subprocess.run([sys.executable, "-c", f"import {room}"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1
    assert f"hint: import tribulation.{room}" in ran.stderr


def test_nobody_writes_a_short_name() -> None:
    places = [PACKAGE / room for room in ROOMS] + [ROOT / name for name in ("tests", "benchmarks", "scripts")]
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for place in places
        for path in place.rglob("*.py")
        for line, name in _absolute_imports(path)
        if name.split(".")[0] in ROOMS
    ]
    assert found == []


def _absolute_imports(path: Path) -> list[tuple[int, str]]:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    plain = [(node.lineno, name.name) for node in nodes if isinstance(node, ast.Import) for name in node.names]
    return plain + [
        (node.lineno, node.module or "") for node in nodes if isinstance(node, ast.ImportFrom) and not node.level
    ]


def test_packages_of_others_with_the_short_names_do_no_harm(tmp_path: Path) -> None:
    for room in ROOMS:
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").write_text("raise ImportError('another package')\n")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    program = "from tribulation import assert_linearizable, check; import tribulation.harness.cli.main"
    environment = {**os.environ, "PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", program], env=environment, cwd=tmp_path, check=True, timeout=60)


def test_the_public_face_has_what_it_lists() -> None:
    assert [name for name in tribulation.__all__ if getattr(tribulation, name, None) is None] == []
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tribulation.nothing


def test_the_public_face_costs_nothing_until_it_is_used() -> None:
    program = "import sys; import tribulation; print(*(name for name in sys.modules if name.startswith('tribulation')))"
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["tribulation"]
